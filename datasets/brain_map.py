"""One number per voxel, read back from the NIfTI image that a run wrote."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from jaxtyping import Float
from nibabel.filebasedimages import ImageFileError

from .errors import BrokenData

# The box of the MNI152 template in mm with one coarse voxel around it, and the middle of its brain.
MNI_LOW, MNI_HIGH = np.array([-100.0, -136.0, -84.0]), np.array([100.0, 100.0, 118.0])
MNI_CENTRE = np.array([0.0, -18.0, 8.0])
# A brain measures at least this along every axis, in mm.
BRAIN_EXTENT = 80.0


@dataclass(frozen=True, eq=False)
class BrainMap:
    """A map of finite values (x, y, z) and the `affine` that takes voxel indices to mm."""

    volume: Float[np.ndarray, "x y z"]
    affine: Float[np.ndarray, "4 4"]

    @property
    def box(self) -> tuple[Float[np.ndarray, " 3"], Float[np.ndarray, " 3"]]:
        """Lowest and highest corner in mm of the voxels that are not 0 (of all voxels where all are 0)."""
        voxels = np.argwhere(self.volume != 0) if self.volume.any() else np.argwhere(np.ones_like(self.volume))
        places = voxels @ self.affine[:3, :3].T + self.affine[:3, 3]
        return places.min(axis=0), places.max(axis=0)

    @property
    def looks_like_mni(self) -> bool:
        """Whether the map lies inside the MNI152 box, on both sides of the midline, with the extent of a brain."""
        low, high = self.box
        inside = bool((low >= MNI_LOW).all() and (high <= MNI_HIGH).all())
        return inside and bool(low[0] < 0 < high[0]) and bool((self._extent() >= BRAIN_EXTENT).all())

    def centred(self) -> BrainMap:
        """The same values with the middle of their box moved to the middle of the MNI152 brain."""
        low, high = self.box
        affine = self.affine.copy()
        affine[:3, 3] += MNI_CENTRE - (low + high) / 2
        return BrainMap(self.volume, affine)

    def image(self) -> Any:
        """The map as a nibabel image."""
        return nibabel.nifti1.Nifti1Image(  # type: ignore[no-untyped-call] # nibabel's own
            self.volume.astype(np.float32), self.affine
        )

    def _extent(self) -> Float[np.ndarray, " 3"]:
        extent: Float[np.ndarray, " 3"] = np.abs(self.affine[:3, :3]) @ np.array(self.volume.shape, dtype=float)
        return extent


def read_map(path: Path) -> BrainMap:
    """Read a three-dimensional NIfTI image; values that are not finite become 0, the value outside the mask.

    Raises `BrokenData` when the file is no image, is truncated, or holds more than one volume.
    """
    try:
        image: Any = nibabel.load(path)
        volume = np.asarray(image.dataobj, dtype=np.float32)
    except (ImageFileError, OSError, EOFError, ValueError) as error:
        raise BrokenData(f"not a readable NIfTI image: {error}", path, "Write the map again.") from error
    if volume.ndim != 3:
        raise BrokenData(f"the image has shape {volume.shape}", path, "Give one volume (x, y, z).")
    return BrainMap(np.nan_to_num(volume, posinf=0.0, neginf=0.0), np.asarray(image.affine, dtype=float))
