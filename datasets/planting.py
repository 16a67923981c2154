"""Where the synthetic signal is planted: a brain mask, one template of blobs, and each person's warp of it.

The template is a continuous function of space, so a person's weights are the template read at displaced voxels,
weights(x) = template(x + displacement(x)), without interpolation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter

from .design import SyntheticDesign
from .haemodynamics import GENERAL
from .study import VoxelMask

BRAIN_CENTRE = (0.0, -18.0, 8.0)  # mm, MNI: the middle of the brain's bounding box
TEMPORAL = ((-0.62, -0.15, -0.15), (0.62, -0.15, -0.15))  # centres of the word-rate blobs, in semi-axes of the brain
CORTEX = (0.45, 0.85)  # other blobs lie between these radii, in semi-axes
CANDIDATES = 40  # places among which a blob takes the one farthest from the blobs before it
WARP_SCALE = 3.0  # standard deviation of the kernel that makes a warp smooth, in voxels


@dataclass(frozen=True)
class Blob:
    """Voxels within `radius` voxels of `centre` (voxel indices) respond to a feature."""

    feature: int
    centre: tuple[float, float, float]
    radius: float


def brain_mask(design: SyntheticDesign) -> VoxelMask:
    """An ellipsoid that fills the grid, in MNI-like space."""
    affine = np.diag([design.voxel_size] * 3 + [1.0])
    affine[:3, 3] = np.array(BRAIN_CENTRE) - design.voxel_size * (np.array(design.grid) - 1) / 2
    return VoxelMask((_semi_axes_from_centre(design) ** 2).sum(0) <= 1, affine)


def _semi_axes_from_centre(design: SyntheticDesign) -> Float[np.ndarray, "3 x y z"]:
    middle, half = _middle_and_half(design)
    return np.asarray((np.indices(design.grid) - middle[:, None, None, None]) / half[:, None, None, None])


def _middle_and_half(design: SyntheticDesign) -> tuple[np.ndarray, np.ndarray]:
    grid = np.array(design.grid)
    return (grid - 1) / 2, grid / 2 - 0.4


def template(design: SyntheticDesign, rng: np.random.Generator) -> list[Blob]:
    """Two large blobs for the word rate, one for the word length and for each topic, spread over the cortex."""
    middle, half = _middle_and_half(design)
    blobs = [Blob(0, _place(middle + half * np.array(centre)), design.rate_radius) for centre in TEMPORAL]
    radius = np.sqrt((_semi_axes_from_centre(design) ** 2).sum(0))
    cortex = np.argwhere((radius > CORTEX[0]) & (radius < CORTEX[1]))
    for feature in range(1, len(GENERAL) + design.n_topics):
        drawn = rng.choice(cortex, CANDIDATES)
        taken = np.array([blob.centre for blob in blobs])
        distance = np.linalg.norm(drawn[:, None] - taken, axis=-1).min(1)
        blobs.append(Blob(feature, _place(drawn[distance.argmax()]), design.topic_radius))
    return blobs


def _place(centre: np.ndarray) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in centre)
    return x, y, z


def warp(design: SyntheticDesign, rng: np.random.Generator) -> Float[np.ndarray, "3 x y z"]:
    """A smooth displacement of every voxel, in voxels; its largest in the brain is drawn from `displacements`."""
    field = gaussian_filter(rng.standard_normal((3, *design.grid)), (0, *[WARP_SCALE] * 3), mode="reflect")
    largest = np.linalg.norm(field, axis=0)[brain_mask(design).volume].max()
    return np.asarray(field * (rng.uniform(*design.displacements) / largest))


def planted_weights(
    design: SyntheticDesign, blobs: list[Blob], displacement: Float[np.ndarray, "3 x y z"]
) -> Float[np.ndarray, "x y z feature"]:
    """Weights exp(-d^2 / 2 r^2) within a blob's radius r of its centre (1 to .61), else and outside the brain 0."""
    seen = np.indices(design.grid) + displacement
    weights = np.zeros((*design.grid, len(GENERAL) + design.n_topics))
    for blob in blobs:
        squared = ((seen - np.array(blob.centre)[:, None, None, None]) ** 2).sum(0) / blob.radius**2
        weights[..., blob.feature] += np.where(squared <= 1, np.exp(-squared / 2), 0)
    return np.asarray(weights * brain_mask(design).volume[..., None])


def scaled_to_snr(
    weights: Float[np.ndarray, "x y z feature"], covariance: Float[np.ndarray, "feature feature"], signal_sd: float
) -> Float[np.ndarray, "x y z feature"]:
    """Weights of which the signal's standard deviation is `signal_sd`, root mean square over responsive voxels.

    `covariance` is that of the convolved features.
    """
    responsive = weights[weights.any(-1)]
    variance = np.einsum("vf,fg,vg->v", responsive, covariance, responsive)
    return np.asarray(weights * (signal_sd / np.sqrt(variance.mean())))


def gains(design: SyntheticDesign, rng: np.random.Generator) -> Float[np.ndarray, " subject"]:
    """One gain per person, spread evenly over the logarithm of the range, in random order."""
    low, high = np.log(design.gains)
    steps = (np.arange(design.n_subjects) + 0.5) / design.n_subjects
    return np.asarray(np.exp(low + (high - low) * rng.permutation(steps)))
