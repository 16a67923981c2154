"""narratives (OpenNeuro ds002345): 345 people hear 27 spoken stories in 891 scans (Nastase et al. 2021).

From a source (GitHub snastase/narratives at 2021-09 unless another is named):
- Tasks, and the columns onset, duration, trial_type (music, story, movie) and stim_file of the events:
  `staging/compile_events.py` and the events files in OpenNeuro's own repository.
- Repetition time 1.5 s: the data descriptor, and `code/run_regression.py`.
- Scans that the authors exclude, and that a name in the list stands for the beginning of a file's name:
  `code/scan_exclude.json`, `code/exclude_scans.py`. The list is repeated below, for copies without that file.
- Names of fMRIPrep's files (`_space-MNI152NLin2009cAsym_res-native_desc-preproc_bold.nii.gz`,
  `_desc-confounds_regressors.tsv`): `code/task_meta.json`.
- `stimuli/gentle/STORY/align.json` and its fields: `code/get_words.py`; the columns of align.csv: see `gentle`.
- The clock. Gentle counts from the start of the audio file, which is the onset of its first event, mostly music: so
  three public readers of these files on GitHub have it, and one of them corrects the first words of prettymouth, merlin
  and notthefallintact, which the aligner puts into the music, to 21.0, 29.0 and 25.8 s of the audio: there the events'
  story begins (21.0, 29.0 and 25.0 s after the music). Here words that come 3 s before the story count as not found.

Assumed, not seen: that OpenNeuro's bucket holds `stimuli/gentle` (else it is looked for in INDI's bucket, which others
name as the home of the DataLad version); that words which Gentle did not find were spoken between their neighbours;
about 3 scans of 200 MB per person in the estimate of `fetch` (files in the repository's index have 55 to 310 MB).
Lucy starts at 2.0 s by its events, which are followed; a reader notes that the paper says 2 repetitions, 3.0 s.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from jaxtyping import Float32

from .annex import require_content
from .bids import BidsStudy, Recording
from .errors import BrokenData, MissingData, WrongArgument
from .gentle import alignment_file, placed, read_alignment
from .remote import Estimate, RemoteFile, s3_files
from .sidecars import entities
from .study import Rows, Word

SPACE = "MNI152NLin2009cAsym"
AUDIO = "_audio.wav"
REACH = 15.0  # s of responses after a story that is cut out of a longer recording
EXCLUDED = (
    *("sub-053_task-lucy", "sub-065_task-lucy", "sub-158_task-merlin", "sub-038_task-milkyway"),
    *("sub-105_task-milkyway", "sub-123_task-milkyway", "sub-317_task-notthefallintact"),
    *("sub-335_task-notthefallintact", "sub-066_task-notthefalllongscram", "sub-335_task-notthefalllongscram"),
    *("sub-333_task-notthefallshortscram", "sub-001_task-pieman_run-1", "sub-001_task-pieman_run-2"),
    *("sub-013_task-pieman_run-2", "sub-014_task-pieman_run-2", "sub-021_task-pieman", "sub-022_task-pieman"),
    *("sub-038_task-pieman", "sub-056_task-pieman", "sub-068_task-pieman", "sub-069_task-pieman"),
    *("sub-038_task-prettymouth", "sub-105_task-prettymouth", "sub-238_task-shapessocial"),
    *("sub-139_task-slumlordreach", "sub-004_task-tunnel", "sub-013_task-tunnel"),
)


class Narratives(BidsStudy):
    """fMRIPrep's output in `derivatives/fmriprep` where it is, else the raw images; cleaned and z-scored as `bids` is.

    A story is named by what was played: a task, a version of the Milky Way task (`milkywayoriginal`, `milkywayvodka`,
    `milkywaysynonyms`), or one of the eight stories of the schema task, each cut out of the recording that it shares
    with films. A session is the number of the run, so that a second hearing of a story is never another story. The
    scans that the authors exclude are left out. A story without an alignment is a run without words.

    `info["same_text"]` lists stories that share their text or retell it: no split may part them.

    Parameters
    ----------
    root
        The data set's top folder (with `stimuli` and `sub-*`), or its `derivatives/fmriprep`.
    task, high_pass
        As in `bids`.
    space
        Of fMRIPrep's images; the raw ones have none.
    excluded
        Read the excluded scans too.
    """

    name = "narratives"
    url = "https://openneuro.org/datasets/ds002345"
    doi = "10.18112/openneuro.ds002345"
    licence = "CC0-1.0 (the stories: for non-commercial research, as their README asks)"
    citation = "Nastase, Liu, Hillman, ..., Hasson (2021). Scientific Data 8:250."
    language = "en"
    info: ClassVar[dict[str, Any]] = {
        "subjects": 345,
        "different_stories": 27,
        "scans": 891,
        "repetition_time": 1.5,
        "same_text": (
            ("milkywayoriginal", "milkywayvodka", "milkywaysynonyms"),
            ("notthefallintact", "notthefalllongscram", "notthefallshortscram"),
            ("pieman", "piemanpni"),
        ),
    }
    openneuro: ClassVar[tuple[str, str]] = ("https://s3.amazonaws.com/openneuro.org", "ds002345/")
    indi: ClassVar[tuple[str, str]] = ("https://s3.amazonaws.com/fcp-indi", "data/Projects/narratives/")

    def __init__(
        self,
        root: str | Path,
        task: str | None = None,
        high_pass: float | None = 0.01,
        *,
        space: str = SPACE,
        excluded: bool = False,
    ) -> None:
        folders = Path(root) / "derivatives" / "fmriprep", Path(root)
        cleaned = next((folder for folder in folders if any(folder.glob("sub-*/func/*_desc-preproc_bold.nii*"))), None)
        super().__init__(cleaned or root, task, high_pass, space=space if cleaned else None)
        self.with_excluded = excluded
        above = (Path(root), *Path(root).resolve().parents[:2])
        self.dataset = next((folder for folder in above if (folder / "stimuli").is_dir()), Path(root))

    def _heard(self, story: str, image: Path, rows: Rows, seconds: float) -> tuple[Rows, tuple[Word, ...]]:
        """The recording or its part, with the story's words; raises for a broken alignment."""
        played, start = self._played(image), 0
        if len(played) > 1:
            start = math.floor(played[story].onset / seconds)
            rows = _Part(rows, start, math.ceil((played[story].end + REACH) / seconds))
        return rows, self._words(story, played.get(story), start * seconds, rows.shape[0] * seconds)

    def sources(self, subject: str, story: str, session: str = "") -> list[Path]:
        text = self._alignment(story)
        return [*super().sources(subject, story, session), *([text] if text and text.is_file() else [])]

    @cached_property
    def _images(self) -> dict[Recording, Path]:
        """As in `bids`, named by story and run, without the excluded scans."""
        found: dict[Recording, Path] = {}
        for path in super()._images.values():
            names = entities(path)
            session = f"run-{names['run']}" if "run" in names else ""
            if self.with_excluded or not self._is_excluded(path):
                stories = list(self._played(path)) or [names["task"]]
                found |= {(f"sub-{names['sub']}", story, session): path for story in stories}
        return found

    def _played(self, image: Path) -> dict[str, Audio]:
        """Stories that were played during a recording, by name; none where there are no events."""
        events = self._related(image, "events.tsv")
        audio = read_audio(events[-1]) if events else {}
        task = entities(image)["task"]
        if len(audio) == 1:
            # One early release calls the audio of all three notthefall tasks alike: then the task tells more.
            (name,) = audio
            return {name if name.startswith(task) else task: audio[name]}
        return audio

    def _words(self, story: str, audio: Audio | None, origin: float, duration: float) -> tuple[Word, ...]:
        path = self._alignment(story)
        if path is None or audio is None:
            return ()
        words = placed(read_alignment(path), audio.onset - origin, audio.begin - origin)
        return tuple(word for word in words if 0 <= word.onset < duration)

    def _alignment(self, story: str) -> Path | None:
        return alignment_file(self.dataset / "stimuli" / "gentle" / story)

    def _is_excluded(self, image: Path) -> bool:
        return any(image.name.startswith(f"{scan}_") for scan in self._excluded)

    @cached_property
    def _excluded(self) -> tuple[str, ...]:
        path = self.dataset / "code" / "scan_exclude.json"
        return read_excluded(path) if path.is_file() else EXCLUDED

    @classmethod
    def remote_files(cls, subjects: Sequence[str]) -> list[RemoteFile]:
        """Raw images, sidecars and events of these people from OpenNeuro's bucket, and the alignments of all stories.

        fMRIPrep's output is not in that bucket: DataLad brings it (`datalad install ///labs/hasson/narratives`).
        """
        if not subjects:
            raise WrongArgument("no subject named", "--subject", "Name one or more of sub-001 to sub-345.")
        runs = [_listed(cls.openneuro, f"{subject}/func/") for subject in subjects]
        for subject, files in zip(subjects, runs, strict=True):
            if not files:
                raise MissingData(f"no recordings of {subject} at OpenNeuro", cls.url, "There are sub-001 to sub-345.")
        shared = [file for folder in ("task-", "participants.") for file in _listed(cls.openneuro, folder)]
        for folder, ending in (("stimuli/gentle/", "/align.csv"), ("code/scan_exclude.json", ".json")):
            listed = _listed(cls.openneuro, folder) or _listed(cls.indi, folder)
            shared += [file for file in listed if file.path.endswith(ending)]
        return [*(file for files in runs for file in files), *shared]

    @classmethod
    def remote_estimate(cls, subjects: Sequence[str]) -> list[Estimate]:
        """About what `remote_files` would list, without a network."""
        known = [subject for subject in subjects if re.fullmatch(r"sub-\d{3}", subject)]
        runs = [Estimate(f"{subject}/func/*", 9, 3 * 200_000_000) for subject in known]
        return [*runs, Estimate("stimuli/gentle/*/align.csv", 27, 27 * 100_000)] if runs else []


