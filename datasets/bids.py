"""A user's own BIDS folder, raw or fMRIPrep derivatives, with the heard words in the events files.

Raw: `sub-*/[ses-*/]func/sub-X[_ses-Y]_task-T[_run-N]_bold.nii[.gz]`. Derivatives: the same names with
`[_space-S]_desc-preproc_bold.nii.gz`, `desc-brain_mask` and `desc-confounds_timeseries.tsv`. Only the folders
`sub-*/func` and `sub-*/ses-*/func` are listed, and only when they are needed.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from .bold import CleanedBold, Cleaning
from .confounds import confounds_file, read_confounds
from .errors import MissingData, WrongArgument
from .events import read_words
from .nifti import BoldImage, epi_mask, open_bold, read_mask
from .sidecars import entities, inherited, repetition_time
from .study import Responses, Rows, Run, Study, VoxelMask, Word

Recording = tuple[str, str, str]


class BidsStudy(Study):
    """Recordings of people who heard words, in a BIDS folder.

    Subjects and sessions carry their prefix (`sub-01`, `ses-2`). A story is a task label, or `TASK_run-NN` where the
    task has several runs.

    Parameters
    ----------
    root
        Raw data set, or the folder of fMRIPrep's derivatives.
    task
        Only this task; all by default.
    high_pass
        Hz: slower fluctuations are removed; None for no filter.
    space
        Which of several fMRIPrep spaces to read, for example `MNI152NLin2009cAsym`.
    raw
        The raw data set that holds the events of derivatives; by default the folder above `derivatives`, or
        `sourcedata/raw` or `sourcedata` inside the root.
    language
        Of the words.
    """

    name = "bids"
    url = "https://bids.neuroimaging.io"
    doi = "10.1038/sdata.2016.44"
    licence = "that of your data set"
    citation = "Your data set; for the layout: Gorgolewski et al. 2016, Scientific Data 3:160044"
    language = "en"
    info: ClassVar[dict[str, Any]] = {}

    def __init__(
        self,
        root: str | Path,
        task: str | None = None,
        high_pass: float | None = 0.01,
        *,
        space: str | None = None,
        raw: str | Path | None = None,
        language: str | None = None,
    ) -> None:
        super().__init__(root)
        self.task, self.high_pass, self.space = task, high_pass, space
        self.words_language = language or self.language
        self.raw = self._raw_root(raw)

    def subjects(self) -> list[str]:
        return sorted({subject for subject, _, _ in self._images})

    def stories(self, subject: str) -> list[str]:
        return sorted({story for who, story, _ in self._images if who == subject})

    def sessions(self, subject: str, story: str) -> list[str]:
        return sorted(session for who, what, session in self._images if (who, what) == (subject, story))

    def run(self, subject: str, story: str, session: str = "") -> Run:
        """The recording, with its words where there is an events file.

        Raises `MissingData` and `BrokenData` for what is wrong with the header, the mask, the sidecars, the events or
        the confounds; what is wrong with the voxels is said when they are read.
        """
        image = open_bold(self.image_path(subject, story, session))
        seconds = repetition_time(image, self._related(image.path, "bold.json"))
        mask = self._mask(image, self.mask_path(subject, story, session))
        cleaned = CleanedBold(image, mask, self._cleaning(image, seconds))
        rows, words = self._heard(story, image.path, cleaned, seconds)
        return Run(
            study=self.name,
            subject=subject,
            story=story,
            session=session,
            repetition_time=seconds,
            responses=Responses(rows, mask),
            words=words,
            language=self.words_language,
        )

    def _heard(self, story: str, image: Path, rows: Rows, seconds: float) -> tuple[Rows, tuple[Word, ...]]:
        """The rows of a recording that belong to the story, and its words on their clock."""
        events = self._related(image, "events.tsv")
        return rows, read_words(events[-1], rows.shape[0] * seconds) if events else ()

    def image_path(self, subject: str, story: str, session: str = "") -> Path:
        """The run's BOLD image; `MissingData` when there is none."""
        if (subject, story, session) not in self._images:
            raise MissingData(
                f"no run of {' '.join(filter(None, (subject, story, session)))}",
                self.root,
                f"Stories of this subject: {', '.join(self.stories(subject)) or 'none'}.",
            )
        return self._images[subject, story, session]

    def mask_path(self, subject: str, story: str, session: str = "") -> Path | None:
        """fMRIPrep's brain mask; None where nilearn is to compute the mask from the image."""
        image = self.image_path(subject, story, session)
        path = image.with_name(image.name.replace("_desc-preproc_bold.", "_desc-brain_mask."))
        return path if path != image and path.is_file() else None

    def sources(self, subject: str, story: str, session: str = "") -> list[Path]:
        image = self.image_path(subject, story, session)
        confounds, mask = confounds_file(image), self.mask_path(subject, story, session)
        related = self._related(image, "bold.json") + self._related(image, "events.tsv")[-1:]
        beside = [confounds, confounds.with_suffix(".json")] if confounds else []
        return [image, *([mask] if mask else []), *related, *(path for path in beside if path.is_file())]

    def cache_key(self) -> dict[str, Any]:
        return super().cache_key() | {"high_pass": self.high_pass, "language": self.words_language}

    @cached_property
    def _images(self) -> dict[Recording, Path]:
        """The image of every recording, from the names in the func folders."""
        found = [path for folder in _func_folders(self.root) for path in _bold_images(folder, self.space)]
        if not found:
            raise MissingData(
                "no BOLD images sub-*/[ses-*/]func/*_bold.nii[.gz]" + (f" in space {self.space}" if self.space else ""),
                self.root,
                "Give the top folder of a BIDS data set or of fMRIPrep's derivatives.",
            )
        runs: dict[str, set[str | None]] = defaultdict(set)
        for path in found:
            runs[entities(path)["task"]].add(entities(path).get("run"))
        chosen = [path for path in found if self.task in (None, entities(path)["task"])]
        if not chosen:
            raise MissingData(f"no runs of task {self.task}", self.root, f"Tasks: {', '.join(sorted(runs))}.")
        images: dict[Recording, Path] = {}
        for path in chosen:
            recording = _recording(path, numbered=len(runs[entities(path)["task"]]) > 1)
            if recording in images:
                raise _ambiguous(recording, images[recording], path)
            images[recording] = path
        return images

    def _related(self, image: Path, ending: str) -> list[Path]:
        """Inherited files of the raw data set, then of the derivatives, the nearest to the image last."""
        names, inside = entities(image), image.parent.relative_to(self.root)
        places = [(self.raw, self.raw / inside)] if self.raw else []
        places.append((self.root, image.parent))
        return [path for root, folder in places for path in inherited(root, folder, names, ending)]

    def _mask(self, image: BoldImage, path: Path | None) -> VoxelMask:
        return epi_mask(image.path) if path is None else read_mask(path, image)

    def _cleaning(self, image: BoldImage, seconds: float) -> Cleaning:
        return Cleaning(seconds, self.high_pass, *read_confounds(image.path, image.n_volumes))

    def _raw_root(self, raw: str | Path | None) -> Path | None:
        if raw is not None:
            if not Path(raw).is_dir():
                raise MissingData("no folder of raw data", raw, "Give the BIDS data set that holds the events.")
            return Path(raw)
        whole = self.root.resolve()
        above = [folder.parent for folder in (whole, *whole.parents) if folder.name == "derivatives"]
        inside = [self.root / "sourcedata" / "raw", self.root / "sourcedata"]
        return next((folder for folder in (*above, *inside) if any(folder.glob("sub-*"))), None)


