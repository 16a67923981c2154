"""Patterns read from a 4D NIfTI image inside a mask, and maps written back as NIfTI images on its grid."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import nibabel
import numpy as np
from jaxtyping import Float, Float32

from .errors import BrokenData
from .nifti import open_bold, read_mask
from .study import VoxelMask

OUTSIDE_P = 1.0  # of p-maps: what was not tested is not significant


def read_rows(image: Path, mask: Path) -> tuple[Float32[np.ndarray, "volume channel"], VoxelMask]:
    """The image's volumes (betas, z-maps, residuals) inside the mask, a chunk of volumes at a time; and the mask.

    Voxels outside the mask may hold anything. Raises what `nifti.open_bold` and `nifti.read_mask` raise, and
    `BrokenData` where a voxel inside is not finite.
    """
    opened = open_bold(image)
    inside = read_mask(mask, opened)
    rows = np.empty((opened.n_volumes, inside.n_voxels), np.float32)
    for start, volumes in opened.chunks():
        rows[start : start + volumes.shape[3]] = volumes[inside.volume].T
    broken = np.flatnonzero(~np.isfinite(rows).all(0))
    if len(broken):
        voxel = tuple(int(i) for i in np.unravel_index(inside.index()[broken[0]], inside.volume.shape))
        raise BrokenData(
            f"{len(broken)} voxels of the mask are not finite, first {voxel}", image, "Leave them out of the mask."
        )
    return rows, inside


def write_maps(maps: Mapping[str, Float[np.ndarray, " channel"]], mask: VoxelMask, folder: Path) -> dict[str, Path]:
    """Write each map to `<name>.nii.gz` in the folder, float32.

    Outside the mask and where nothing was tested stands NaN; in maps of p (names that start with p) 1, so that a
    reader that takes NaN for 0 finds nothing significant there. Raises `BrokenData` for a map that is not the mask's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for name, values in maps.items():
        if values.shape != (mask.n_voxels,):
            raise BrokenData(
                f"map {name} has shape {values.shape}, the mask {mask.n_voxels} voxels",
                folder,
                "Give the map's own mask.",
            )
        outside = OUTSIDE_P if name == "p" or name.startswith("p_") else np.nan
        volume = mask.unfold(np.where(np.isnan(values), outside, values).astype(np.float32), fill=outside)
        image = nibabel.nifti1.Nifti1Image(volume, mask.affine)  # type: ignore[no-untyped-call] # nibabel's own
        written[name] = folder / f"{name}.nii.gz"
        nibabel.save(image, written[name])
    return written