@dataclass(frozen=True, slots=True)
class Audio:
    """An audio file as it was played, in s of the run: its `onset`, the `begin` of the story in it, and its `end`."""

    onset: float
    begin: float
    end: float


def read_audio(path: Path) -> dict[str, Audio]:
    """Audio files of an events table by name, in the order in which they were played.

    Raises `MissingData` without content or a column, `BrokenData` for what is no table or no time.
    """
    try:
        table = pd.read_csv(require_content(path), sep="\t", dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise BrokenData("the events cannot be read", path, "Take the file as it was published.") from error
    absent = [column for column in ("onset", "duration", "trial_type", "stim_file") if column not in table]
    if absent:
        raise MissingData(f"the events have no column {', '.join(absent)}", path, "Take the file as it was published.")
    table = table[table["stim_file"].str.endswith(AUDIO)]
    times = table[["onset", "duration"]].apply(pd.to_numeric, errors="coerce")
    if not np.isfinite(times.to_numpy(float)).all():
        raise BrokenData("onset or duration of an audio is no number", path, "Take the file as it was published.")
    table = table.assign(onset=times["onset"], end=times["onset"] + times["duration"])
    told = table[table["trial_type"] == "story"]
    return {
        str(file).removesuffix(AUDIO): Audio(
            float(table.loc[table["stim_file"] == file, "onset"].min()),
            float(rows["onset"].min()),
            float(rows["end"].max()),
        )
        for file, rows in told.groupby("stim_file", sort=False)
    }


def read_excluded(path: Path) -> tuple[str, ...]:
    """Beginnings of the file names of the excluded scans, from {task: {subject: [scan, ...]}}."""
    try:
        tasks = json.loads(path.read_text(encoding="utf-8"))
        scans = [scan for people in tasks.values() for listed in people.values() for scan in listed]
    except (ValueError, AttributeError, TypeError) as error:
        raise BrokenData(f"the excluded scans cannot be read: {error}", path, "Take the file as published.") from error
    if not all(isinstance(scan, str) for scan in scans):
        raise BrokenData("an excluded scan is not a name", path, "Take the file as it was published.")
    return tuple(scans)


class _Part:
    """Rows start..stop of a recording, as far as it has them."""

    def __init__(self, rows: Rows, start: int, stop: int) -> None:
        self._rows, self._start = rows, start
        self.shape = max(min(stop, rows.shape[0]) - start, 0), *rows.shape[1:]

    def __getitem__(self, rows: slice) -> Float32[np.ndarray, "time channel"]:
        start, stop, step = rows.indices(self.shape[0])
        return self._rows[self._start + start : self._start + stop : step]


def _listed(place: tuple[str, str], folder: str) -> list[RemoteFile]:
    bucket, prefix = place
    return s3_files(bucket, prefix + folder, strip=prefix)
