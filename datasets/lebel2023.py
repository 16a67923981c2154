"""lebel2023 (OpenNeuro ds003020): people listen to some 90 spoken stories each (LeBel et al. 2023).

Two forms are recognised by what lies in the folder.

*Reduced*: `uts*.npz` (200 principal components per TR) and `texts.json` (the words of each TR).

*Official*: `derivatives/preprocessed_data/UTS0X/<story>.hf5`, `derivatives/TextGrids/<story>.TextGrid` and
`derivatives/respdict.json`; releases before 3 call the folder `derivative`. The folder itself may also be the root.

Clock of the official form. The authors' code (github HuthLab/deep-fMRI-dataset: `load_simulated_trfiles(respdict,
tr=2.0, start_time=10.0, pad=5)`, then `features[5 + trim : -trim]` with trim = 5) puts TR k at 2.0 k - 10 s of the
audio, simulates respdict - 5 TRs and drops the first 10 and the last 5. So row 0 is TR 10, 10.0 s into the audio, and
a story has respdict - 20 rows (true of every story that is in both forms).

Two repetition times. 2.0045 s is what the reduced form's source states; there the words are known by row, so no value
can move them. The official clock keeps the authors' 2.0 s: were rows 2.0045 s apart, words placed at 2.0 s would drift
by 0.74 rows against the responses between rows 40 and 370 of a story; the measured drift is 0.02-0.11 (sd .05).
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from .annex import absent_key, require_content
from .archive import read_arrays
from .errors import BrokenData, MissingData, WrongArgument
from .hdf5 import HdfRows
from .remote import Estimate, RemoteFile, s3_files
from .standardise import Standardised
from .study import Responses, Run, Study, Word
from .textgrid import read_textgrid

DERIVATIVES = ("derivatives", "derivative")
FIRST_TR, DROPPED = 10, (20, 15)  # TRs of respdict without a row: 20; 15 where it leaves out the 5 after the simulation
AUDIO_LEAD = 10.0  # s from the first TR to the start of the audio
OFFICIAL_TR, REDUCED_TR = 2.0, 2.0045  # s, see above
SILENT = {
    "",
    "sp",
    "sil",
    "br",
    "lg",
    "ls",
    "ns",
    "sentence_start",
    "sentence_end",
}  # not words, as the authors have it
VOXELS = {"UTS01": 81126, "UTS02": 94251, "UTS03": 95556}
OFFICIAL_ROWS = 28_088  # respdict - 20, summed over the 84 stories; the file of a run has rows x voxels x 8 bytes


class Lebel2023(Study):
    """Responses are z-scored per story by that story alone, in both forms; there is no mask.

    Reduced: PC 1 of one person is not PC 1 of another; words are spread evenly over their TR (`timing` "repetition").
    Official: voxels that are missing (NaN) become 0; words have their own onsets, in lower case as in the authors'
    code; words outside the rows are left out. A story whose text is not there is a run without words.

    Parameters
    ----------
    root
        A folder in either form. Raises `MissingData` when it is in neither.
    """

    name = "lebel2023"
    url = "https://openneuro.org/datasets/ds003020"
    doi = "10.18112/openneuro.ds003020"
    licence = "CC0-1.0 (the tellers may hold copyright in the stories)"
    citation = "LeBel, Wagner, Jain, ..., Huth (2023). Scientific Data 10:555."
    language = "en"
    info: ClassVar[dict[str, Any]] = {
        "subjects": 3,
        "stories": {"UTS01": 93, "UTS02": 98, "UTS03": 98},
        "rows": {"UTS01": 32_087, "UTS02": 33_876, "UTS03": 33_876},
        "channels": 200,
        "official": {"subjects": 8, "stories": 84, "rows": OFFICIAL_ROWS, "voxels": VOXELS},
    }
    bucket: ClassVar[str] = "https://s3.amazonaws.com/openneuro.org"

    def __init__(self, root: str | Path) -> None:
        super().__init__(root)
        self._form = _recognised(self.root)

    def subjects(self) -> list[str]:
        return self._form.subjects()

    def stories(self, subject: str) -> list[str]:
        self._all_known([subject], self.subjects(), "subject")
        return self._form.stories(subject)

    def run(self, subject: str, story: str, session: str = "") -> Run:
        """The run. Raises `MissingData` for an unknown name, `BrokenData` for files that are not in the layout."""
        self._all_known([story], self.stories(subject), "story")
        return self._form.run(subject, story)

    def sources(self, subject: str, story: str, session: str = "") -> list[Path]:
        return [path for path in self._form.sources(subject, story) if path.exists()]

    @classmethod
    def remote_files(cls, subjects: Sequence[str]) -> list[RemoteFile]:
        """Files of the official form that these subjects need, as OpenNeuro's public bucket lists them now."""
        if not subjects:
            raise WrongArgument("no subject named", "--subject", "Name one or more of UTS01 to UTS08.")
        for folder in DERIVATIVES:
            base = f"ds003020/{folder}"
            runs = [cls._recordings_of(subject, base) for subject in subjects]
            if any(runs):
                break
        for subject, files in zip(subjects, runs, strict=True):
            if not files:
                raise MissingData(f"no recordings of {subject} at OpenNeuro", cls.url, "There are UTS01 to UTS08.")
        heard = {Path(file.path).stem for files in runs for file in files}
        texts = s3_files(cls.bucket, f"{base}/TextGrids/", strip="ds003020/")
        lengths = s3_files(cls.bucket, f"{base}/respdict.json", strip="ds003020/")
        return [file for files in runs for file in files] + [t for t in texts if Path(t.path).stem in heard] + lengths

    @classmethod
    def _recordings_of(cls, subject: str, base: str) -> list[RemoteFile]:
        files = s3_files(cls.bucket, f"{base}/preprocessed_data/{subject}/", strip="ds003020/")
        return [file for file in files if file.path.endswith(".hf5")]

    @classmethod
    def remote_estimate(cls, subjects: Sequence[str]) -> list[Estimate]:
        """What `remote_files` would list, by the published numbers of stories, rows and voxels; needs no network."""
        known = [subject for subject in subjects if subject in VOXELS]
        runs = [
            Estimate(f"derivatives/preprocessed_data/{subject}/*.hf5", 84, OFFICIAL_ROWS * VOXELS[subject] * 8)
            for subject in known
        ]
        return [*runs, Estimate("derivatives/TextGrids/*.TextGrid", 84, 84 * 1_000_000)] if runs else []


