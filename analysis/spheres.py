"""Spheres of voxels around every voxel of a mask, with a radius in mm.

A voxel belongs to the sphere of another where their centres are no further apart than the radius, by the affine:
voxels may be anisotropic and the grid oblique. Voxels outside the mask belong to none, so spheres differ in size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Int

from ..datasets.errors import WrongArgument
from ..datasets.study import VoxelMask

ROUNDING = 1e-5  # of the radius: images keep affines in single precision, and a voxel at the radius belongs to it


@dataclass(frozen=True, eq=False)
class Spheres:
    """The spheres of all channels of a mask.

    Raises `WrongArgument` for a radius that is no length, and one so short that a sphere holds one voxel.
    """

    mask: VoxelMask
    radius: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.radius) and self.radius > 0):
            raise WrongArgument(f"the radius is {self.radius} mm", "radius", "Give a positive length in mm.")
        if len(self.offsets) < 2:
            size = ", ".join(f"{side:.3g}" for side in np.linalg.norm(self.mask.affine[:3, :3], axis=0))
            raise WrongArgument(
                f"a radius of {self.radius} mm holds one voxel of {size} mm", "radius", "Give a longer radius, in mm."
            )

    @cached_property
    def offsets(self) -> Int[np.ndarray, "member 3"]:
        """Steps in voxels from a centre to each member of a whole sphere."""
        axes = self.mask.affine[:3, :3]
        # No step leads further along an axis than the radius by the shortest way between two planes of voxels.
        reach = np.floor(self.radius * np.linalg.norm(np.linalg.inv(axes), axis=1) * (1 + ROUNDING)).astype(int)
        steps = np.stack(np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij"), -1).reshape(-1, 3)
        inside = np.linalg.norm(steps @ axes.T, axis=1) <= self.radius * (1 + ROUNDING)
        return np.asarray(steps[inside])

    @cached_property
    def _channel_at(self) -> Int[np.ndarray, "x y z"]:
        """Channel of each voxel, -1 outside the mask; with a border that takes every step beyond the volume."""
        border = int(np.abs(self.offsets).max())
        channels = np.full(self.mask.volume.shape, -1)
        channels[self.mask.volume] = np.arange(self.mask.n_voxels)
        return np.pad(channels, border, constant_values=-1)

    def members(
        self, centres: Int[np.ndarray, " centre"]
    ) -> tuple[Int[np.ndarray, "centre member"], Bool[np.ndarray, "centre member"]]:
        """Channels of the spheres around some channels, and which of them are members; the others are channel 0."""
        border = int(np.abs(self.offsets).max())
        places = np.stack(np.unravel_index(self.mask.index()[centres], self.mask.volume.shape), -1)
        x, y, z = np.moveaxis(places[:, None] + self.offsets + border, -1, 0)
        channels = self._channel_at[x, y, z]
        return np.maximum(channels, 0), channels >= 0

    def sizes(self) -> Int[np.ndarray, " channel"]:
        """Voxels of each sphere."""
        parts = np.array_split(np.arange(self.mask.n_voxels), max(1, self.mask.n_voxels * len(self.offsets) // 2**22))
        return np.concatenate([self.members(part)[1].sum(1) for part in parts])
