"""Small BIDS trees, written as scanners and fMRIPrep write them, and small idx files, byte by byte."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

SHAPE = 12, 12, 10
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
WORDS = (("0.5", "0.2", "once"), ("1.0", "n/a", "upon"), ("4.25", "0.25", "nan"), ("5.0", "1.0", "n/a"))
WRITTEN = object()  # what a scanner's software would write


class BidsTree:
    """Writes runs into a raw data set at `root` and fMRIPrep's output into its derivatives."""

    def __init__(self, root: Path) -> None:
        self.root, self.fmriprep_root = root, root / "derivatives" / "fmriprep"
        root.mkdir()

    def raw(
        self,
        name: str = "sub-01_task-alice",
        *,
        data: np.ndarray | None = None,
        affine: np.ndarray = AFFINE,
        sidecar: object = WRITTEN,
        header_seconds: float | None = 2.0,
        words: Sequence[Sequence[str]] | None = WORDS,
        suffix: str = ".nii.gz",
    ) -> Path:
        """One raw run; returns the path of its image."""
        func = self.func(self.root, name)
        path = self.image(func / f"{name}_bold{suffix}", self.bold() if data is None else data, affine, header_seconds)
        if sidecar is not None:
            self.json(func / f"{name}_bold.json", {"RepetitionTime": 2.0} if sidecar is WRITTEN else sidecar)
        if words is not None:
            self.table(func / f"{name}_events.tsv", words)
        return path

    def fmriprep(
        self, name: str = "sub-01_task-alice", *, space: str = "T1w", affine: np.ndarray = AFFINE, unsteady: int = 0
    ) -> Path:
        """One preprocessed run with mask and confounds, and its raw run; returns the path of the image."""
        self.raw(name)
        func = self.func(self.fmriprep_root, name)
        self.image(func / f"{name}_space-{space}_desc-brain_mask.nii.gz", self.brain().astype(np.uint8), affine)
        columns = ["csf", "white_matter", *(f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz")]
        values = np.random.default_rng(1).normal(size=(40, len(columns)))
        columns += [f"non_steady_state_outlier{volume:02d}" for volume in range(unsteady)]
        rows = np.hstack([values, np.eye(40)[:, :unsteady]]).astype(str).tolist()
        self.table(func / f"{name}_desc-confounds_timeseries.tsv", rows, "\t".join(columns))
        self.json(func / f"{name}_desc-confounds_timeseries.json", {})
        return self.image(func / f"{name}_space-{space}_desc-preproc_bold.nii.gz", self.bold(), AFFINE, 2.0)

    @staticmethod
    def func(root: Path, name: str) -> Path:
        return root.joinpath(*(part for part in name.split("_") if part.startswith(("sub-", "ses-"))), "func")

    @staticmethod
    def brain() -> np.ndarray:
        volume = np.zeros(SHAPE, bool)
        volume[3:9, 3:9, 2:8] = True
        return volume

    @classmethod
    def bold(cls, n_volumes: int = 40) -> np.ndarray:
        """A bright block that fluctuates and drifts, on a dark ground: (x, y, z, time), int16."""
        random = np.random.default_rng(0)
        data, brain = random.normal(20, 3, (*SHAPE, n_volumes)), cls.brain()
        data[brain] += 1000 + 20 * random.normal(size=(brain.sum(), n_volumes)) + np.linspace(0, 40, n_volumes)
        return data.astype(np.int16)

    @staticmethod
    def image(path: Path, data: np.ndarray, affine: np.ndarray = AFFINE, seconds: float | None = None) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        image = nib.Nifti1Image(data, AFFINE)
        image.header.set_sform(affine, code=1)
        image.header.set_qform(None, code=0)
        if seconds is not None:
            image.header.set_zooms((*image.header.get_zooms()[:3], seconds))
            image.header.set_xyzt_units("mm", "sec")
        nib.save(nib.Nifti1Image(data, None, image.header), path)
        return path

    @staticmethod
    def table(path: Path, rows: Sequence[Sequence[str]], header: str = "onset\tduration\tword") -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([header, *("\t".join(row) for row in rows)]) + "\n", encoding="utf-8")
        return path

    @staticmethod
    def json(path: Path, content: object) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf-8")
        return path


@pytest.fixture
def tree(tmp_path: Path) -> BidsTree:
    return BidsTree(tmp_path / "study")


class IdxFolder:
    """Random images and labels of both splits, written as idx files; `n_images` of the training split, half in test."""

    def __init__(self, root: Path, n_images: int = 20) -> None:
        random = np.random.default_rng(3)
        self.root = root
        self.images = {"train": random.integers(0, 256, (n_images, 28, 28), np.uint8)}
        self.images["t10k"] = random.integers(0, 256, (n_images // 2, 28, 28), np.uint8)
        self.labels = {kind: np.arange(len(images), dtype=np.uint8) % 10 for kind, images in self.images.items()}

    @staticmethod
    def packed(values: np.ndarray) -> bytes:
        return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()

    def contents(self) -> dict[str, bytes]:
        """The four files by name, unpacked."""
        images = {f"{kind}-images-idx3-ubyte": self.packed(values) for kind, values in self.images.items()}
        return images | {f"{kind}-labels-idx1-ubyte": self.packed(values) for kind, values in self.labels.items()}

    def write(self, folder: str = "", zipped: bool = True) -> Path:
        """All four files below the root; returns the root."""
        (self.root / folder).mkdir(parents=True, exist_ok=True)
        for name, content in self.contents().items():
            path = self.root / folder / (f"{name}.gz" if zipped else name)
            path.write_bytes(gzip.compress(content, mtime=0) if zipped else content)
        return self.root


@pytest.fixture
def idx_folder(tmp_path: Path) -> IdxFolder:
    return IdxFolder(tmp_path / "images")