def _func_folders(root: Path) -> list[Path]:
    return sorted([*root.glob("sub-*/func"), *root.glob("sub-*/ses-*/func")])


def _bold_images(folder: Path, space: str | None) -> list[Path]:
    """fMRIPrep's preprocessed images if the folder has them, else the raw ones, which have no desc entity."""
    names = sorted([*folder.glob("sub-*_task-*_bold.nii"), *folder.glob("sub-*_task-*_bold.nii.gz")])
    preprocessed = [path for path in names if entities(path).get("desc") == "preproc"]
    images = preprocessed or [path for path in names if "desc" not in entities(path)]
    return [path for path in images if space in (None, entities(path).get("space"))]


def _recording(path: Path, numbered: bool) -> Recording:
    names = entities(path)
    story = names["task"] + (f"_run-{names['run']}" if numbered and "run" in names else "")
    return f"sub-{names['sub']}", story, f"ses-{names['ses']}" if "ses" in names else ""


def _ambiguous(recording: Recording, one: Path, other: Path) -> WrongArgument:
    spaces = sorted({entities(path).get("space", "") for path in (one, other)})
    remedy = f"Choose one with space={' or '.join(filter(None, spaces))}." if len(spaces) > 1 else "Keep one of them."
    return WrongArgument(
        f"two images for {' '.join(filter(None, recording))}: {one.name}, {other.name}", one.parent, remedy
    )
