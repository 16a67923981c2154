"""smn4lang (OpenNeuro ds004078): 12 people hear 60 newspaper reviews in Mandarin, 6 hours (Wang et al. 2022).

From a source (the README and the tree of OpenNeuro's repository unless another is named):
- `derivatives/preprocessed_data/sub-XX/MNI/sub-XX_task-RDR_run-N_bold.nii.gz`: HCP's minimal preprocessing, volumes in
  MNI space. Raw: `sub-XX/func/sub-XX_task-RDR_run-N_bold.nii.gz`, with a sidecar that says 0.71 s, and events with the
  columns onset, duration and stim_file (`audio/story_N.wav`, onset 10.65 s).
- `derivatives/annotations/time_align/{word,char}-level/story_N_{word,char}_time.mat`.
- The clock: 10.65 s, from the first volume to the audio, are already added to the annotated times.
- In a .mat file: `start` and `end` in s, (1, n), and `word` or `char`, n strings with punctuation among them: public
  readers of these files on GitHub, which take them apart with scipy's `loadmat`; so they are of version 5.

Assumed: a run without an events file has the story of its own number (all public readers do so); an audio that the
events put elsewhere than at 10.65 s moves its words along; the brain is found by nilearn's EPI mask; an image whose
header does not tell has the sidecars' 0.71 s; about 450 MB per volume file in the estimate of `fetch` (files in the
repository's index have 350 to 590 MB). The older README names `stimuli/time_align`: that is looked at too. The CIFTI
files and MEG are not read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from .annex import absent_key, require_content
from .bold import CleanedBold, Cleaning
from .errors import BrokenData, MissingData, WrongArgument
from .mat_arrays import mat_array
from .mat_strings import mat_strings
from .nifti import BoldImage, epi_mask, open_bold
from .remote import Estimate, RemoteFile, s3_files
from .sidecars import entities, repetition_time
from .study import Responses, Run, Study, Word

REPETITION_TIME = 0.71  # s
AUDIO_ONSET = 10.65  # s after the first volume, and already added to the annotated times
IMAGES = "sub-*_task-RDR_run-*_bold.nii*"
STORY = re.compile(r"story_(\d+)\.wav")


class Smn4Lang(Study):
    """The preprocessed volumes where they are, else the raw ones; detrended, filtered and z-scored per run.

    Stories are "story_01" to "story_60". Words are the annotators' own, so that a text that is written without blanks
    comes apart as they segmented it; punctuation is left out. A story without an annotation is a run without words.

    Parameters
    ----------
    root
        The data set's top folder.
    level
        "word", or "char" for one `Word` per character.
    high_pass
        Hz: slower fluctuations are removed; None for no filter.
    """

    name = "smn4lang"
    url = "https://openneuro.org/datasets/ds004078"
    doi = "10.18112/openneuro.ds004078"
    licence = "CC0-1.0"
    citation = "Wang, Zhang, Zhang & Zong (2022). Scientific Data 9:590."
    language = "zh"
    info: ClassVar[dict[str, Any]] = {"subjects": 12, "stories": 60, "repetition_time": REPETITION_TIME}
    bucket: ClassVar[str] = "https://s3.amazonaws.com/openneuro.org"

    def __init__(self, root: str | Path, level: str = "word", high_pass: float | None = 0.01) -> None:
        super().__init__(root)
        if level not in ("word", "char"):
            raise WrongArgument(f"no annotation of level {level!r}", "level", "Choose word or char.")
        self.level, self.high_pass = level, high_pass

    def subjects(self) -> list[str]:
        return sorted({subject for subject, _ in self._images})

    def stories(self, subject: str) -> list[str]:
        self._all_known([subject], self.subjects(), "subject")
        return sorted(story for person, story in self._images if person == subject)

    def run(self, subject: str, story: str, session: str = "") -> Run:
        """The run. Raises `MissingData` for an unknown name, `BrokenData` for files that are not in the layout."""
        self._all_known([story], self.stories(subject), "story")
        path = self._images[subject, story]
        image, mask = open_bold(path), epi_mask(path)
        seconds = self._seconds(image)
        rows = CleanedBold(image, mask, Cleaning(seconds, self.high_pass))
        words = self._words(story, self._audio(path)[1], image.n_volumes * seconds)
        return Run(self.name, subject, story, seconds, Responses(rows, mask), words, language=self.language)

    def sources(self, subject: str, story: str, session: str = "") -> list[Path]:
        image, text = self._images[subject, story], self._annotation(story)
        beside = [self._raw(image, "bold.json"), self._raw(image, "events.tsv"), *([text] if text else [])]
        return [image, *(path for path in beside if path.is_file())]

    def cache_key(self) -> dict[str, Any]:
        return super().cache_key() | {"level": self.level, "high_pass": self.high_pass}

    @cached_property
    def _images(self) -> dict[tuple[str, str], Path]:
        """The image of every subject and story."""
        preprocessed = sorted((self.root / "derivatives" / "preprocessed_data").glob(f"sub-*/MNI/{IMAGES}"))
        found = preprocessed or sorted(self.root.glob(f"sub-*/func/{IMAGES}"))
        if not found:
            raise MissingData(
                "neither derivatives/preprocessed_data/sub-*/MNI nor sub-*/func holds images of task RDR",
                self.root,
                "Give --root the top folder of ds004078, or see `plasticode fetch smn4lang --help`.",
            )
        images: dict[tuple[str, str], Path] = {}
        for path in found:
            key = f"sub-{entities(path)['sub']}", f"story_{self._audio(path)[0]:02d}"
            if key in images:
                raise BrokenData(f"two images of {' '.join(key)}, the other {images[key].name}", path, "Keep one.")
            images[key] = path
        return images

    def _raw(self, image: Path, ending: str) -> Path:
        """A file of the raw run beside which the image was made; it need not be there."""
        names = entities(image)
        run = f"sub-{names['sub']}_task-RDR_run-{names['run']}_{ending}"
        return self.root / f"sub-{names['sub']}" / "func" / run

    def _audio(self, image: Path) -> tuple[int, float]:
        """Number of the story that was played, and its onset in s."""
        events = self._raw(image, "events.tsv")
        if events.is_file() or absent_key(events):
            return read_story(events)
        return int(entities(image)["run"]), AUDIO_ONSET

    def _seconds(self, image: BoldImage) -> float:
        sidecar = self._raw(image.path, "bold.json")
        try:
            return repetition_time(image, [sidecar] if sidecar.is_file() else [])
        except MissingData:
            return REPETITION_TIME

    def _annotation(self, story: str) -> Path | None:
        name = f"story_{int(story.removeprefix('story_'))}_{self.level}_time.mat"
        places = (self.root / "derivatives" / "annotations", self.root / "stimuli")
        paths = (place / "time_align" / f"{self.level}-level" / name for place in places)
        return next((path for path in paths if path.is_file() or absent_key(path)), None)

    def _words(self, story: str, audio: float, duration: float) -> tuple[Word, ...]:
        path = self._annotation(story)
        if path is None:
            return ()
        texts = mat_strings(path, self.level)
        start, end = (mat_array(path, key).ravel().astype(float) for key in ("start", "end"))
        if not len(texts) == len(start) == len(end):
            counts = f"{len(texts)} texts, {len(start)} starts and {len(end)} ends"
            raise BrokenData(counts, path, "Take the file as it was published.")
        late = audio - AUDIO_ONSET
        spoken = (
            Word(text, onset + late, offset + late)
            for text, onset, offset in zip(texts, start.tolist(), end.tolist(), strict=True)
            if any(map(str.isalnum, text))
        )
        return tuple(sorted((word for word in spoken if 0 <= word.onset < duration), key=lambda word: word.onset))

    @classmethod
    def remote_files(cls, subjects: Sequence[str]) -> list[RemoteFile]:
        """The preprocessed volumes of these people, their events and sidecars, and all annotated times."""
        if not subjects:
            raise WrongArgument("no subject named", "--subject", "Name one or more of sub-01 to sub-12.")
        files: list[RemoteFile] = []
        for subject in subjects:
            images = cls._listed(f"derivatives/preprocessed_data/{subject}/MNI/", "_bold.nii.gz")
            if not images:
                raise MissingData(f"no recordings of {subject} at OpenNeuro", cls.url, "There are sub-01 to sub-12.")
            files += [*images, *cls._listed(f"{subject}/func/", "_events.tsv", "_bold.json")]
        return [*files, *cls._listed("derivatives/annotations/time_align/", ".mat")]

    @classmethod
    def _listed(cls, folder: str, *endings: str) -> list[RemoteFile]:
        files = s3_files(cls.bucket, f"ds004078/{folder}", strip="ds004078/")
        return [file for file in files if file.path.endswith(endings)]

    @classmethod
    def remote_estimate(cls, subjects: Sequence[str]) -> list[Estimate]:
        """About what `remote_files` would list, without a network."""
        known = [subject for subject in subjects if subject in {f"sub-{number:02d}" for number in range(1, 13)}]
        runs = [
            Estimate(f"derivatives/preprocessed_data/{subject}/MNI/*_bold.nii.gz", 60, 60 * 450_000_000)
            for subject in known
        ]
        return [*runs, Estimate("derivatives/annotations/time_align/*/*.mat", 120, 120 * 25_000)] if runs else []


def read_story(path: Path) -> tuple[int, float]:
    """Number of the one story in an events table, and its onset in s.

    Raises `MissingData` without content or a column, `BrokenData` when there is not one story with an onset.
    """
    try:
        table = pd.read_csv(require_content(path), sep="\t", dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise BrokenData("the events cannot be read", path, "Take the file as it was published.") from error
    absent = [column for column in ("onset", "stim_file") if column not in table]
    if absent:
        raise MissingData(f"the events have no column {', '.join(absent)}", path, "Take the file as it was published.")
    table = table.assign(story=table["stim_file"].str.extract(STORY, expand=False)).dropna(subset="story")
    onset = pd.to_numeric(table["onset"], errors="coerce").to_numpy(float)
    if len(table) != 1 or not np.isfinite(onset).all():
        raise BrokenData(f"{len(table)} stories with onsets {onset.tolist()}", path, "Give the one that was played.")
    return int(table["story"].iloc[0]), float(onset[0])
