"""haxby2001: people see blocks of images of eight categories (Haxby, Gobbini, ..., Pietrini 2001, Science 293:2425).

Two layouts are known: PyMVPA's example, one slice of one person, and that of nilearn's `fetch_haxby`, six people with
masks of ventral temporal cortex. In both a table labels every volume with its category and its run. Conditions are the
categories, folds the runs; "rest" is no condition.

The labels are late: they begin from 1.0 to 4.5 s (mean 2.6 s) after the paper's schedule and last 22.5 s instead of 24.
We take the order of the categories from the labels and the times from the paper (12 s of rest, then a block of 24 s
every 36 s). On PyMVPA's slice that gives a mean crossnobis of .110 and 65% of categories right (8-way correlation of
noise-normalised patterns with the mean of the other runs, chance 12.5%); the labels' times give .062 and 52%.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from rsatoolbox.data import Dataset

from .errors import BrokenData, MissingData
from .glm import Glm
from .image_study import ImageStudy, Stimuli
from .nifti import BoldImage, open_bold
from .patterns import ConditionRun, Patterns, patterns
from .photographs import read_photographs
from .regions import region, voxel_series

REPETITION_TIME = 2.5  # s
REST, BLOCK = 12.0, 24.0  # s
LATEST = 6.0  # s after a block's onset in which its label begins
BASELINE = "rest"
CATEGORIES = ("bottle", "cat", "chair", "face", "house", "scissors", "scrambledpix", "shoe")
PHOTOGRAPHS = ("bottles", "cats", "chairs", "faces", "houses", "scissors", "controls", "shoes")
EXAMPLE = "haxby_sub1_1slice_bold.nii.gz"  # PyMVPA's
MASKS = {  # nilearn's
    "vt": "mask4_vt.nii.gz",
    "face": "mask8b_face_vt.nii.gz",
    "house": "mask8b_house_vt.nii.gz",
    "face-little": "mask8_face_vt.nii.gz",
    "house-little": "mask8_house_vt.nii.gz",
}


@dataclass(frozen=True)
class _Files:
    image: Path
    labels: Path
    masks: dict[str, Path]


class Haxby2001(ImageStudy):
    """Responses of up to six people to eight categories in twelve runs; subject 5 has eleven, one is not labelled.

    Regions are "slice" in PyMVPA's layout, and in nilearn's "vt" (ventral temporal cortex) and, within it, "face",
    "house" and the smaller "face-little" and "house-little" where they are there.

    Parameters
    ----------
    root
        Folder with `haxby_sub1_1slice_bold.nii.gz`, or with `subj1`, `subj2`, ... .
    glm
        The model of a run.
    as_labelled
        Blocks begin and end with their labels instead of by the paper's schedule.
    side
        Pixels along each side to which the stimuli are brought; None keeps the published size.
    """

    study = "haxby2001"
    url = "http://data.pymvpa.org/datasets/haxby2001/"
    doi = "10.1126/science.1063736"
    licence = "CC BY-SA 3.0"
    citation = "Haxby, Gobbini, Furey, Ishai, Schouten, Pietrini (2001). Science 293:2425-2430."
    info: ClassVar[dict[str, Any]] = {"subjects": 6, "categories": CATEGORIES, "runs": 12, "rows": 1452}
    by_hand = "nilearn.datasets.fetch_haxby brings it; give the folder that holds subj1, subj2, ..."

    def __init__(
        self, root: str | Path, glm: Glm | None = None, *, as_labelled: bool = False, side: int | None = None
    ) -> None:
        super().__init__(root)
        self.glm, self.as_labelled, self.side = glm or Glm(), as_labelled, side

    @property
    def subjects(self) -> tuple[str, ...]:
        return tuple(self._files())

    @property
    def regions(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for files in self._files().values() for name in files.masks))

    def stimuli(self) -> Stimuli:
        """The photographs in `stimuli` (fetch_haxby's `fetch_stimuli`), each with its `category`, the condition's id.

        Which of them were seen when is not published: average features over a category. Raises `MissingData` without.
        """
        found = {
            path: category
            for folder, category in zip(PHOTOGRAPHS, CATEGORIES, strict=True)
            for path in sorted((self.root / "stimuli" / folder).rglob("*.jpg"))
        }
        if not found:
            raise MissingData(
                "no photographs of haxby2001",
                self.root / "stimuli",
                "They are in fetch_haxby's stimuli archive, not in PyMVPA's example.",
            )
        ids = tuple(path.relative_to(self.root / "stimuli").with_suffix("").as_posix() for path in found)
        return Stimuli(ids, read_photographs(list(found), self.side), {"category": np.array(list(found.values()))})

    def patterns(self, subject: str, region: str) -> Dataset:
        """One row per category and run, one channel per voxel. Raises as `run_patterns` does."""
        return self.run_patterns(subject, region).dataset

    def run_patterns(self, subject: str, region_name: str) -> Patterns:
        """Estimates of each category in each run, with the noise of each run.

        Raises `MissingData` for an unknown subject or region, `BrokenData` for files that do not fit together, and as
        `patterns.patterns` does.
        """
        files = self._files()[self._known(subject, self.subjects, "subject")]
        image = open_bold(files.image)
        mask = region(files.masks[self._known(region_name, tuple(files.masks), "region")], image)
        labels, series = self._labels(files.labels, image), voxel_series(image, mask)
        runs = [
            ConditionRun(f"{number:02d}", series[rows], REPETITION_TIME, events)
            for number, rows in labels.groupby("run").indices.items()
            if not (events := self._events(labels["category"].to_numpy()[rows], files.labels)).empty
        ]
        told: dict[str, Any] = {"study": self.study, "subject": subject, "region": region_name}
        return patterns(runs, mask, self.glm, **told, name=f"{region_name}, {subject}")

    def _files(self) -> dict[str, _Files]:
        """By subject."""
        if (self.root / EXAMPLE).is_file():
            labels, mask = self.root / "attributes_literal.txt", self.root / "mask.nii.gz"
            return {"1": _Files(self.root / EXAMPLE, labels, {"slice": mask})}
        found = {}
        for image in sorted(self.root.glob("subj[0-9]/bold.nii.gz")):
            masks = {name: image.parent / mask for name, mask in MASKS.items() if (image.parent / mask).is_file()}
            found[image.parent.name.removeprefix("subj")] = _Files(image, image.parent / "labels.txt", masks)
        return found

    def _labels(self, path: Path, image: BoldImage) -> pd.DataFrame:
        """category and run (counted from 1) of each volume."""
        if not path.is_file():
            raise MissingData("no labels of the volumes", path, "Give --root the folder as it was published.")
        rows = [line.replace(",", " ").split() for line in path.read_text(encoding="utf-8").splitlines()]
        rows = [row for row in rows if row and row != ["labels", "chunks"]]
        if not all(len(row) == 2 and row[1].isdecimal() for row in rows) or len(rows) != image.n_volumes:
            raise BrokenData(
                f"these are not the category and run of {image.n_volumes} volumes ({len(rows)} lines)",
                path,
                "Take the labels that were published with the image.",
            )
        return pd.DataFrame({"category": [row[0] for row in rows], "run": [int(row[1]) + 1 for row in rows]})

    def _events(self, categories: np.ndarray, path: Path) -> pd.DataFrame:
        """The blocks of a run, from the category of each of its volumes."""
        begins = np.flatnonzero(np.append(True, categories[1:] != categories[:-1]))
        lengths = np.diff(np.append(begins, len(categories)))
        shown = categories[begins] != BASELINE
        onset, duration = begins[shown] * REPETITION_TIME, lengths[shown] * REPETITION_TIME
        if not self.as_labelled:
            scheduled = REST + (REST + BLOCK) * np.floor((onset - REST) / (REST + BLOCK))
            if not (
                np.unique(scheduled).size == onset.size and np.all((onset - scheduled <= LATEST) & (onset >= REST))
            ):
                raise BrokenData(
                    "the labelled blocks do not follow the published schedule of 24 s every 36 s",
                    path,
                    "Set as_labelled to take the times of the labels.",
                )
            onset, duration = scheduled, np.full(onset.size, BLOCK)
        return pd.DataFrame({"onset": onset, "duration": duration, "trial_type": categories[begins[shown]]})
