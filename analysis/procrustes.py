"""Procrustes distance of patterns: what is left between them after the best shift, scale and rotation.

With X and Y centred over conditions and scaled to Frobenius norm 1,

    d(X, Y) = min over rotations Q of ‖X - Y Q‖ = √(2 - 2 ‖Xᵀ Y‖_*)

(Schönemann 1966, Psychometrika 31:1; Williams et al. 2021, NeurIPS, arXiv 2110.14739), ‖·‖_* the sum of singular
values. It is a metric, 0 for equal geometry and √2 for patterns that share no direction. Reflections are allowed, and
the narrower patterns are filled up with zero channels. scipy's `spatial.procrustes` scales by the best factor instead,
and gives 1 - ‖Xᵀ Y‖_*². Near 0 the square root of rounding remains: about 1e-8.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float64

Patterns = Float[np.ndarray, "condition _channel"]
Reduced = Float64[np.ndarray, "_set condition condition"]
CHUNK_BYTES = 2**27  # of products that are decomposed at a time


def procrustes(models: Sequence[Patterns], data: Sequence[Patterns]) -> Float64[np.ndarray, "model data"]:
    """Distance of every model's patterns from every data set's; NaN where conditions do not differ."""
    a, b = (np.stack([_reduced(one) for one in patterns]) for patterns in (models, data))
    size = max(1, CHUNK_BYTES // b.nbytes)
    overlap = np.concatenate([_overlap(a[at : at + size], b) for at in range(0, len(a), size)])
    return np.asarray(np.sqrt(np.maximum(2 - 2 * overlap, 0)))


def _overlap(a: Reduced, b: Reduced) -> Float64[np.ndarray, "_model _data"]:
    """Nuclear norms of all products; NaN where a factor is NaN."""
    products = a.transpose(0, 2, 1)[:, None] @ b
    undefined = np.isnan(products).any(axis=(2, 3))
    products[undefined] = 0
    return np.where(undefined, np.nan, np.linalg.svd(products, compute_uv=False).sum(axis=-1))


def _reduced(patterns: Patterns) -> Float64[np.ndarray, "condition condition"]:
    """The centred patterns at norm 1, turned into as many channels as conditions: no distance sees the turn."""
    centred = np.asarray(patterns, np.float64)
    centred = centred - centred.mean(axis=0)
    norm = np.linalg.norm(centred)
    if norm == 0:
        return np.full((len(centred), len(centred)), np.nan)
    turned = np.asarray(np.linalg.qr(centred.T / norm, mode="r")).T
    return np.pad(turned, ((0, 0), (0, len(centred) - turned.shape[1])))
