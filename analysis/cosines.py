"""Cosines between rows: after centring, correlations."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

Rows = Float64[np.ndarray, "_row _column"]


def cosines(
    a: Float64[np.ndarray, "model column"], b: Float64[np.ndarray, "data column"]
) -> Float64[np.ndarray, "model data"]:
    """Cosine of every row of a with every row of b; NaN, with numpy's warning, for rows of zeros."""
    lengths = [np.linalg.norm(rows, axis=1) for rows in (a, b)]
    return np.asarray(a @ b.T / lengths[0][:, None] / lengths[1])


def centred(rows: Rows) -> Rows:
    """Rows less their means."""
    return np.asarray(rows - rows.mean(axis=1, keepdims=True))
