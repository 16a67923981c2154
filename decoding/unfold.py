"""Masked rows to volumes, on the device: storage holds the voxels of the mask, the network sees the grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..datasets.errors import BrokenData
from ..datasets.study import Run, VoxelMask


class Unfold:
    """Scatters rows (batch time channel) into volumes (batch time x y z) of one common grid.

    Parameters
    ----------
    runs
        Recordings whose masks lie on one grid. Masks that are equal are kept once; `mask_of[run.key]` says which one a
        run has. Raises `BrokenData` when grids differ or some runs have no mask.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self.masks: list[VoxelMask] = []
        self.mask_of: dict[str, int] = {}
        for run in runs:
            if run.responses.mask is None:
                raise BrokenData("the recording has no mask but others do", run.key, "Use recordings of one kind.")
            self.mask_of[run.key] = self._number(run.responses.mask, run.key)
        self.grid: tuple[int, int, int] = tuple(self.masks[0].volume.shape)
        self.n_channels = max(mask.n_voxels for mask in self.masks)
        size = int(np.prod(self.grid))
        # Padding channels go to one place past the end of the volume, which is cut off.
        index = np.full((len(self.masks), self.n_channels), size, dtype=np.int64)
        for i, mask in enumerate(self.masks):
            index[i, : mask.n_voxels] = mask.index()
        self.index = torch.from_numpy(index)
        self.inside = torch.from_numpy(np.stack([mask.volume for mask in self.masks]))

    def _number(self, mask: VoxelMask, where: str) -> int:
        for i, known in enumerate(self.masks):
            if not known.same_grid(mask):
                raise BrokenData(
                    f"grid {mask.volume.shape} is not the grid {known.volume.shape} of the other recordings",
                    where,
                    "Resample all recordings to one space (for example with nilearn.image.resample_to_img).",
                )
            if np.array_equal(known.volume, mask.volume):
                return i
        self.masks.append(mask)
        return len(self.masks) - 1

    def __call__(
        self, rows: Float[Tensor, "batch time channel"], mask: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch time x y z"]:
        batch, time, channels = rows.shape
        size = int(np.prod(self.grid))
        index = self.index.to(rows.device)[mask.to(rows.device)][:, None, :channels].expand(batch, time, channels)
        flat = rows.new_zeros(batch, time, size + 1).scatter_(2, index, rows)
        return flat[..., :size].reshape(batch, time, *self.grid)

    @property
    def union(self) -> VoxelMask:
        """Voxels inside any of the masks."""
        return VoxelMask(np.any([mask.volume for mask in self.masks], axis=0), self.masks[0].affine)

    def masks_of(self, mask: Int[Tensor, " batch"]) -> Bool[Tensor, "batch x y z"]:
        """True inside each window's mask."""
        return self.inside.to(mask.device)[mask]