class _Form(ABC):
    """One of the two layouts."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @abstractmethod
    def subjects(self) -> list[str]: ...

    @abstractmethod
    def stories(self, subject: str) -> list[str]: ...

    @abstractmethod
    def run(self, subject: str, story: str) -> Run: ...

    @abstractmethod
    def sources(self, subject: str, story: str) -> list[Path]: ...


def _recognised(root: Path) -> _Form:
    if _archives(root):
        return _Reduced(root)
    for folder in (root, *(root / name for name in DERIVATIVES)):
        if (folder / "preprocessed_data").is_dir():
            return _Official(folder)
    raise MissingData(
        "neither uts*.npz nor derivatives/preprocessed_data is here",
        root,
        "Give --root a folder in one of these forms, or see `plasticode fetch lebel2023 --help`.",
    )


def _archives(root: Path) -> list[Path]:
    return sorted(path for path in root.glob("*.npz") if path.stem.lower().startswith("uts"))


class _Reduced(_Form):
    """`uts01.npz`: pcs (time, channel), story, start and stop (rows of each story); `texts.json`: words of each row."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._paths = {path.stem.upper(): path for path in _archives(root)}
        self._loaded: dict[str, dict[str, np.ndarray]] = {}

    def subjects(self) -> list[str]:
        return sorted(self._paths)

    def stories(self, subject: str) -> list[str]:
        return sorted(self._arrays(subject)["story"].tolist())

    def run(self, subject: str, story: str) -> Run:
        arrays = self._arrays(subject)
        which = arrays["story"].tolist().index(story)
        rows = arrays["pcs"][arrays["start"][which] : arrays["stop"][which]]
        responses = Responses(Standardised(rows, f"{self._paths[subject]}, {story}"))
        words = self._words(story, len(rows))
        return Run(Lebel2023.name, subject, story, REDUCED_TR, responses, words, timing="repetition")

    def sources(self, subject: str, story: str) -> list[Path]:
        return [self._paths[subject], self.root / "texts.json"]

    def _arrays(self, subject: str) -> dict[str, np.ndarray]:
        if subject not in self._loaded:
            path = self._paths[subject]
            axes = {"pcs": "time channel", "story": "story", "start": "story", "stop": "story"}
            arrays = read_arrays(path, axes)
            start, stop = arrays["start"], arrays["stop"]
            if (start < 0).any() or (stop < start).any() or (stop > len(arrays["pcs"])).any():
                raise BrokenData("start and stop lie outside the rows of pcs", path, "Copy the archive again.")
            if len(set(arrays["story"].tolist())) < len(start):
                raise BrokenData("a story is listed twice", path, "Copy the archive again.")
            self._loaded[subject] = arrays
        return self._loaded[subject]

    def _words(self, story: str, n_rows: int) -> tuple[Word, ...]:
        texts = self._texts.get(story)
        if texts is None:
            return ()
        if not isinstance(texts, list) or len(texts) != n_rows or not all(isinstance(text, str) for text in texts):
            raise BrokenData(
                f"story {story} has no list of {n_rows} strings, one for each of its rows",
                self.root / "texts.json",
                "Copy the file that belongs to these recordings.",
            )
        return tuple(word for row, text in enumerate(texts) for word in _evenly(text.split(), row))

    @cached_property
    def _texts(self) -> dict[str, Any]:
        path = self.root / "texts.json"
        return _json_object(path) if path.exists() else {}


