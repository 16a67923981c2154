"""Regions of interest: which voxels of an image a mask or a label of an atlas is, and the series of voxels or parcels.

Regions on another grid are brought to the image's by the nearest voxel (nilearn's `resample_to_img`), in the
millimetres of the two affines: whether these are the same space (MNI, the person's own) only the user knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from jaxtyping import Bool, Float, Float32, Shaped
from nilearn.image import resample_to_img
from nilearn.maskers import NiftiLabelsMasker

from .errors import BrokenData, MissingData
from .nifti import UNREADABLE, BoldImage
from .study import VoxelMask


def region(path: Path, image: BoldImage, labels: int | Sequence[int] | None = None) -> VoxelMask:
    """Voxels of the image that are in the region.

    Parameters
    ----------
    path
        3D mask, or an atlas whose voxels hold whole numbers.
    labels
        Which label or labels of the atlas; None for all voxels that are not 0.

    Raises `MissingData` without the file or for a label that it does not hold, `BrokenData` for a file that cannot be
    read or is not 3D, and when no voxel of the image lies in the region.
    """
    atlas = _on_grid(path, image)
    wanted = None if labels is None else np.atleast_1d(labels)
    _check_labels(path, wanted)
    volume = atlas != 0 if wanted is None else np.isin(atlas, wanted)
    return _not_empty(VoxelMask(volume, image.affine), path, image)


def atlas_labels(path: Path) -> list[int]:
    """Labels of an atlas other than 0. Raises `BrokenData` where voxels hold no whole numbers."""
    values = np.unique(np.asarray(_load(path).dataobj))
    if not np.array_equal(values, np.round(values)):
        raise BrokenData("the voxels hold no whole numbers", path, "Give an atlas of labels, or name no label.")
    return [int(value) for value in values if value != 0]


def voxel_series(image: BoldImage, mask: VoxelMask) -> Float32[np.ndarray, "time channel"]:
    """The voxels of the mask over time, as they are in the image; a few volumes are in memory at a time.

    Raises `BrokenData` for a truncated image, and for values that are not finite inside the mask.
    """
    series = np.concatenate([volumes[mask.volume].T for _, volumes in image.chunks()])
    if broken := np.flatnonzero(~np.isfinite(series).all(axis=1)).tolist():
        raise BrokenData(
            f"voxels inside the mask are not finite in {len(broken)} volume(s), the first is {broken[0]}",
            image.path,
            "Repair or drop these volumes, or give a mask without the broken voxels.",
        )
    return np.ascontiguousarray(series)


def parcel_series(image: BoldImage, path: Path) -> tuple[Float[np.ndarray, "time channel"], list[int]]:
    """Mean over the voxels of each label of an atlas, over time (nilearn's `NiftiLabelsMasker`), and the labels.

    Labels without a voxel on the image's grid are left out. Raises as `region` does.
    """
    atlas_labels(path)
    atlas = _image(_on_grid(path, image).astype(np.int32), image.affine)
    _not_empty(VoxelMask(np.asarray(atlas.dataobj) != 0, image.affine), path, image)
    masker = NiftiLabelsMasker(atlas, standardize=None, resampling_target="data", keep_masked_labels=False, verbose=0)
    series = np.asarray(masker.fit_transform(str(image.path)), np.float64)
    return series, [int(value) for value in np.unique(np.asarray(atlas.dataobj)) if value != 0]


def coordinates(mask: VoxelMask) -> Float[np.ndarray, "channel 3"]:
    """Centre of each voxel of the mask, in mm."""
    centres: Float[np.ndarray, "channel 3"] = np.argwhere(mask.volume) @ mask.affine[:3, :3].T + mask.affine[:3, 3]
    return centres


def _on_grid(path: Path, image: BoldImage) -> Shaped[np.ndarray, "x y z"]:
    loaded = _load(path)
    same = loaded.shape == image.shape[:3] and np.allclose(loaded.affine, image.affine, atol=1e-3)
    if not same:
        grid = _image(np.zeros(image.shape[:3], np.uint8), image.affine)
        loaded = resample_to_img(loaded, grid, interpolation="nearest", force_resample=True, copy_header=True)
    return np.asarray(loaded.dataobj)


def _load(path: Path) -> Any:
    if not path.is_file():
        raise MissingData("no mask or atlas", path, "Check the path of the region's image.")
    try:
        loaded: Any = nib.load(path)
        values = np.asarray(loaded.dataobj)
    except UNREADABLE as error:
        raise BrokenData("the mask or atlas cannot be read", path, "Copy or download the file again.") from error
    if values.ndim == 4 and values.shape[3] == 1:
        values = values[..., 0]
    if values.ndim != 3:
        raise BrokenData(f"the mask or atlas has shape {values.shape}", path, "Give one volume (x, y, z).")
    if values.dtype.kind in "iub":
        values = values.astype(np.int32)
    return _image(values, loaded.affine)


def _image(values: np.ndarray, affine: np.ndarray) -> Any:
    return nib.nifti1.Nifti1Image(values, affine)  # type: ignore[no-untyped-call] # nibabel's own


def _check_labels(path: Path, wanted: np.ndarray | None) -> None:
    there = [] if wanted is None else atlas_labels(path)
    absent = [int(label) for label in ([] if wanted is None else wanted) if label not in there]
    if absent:
        raise MissingData(f"no label {', '.join(map(str, absent))}", path, f"There are: {', '.join(map(str, there))}.")


def _not_empty(mask: VoxelMask, path: Path, image: BoldImage) -> VoxelMask:
    volume: Bool[np.ndarray, "x y z"] = mask.volume
    if not volume.any():
        raise BrokenData(
            f"no voxel of {image.path.name} lies in the region",
            path,
            "Are both in the same space? Give the region in the space of the image.",
        )
    return mask
