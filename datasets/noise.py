"""What a scanner adds: autocorrelated noise, drift, motion-like spikes and an uneven baseline.

Noise, drift and spikes are in standard deviations of the noise.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float32
from nilearn.glm.first_level.design_matrix import create_cosine_drift
from scipy.ndimage import gaussian_filter, gaussian_filter1d
from scipy.signal import lfilter

from .design import SyntheticDesign

SIGMA_PER_FWHM = 1 / np.sqrt(8 * np.log(2))
SLOWEST = 128.0  # s: drift is slower than this, as SPM takes it
SMOOTH_FIELD = 4.0  # standard deviation in voxels of the kernel behind drift, spikes and baseline
SPIKE_COURSE = (1.0, 0.5)  # a spike's volume and the next
SPIKE_UNEVEN = 0.3  # how much a spike differs over the brain
UNEVEN = 0.1  # the baseline varies by this share


def noise(design: SyntheticDesign, n_rows: int, rng: np.random.Generator) -> Float32[np.ndarray, "time x y z"]:
    """Stationary noise of variance 1: first-order autoregressive in time, partly smooth in space.

    The smooth part wraps around the edges of the grid, which keeps its variance the same everywhere.
    """
    white = rng.standard_normal((n_rows, *design.grid), dtype=np.float32)
    sigma = design.noise_fwhm * SIGMA_PER_FWHM
    smooth = rng.standard_normal((n_rows, *design.grid), dtype=np.float32)
    smooth = gaussian_filter(smooth, (0, sigma, sigma, sigma), mode="wrap") / np.sqrt(_kernel_overlap(sigma)[0] ** 3)
    mixed = np.sqrt(design.white_share) * white + np.sqrt(1 - design.white_share) * smooth
    return _autoregressive(mixed.astype(np.float32), design.autocorrelation)


def _autoregressive(
    innovations: Float32[np.ndarray, "time x y z"], coefficient: float
) -> Float32[np.ndarray, "time x y z"]:
    """e[t] = a e[t-1] + sqrt(1 - a^2) u[t], begun at e[0] = u[0]: variance 1 throughout."""
    scaled = innovations * np.float32(np.sqrt(1 - coefficient**2))
    scaled[0] = innovations[0]
    taps = np.array([1, -coefficient], np.float32)
    return np.asarray(lfilter(np.ones(1, np.float32), taps, scaled, axis=0), dtype=np.float32)


def spatial_covariance(
    design: SyntheticDesign, voxels: Bool[np.ndarray, "x y z"]
) -> Float[np.ndarray, "channel channel"]:
    """Covariance of `noise` between the chosen voxels at one time (without the wrap around the grid)."""
    smooth = _smooth_covariance(voxels, design.noise_fwhm * SIGMA_PER_FWHM)
    return np.asarray(design.white_share * np.eye(len(smooth)) + (1 - design.white_share) * smooth)


def spike_covariance(
    design: SyntheticDesign, voxels: Bool[np.ndarray, "x y z"]
) -> Float[np.ndarray, "channel channel"]:
    """Covariance of `spikes` between the chosen voxels, averaged over a run of the design's mean duration."""
    n_rows = np.mean(design.durations) / design.repetition_time
    variance = (np.array(SPIKE_COURSE) ** 2).sum() * design.spikes * design.spike_size**2 / n_rows
    return np.asarray(variance * (1 + SPIKE_UNEVEN**2 * _smooth_covariance(voxels, SMOOTH_FIELD)))


def _smooth_covariance(voxels: Bool[np.ndarray, "x y z"], sigma: float) -> Float[np.ndarray, "channel channel"]:
    """Correlation between the chosen voxels of white noise smoothed by a Gaussian of `sigma` voxels."""
    overlap = np.append(_kernel_overlap(sigma), np.zeros(max(voxels.shape)))
    out = np.ones([np.count_nonzero(voxels)] * 2)
    for place in np.nonzero(voxels):
        out *= (overlap / overlap[0])[np.abs(place[:, None] - place)]
    return out


def _kernel_overlap(sigma: float) -> Float[np.ndarray, " lag"]:
    """Overlap of the smoothing kernel with itself, shifted by 0, 1, 2, ... voxels along one axis."""
    reach = int(np.ceil(4 * sigma)) + 1
    impulse = np.zeros(2 * reach + 1)
    impulse[reach] = 1
    kernel = gaussian_filter1d(impulse, sigma, mode="constant")
    return np.asarray(np.correlate(kernel, kernel, "full")[2 * reach :])


def drift(design: SyntheticDesign, n_rows: int, rng: np.random.Generator) -> Float32[np.ndarray, "time x y z"]:
    """Cosines slower than 128 s with smooth random maps; standard deviation `drift` on average. 0 in a short run."""
    frame_times = np.arange(n_rows) * design.repetition_time
    cosines = create_cosine_drift(1 / SLOWEST, frame_times)[:, :-1]  # the last column is constant
    if not cosines.shape[1]:
        return np.zeros((n_rows, *design.grid), np.float32)
    maps = np.stack([_smooth_field(design, rng) for _ in range(cosines.shape[1])])
    slow = np.einsum("tk,k...->t...", cosines / cosines.std(0), maps / np.sqrt(len(maps)))
    return np.asarray(design.drift * slow, dtype=np.float32)


def spikes(design: SyntheticDesign, n_rows: int, rng: np.random.Generator) -> Float32[np.ndarray, "time x y z"]:
    """Sudden changes of the whole brain in a few volumes, half gone in the next one, gone in the one after."""
    out = np.zeros((n_rows, *design.grid), np.float32)
    pattern = 1 + SPIKE_UNEVEN * _smooth_field(design, rng)
    for row in rng.choice(n_rows - 1, min(design.spikes, n_rows - 1), replace=False):
        sign = rng.choice([-1, 1])
        out[row : row + 2] += np.array(SPIKE_COURSE)[:, None, None, None] * sign * design.spike_size * pattern
    return out


def baseline(design: SyntheticDesign, rng: np.random.Generator) -> Float[np.ndarray, "x y z"]:
    """Intensity without signal and noise, in the image's units: smooth, positive."""
    return np.asarray(design.baseline * (1 + UNEVEN * np.clip(_smooth_field(design, rng), -3, 3)))


def _smooth_field(design: SyntheticDesign, rng: np.random.Generator) -> Float[np.ndarray, "x y z"]:
    """A smooth random map of mean 0 and standard deviation 1."""
    field = gaussian_filter(rng.standard_normal(design.grid), SMOOTH_FIELD, mode="wrap")
    return np.asarray((field - field.mean()) / field.std())
