"""A 4D NIfTI image, checked when it is opened and read a few volumes at a time; masks on its grid."""

from __future__ import annotations

import math
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from jaxtyping import Bool, Float, Float32
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nilearn.image import new_img_like
from nilearn.masking import compute_epi_mask

from .errors import BrokenData, MissingData
from .study import VoxelMask

UNREADABLE = (OSError, EOFError, ValueError, zlib.error, ImageFileError, HeaderDataError)
CHUNK_BYTES = 32 * 2**20
EPI_MASK_VOLUMES = 50


@dataclass(frozen=True, eq=False)
class BoldImage:
    """A 4D image on disk: `shape` is (x, y, z, time), `affine` maps voxel indices to mm."""

    path: Path
    shape: tuple[int, int, int, int]
    affine: Float[np.ndarray, "4 4"]
    header: Any

    @property
    def n_volumes(self) -> int:
        return self.shape[3]

    def chunks(self, stop: int | None = None) -> Iterator[tuple[int, Float32[np.ndarray, "x y z time"]]]:
        """(index of the first volume, volumes) in order, about `CHUNK_BYTES` at a time; `BrokenData` if truncated.

        One file handle moves forward through the whole image, so a compressed file is decompressed once.
        """
        step = max(1, CHUNK_BYTES // (8 * math.prod(self.shape[:3])))
        last = self.n_volumes if stop is None else min(stop, self.n_volumes)
        data = _load(self.path, keep_file_open=True).dataobj
        for start in range(0, last, step):
            yield start, self._read(data, start, min(start + step, last))

    def _read(self, data: Any, start: int, stop: int) -> Float32[np.ndarray, "x y z time"]:
        try:
            return np.asarray(data[..., start:stop], np.float32)
        except UNREADABLE as error:
            raise BrokenData(
                f"the image cannot be read at volumes {start}-{stop - 1}: it is truncated or damaged",
                self.path,
                "Copy or download the file again.",
            ) from error


def open_bold(path: Path) -> BoldImage:
    """Open a 4D image and check its header, size and affine without reading its voxels.

    Raises `MissingData` without the file; `BrokenData` when it is no NIfTI image, not 4D, holds no real numbers, has a
    degenerate affine, or (uncompressed) is shorter than its header says.
    """
    image = _load(path)
    if len(image.shape) != 4:
        raise BrokenData(
            f"the image has {len(image.shape)} dimensions, not 4", path, "Give a BOLD time series (x, y, z, time)."
        )
    if image.get_data_dtype().kind not in "iuf":
        raise BrokenData(f"voxels are of type {image.get_data_dtype()}", path, "Give an image of real numbers.")
    _check_affine(image.affine, path)
    _check_size(image, path)
    return BoldImage(path, image.shape, np.asarray(image.affine), image.header)


def read_mask(path: Path, image: BoldImage) -> VoxelMask:
    """The 3D mask in a file; `BrokenData` when it is empty or does not lie on the image's grid."""
    loaded = _load(path)
    _check_affine(loaded.affine, path)
    try:
        mask = VoxelMask(np.asarray(loaded.dataobj) != 0, np.asarray(loaded.affine))
    except UNREADABLE as error:
        raise BrokenData("the mask cannot be read", path, "Copy or download the file again.") from error
    if mask.volume.shape != image.shape[:3] or not np.allclose(mask.affine, image.affine, atol=1e-3):
        raise BrokenData(
            f"the mask has shape {mask.volume.shape} and another affine or shape than the image {image.path.name}",
            path,
            "Give a mask on the grid of the image (same space and resolution).",
        )
    return _not_empty(mask, path)


@lru_cache(maxsize=128)
def epi_mask(path: Path) -> VoxelMask:
    """Brain mask by nilearn's `compute_epi_mask` from the mean of the first 50 volumes.

    Raises `BrokenData` when no voxel stands out of the background.
    """
    image = open_bold(path)
    total = np.zeros(image.shape[:3])
    for _, volumes in image.chunks(EPI_MASK_VOLUMES):
        # Broken volumes are named where the voxels are read; the mask does without them.
        total += np.nan_to_num(volumes, posinf=0, neginf=0).sum(axis=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an empty mask is an error below, not a warning
        volume = _epi_volume(new_img_like(_load(path), total, image.affine), path)
    return _not_empty(VoxelMask(volume, image.affine), path)


def _epi_volume(mean: Any, path: Path) -> Bool[np.ndarray, "x y z"]:
    if np.ptp(mean.dataobj) == 0:
        raise _no_brain(path)
    try:
        return np.asarray(compute_epi_mask(mean).dataobj, bool)
    except (ValueError, IndexError) as error:  # too few values for a histogram
        raise _no_brain(path) from error


def _not_empty(mask: VoxelMask, path: Path) -> VoxelMask:
    if mask.n_voxels == 0:
        raise _no_brain(path)
    return mask


def _no_brain(path: Path) -> BrokenData:
    return BrokenData("the brain mask is empty", path, "Look at the image: is there a brain in it? Or give a mask.")


def _load(path: Path, keep_file_open: bool = False) -> Any:
    if not path.is_file():
        raise MissingData("no image", path, "Check the path; a broken link means that the content was not fetched.")
    try:
        return nib.load(path, keep_file_open=keep_file_open)
    except UNREADABLE as error:
        raise BrokenData("this is not a readable NIfTI image", path, "Copy or download the file again.") from error


def _check_affine(affine: np.ndarray | None, path: Path) -> None:
    if affine is None or not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-6:
        raise BrokenData(
            "the affine is degenerate: it gives the voxels no volume",
            path,
            "Set the sform or qform to the scanner's (for example by converting the DICOM files again).",
        )


def _check_size(image: Any, path: Path) -> None:
    if path.suffix != ".nii":
        return  # a compressed file tells its length only when it is read
    dtype, offset = image.get_data_dtype(), image.dataobj.offset
    needed, there = offset + math.prod(image.shape) * dtype.itemsize, path.stat().st_size
    if there < needed:
        raise BrokenData(
            f"the image is truncated: {there} of {needed} bytes are there", path, "Copy or download the file again."
        )