def _evenly(texts: list[str], row: int) -> list[Word]:
    """Words of a row, each with an equal share of its time."""
    bounds = (row + np.linspace(0, 1, len(texts) + 1)) * REDUCED_TR
    return [Word(text, *bounds[i : i + 2].tolist()) for i, text in enumerate(texts)]


class _Official(_Form):
    """Voxels per story in HDF5, transcripts as TextGrids, number of TRs per story."""

    def subjects(self) -> list[str]:
        folders = (self.root / "preprocessed_data").iterdir()
        return sorted(folder.name for folder in folders if folder.is_dir() and any(folder.glob("*.hf5")))

    def stories(self, subject: str) -> list[str]:
        return sorted(path.stem for path in (self.root / "preprocessed_data" / subject).glob("*.hf5"))

    def run(self, subject: str, story: str) -> Run:
        path, _, _ = self._files(subject, story)
        rows = HdfRows(path)
        self._check_length(path, story, rows.shape[0])
        words = self._words(story, rows.shape[0] * OFFICIAL_TR)
        return Run(Lebel2023.name, subject, story, OFFICIAL_TR, Responses(Standardised(rows, str(path))), words)

    def sources(self, subject: str, story: str) -> list[Path]:
        return list(self._files(subject, story))

    def _files(self, subject: str, story: str) -> tuple[Path, Path, Path]:
        recording = self.root / "preprocessed_data" / subject / f"{story}.hf5"
        return recording, self.root / "TextGrids" / f"{story}.TextGrid", self.root / "respdict.json"

    def _check_length(self, path: Path, story: str, n_rows: int) -> None:
        """Rows that are not as many as the trimming leaves would put every word at a wrong time."""
        n_trs = self._n_trs.get(story)
        if n_trs is None or n_trs - n_rows in DROPPED:
            return
        raise BrokenData(
            f"{n_rows} rows, but respdict.json has {n_trs!r} TRs for {story}, of which {DROPPED[0]} have no row",
            path,
            "Trim the first 10 and last 5 TRs as the authors do, or fetch both files again.",
        )

    @cached_property
    def _n_trs(self) -> dict[str, Any]:
        path = self.root / "respdict.json"
        if not path.exists() and absent_key(path) is None:
            return {}
        numbers = _json_object(path)
        if not all(type(number) is int for number in numbers.values()):
            raise BrokenData("a number of TRs is not a whole number", path, "Fetch the file again.")
        return numbers

    def _words(self, story: str, duration: float) -> tuple[Word, ...]:
        path = self.root / "TextGrids" / f"{story}.TextGrid"
        if not path.exists() and absent_key(path) is None:
            return ()
        row_zero = FIRST_TR * OFFICIAL_TR - AUDIO_LEAD
        spoken = read_textgrid(require_content(path)).tier("word", "words").intervals
        words = (
            Word(text, interval.start - row_zero, interval.end - row_zero)
            for interval in spoken
            if (text := interval.text.lower().strip("{} \t\n")) not in SILENT
        )
        return tuple(word for word in words if 0 <= word.onset < duration)


def _json_object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(require_content(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise BrokenData(f"this is not JSON: {error}", path, "Copy or fetch the file again.") from error
    if not isinstance(content, dict):
        raise BrokenData("this is not a JSON object of stories", path, "Copy or fetch the file again.")
    return content
