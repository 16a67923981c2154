"""The synthetic study: people who hear stories, the truth known; written to disk and read as any BIDS folder."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import nibabel as nib
import numpy as np
from jaxtyping import Bool, Float

from .bids import BidsStudy
from .design import SyntheticDesign
from .errors import MissingData
from .plan import Text, make_plan
from .planted_tree import MASK, TRUTH, write_tree
from .study import VoxelMask


class SyntheticStudy(BidsStudy):
    """Reads what `write_synthetic` wrote. Only `design`, `split` and the methods on the truth need the truth's folder.

    A subject's truth: the response of voxel v at row t is sum over features f of features[t, f] * weights[f, v].
    """

    name = "synthetic"
    url = "https://bids.neuroimaging.io"
    doi = "none: made by plasticode"
    licence = "CC0-1.0"
    citation = "Made by plasticode.datasets.synthetic"
    language = "en"
    info: ClassVar[dict[str, Any]] = {"subjects": 4, "stories": 14}

    def mask_path(self, subject: str, story: str, session: str = "") -> Path | None:
        """The mask of the whole group, if it is there."""
        path = self.root / MASK
        return path if path.is_file() else None

    @cached_property
    def record(self) -> dict[str, Any]:
        """All that `derivatives/truth/design.json` says; `MissingData` without it."""
        record: dict[str, Any] = json.loads(self._truth_file("design.json").read_text(encoding="utf-8"))
        return record

    @property
    def design(self) -> SyntheticDesign:
        return SyntheticDesign.from_record(self.record["identity"]["design"])

    def split(self) -> dict[str, tuple[str, ...]]:
        """Names of the stories for `train`, `validation` and `test`; a story that the design does not name trains."""
        design, stories = self.design, self.record["stories"]
        held = {"validation": design.validation, "test": design.test}
        parts = {part: tuple(name for name in stories if name in names) for part, names in held.items()}
        return {"train": tuple(name for name in stories if name not in {*design.validation, *design.test}), **parts}

    @property
    def unseen_subject(self) -> str:
        """The last subject, meant to be held out."""
        return self.design.subjects[-1]

    def truth(self, subject: str) -> VoxelMask:
        """The voxels that respond to any feature, in the grid of the runs."""
        image: Any = nib.load(self._truth_file(subject, f"{subject}_desc-responsive_mask.nii.gz"))
        return VoxelMask(np.asarray(image.dataobj) != 0, np.asarray(image.affine))

    def responsive(self, subject: str) -> Bool[np.ndarray, " channel"]:
        """`truth` as one value per channel of the subject's responses."""
        return np.asarray(self.truth(subject).volume[self._brain])

    def weights(self, subject: str) -> Float[np.ndarray, "feature channel"]:
        """Image units per unit of a feature."""
        image: Any = nib.load(self._truth_file(subject, f"{subject}_desc-weights_map.nii.gz"))
        return np.asarray(np.asarray(image.dataobj, np.float64)[self._brain].T)

    @property
    def feature_scale(self) -> dict[str, float]:
        """By name: how much of a convolved feature is one unit of it."""
        return dict(self.record["feature_scale"])

    @cached_property
    def _brain(self) -> Bool[np.ndarray, "x y z"]:
        image: Any = nib.load(self.root / MASK)
        return np.asarray(np.asarray(image.dataobj) != 0)

    def _truth_file(self, *parts: str) -> Path:
        path = self.root.joinpath(TRUTH, *parts)
        if not path.is_file():
            raise MissingData(
                "no planted truth", path, "Write the study again with write_synthetic, or do without its truth."
            )
        return path


def write_synthetic(
    root: str | Path,
    design: SyntheticDesign | None = None,
    seed: int = 0,
    text: Text | None = None,
    progress: bool = True,
) -> SyntheticStudy:
    """Write a synthetic study under `root`, or reuse the one that is there.

    Parameters
    ----------
    root
        A new or empty folder, or one in which the same study was written before.
    design
        `SyntheticDesign()` by default.
    seed
        Of all random numbers: the same design, seed and text give the same bytes.
    text
        By story: the words, on the clock of the recording. The grammar's own stories by default. Words that the
        grammar does not know are spread over the topics.
    progress
        Shows a progress bar.

    Raises `WrongArgument` when the folder holds something else, a story's name is not letters and digits, or there are
    no words.
    """
    root = Path(root)
    write_tree(root, make_plan(design or SyntheticDesign(), seed, text), progress)
    return SyntheticStudy(root)
