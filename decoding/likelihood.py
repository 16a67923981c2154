"""How likely the responses of a window are if a candidate text was heard: Gaussian, all pairs in one matrix product.

log p(y | text) = -(n log 2π + log|C| + |L(y - m)|²) / 2, with m what the encoding model predicts of the text, C the
noise covariance and L C L' = I. The square opens into |Ly|² - 2 Ly·Lm + |Lm|², so that windows against candidates are
one product (Tang et al. 2023 score one hypothesis at a time).
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Float64

from .noise_covariance import NoiseCovariance


def log_likelihood(
    observed: Float[np.ndarray, "window row channel"],
    predicted: Float[np.ndarray, "candidate row channel"],
    noise: NoiseCovariance,
) -> Float64[np.ndarray, "window candidate"]:
    """Nats. [i, j]: of window i if candidate j was heard."""
    y, m = noise.whiten(observed), noise.whiten(predicted)
    squares = (y**2).sum(axis=1)[:, None] - 2 * y @ m.T + (m**2).sum(axis=1)
    return np.asarray(-0.5 * (squares + _constant(noise)))


def own_log_likelihood(
    observed: Float[np.ndarray, "window row channel"],
    predicted: Float[np.ndarray, "window hypothesis row channel"],
    noise: NoiseCovariance,
) -> Float64[np.ndarray, "window hypothesis"]:
    """Nats, where every window has hypotheses of its own."""
    missed = noise.whiten(observed)[:, None] - noise.whiten(predicted)
    return np.asarray(-0.5 * ((missed**2).sum(axis=-1) + _constant(noise)))


def _constant(noise: NoiseCovariance) -> float:
    return noise.n_rows * len(noise.basis) * math.log(2 * math.pi) + noise.log_determinant()
