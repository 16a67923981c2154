"""Centred kernel alignment of patterns, linear (Kornblith et al. 2019, ICML, arXiv 1905.00414), and without its bias.

    CKA(X, Y) = HSIC(K, L) / √(HSIC(K, K) HSIC(L, L)),    K = X Xᵀ, L = Y Yᵀ over conditions

The usual HSIC is the inner product of the kernels centred twice. With few conditions and many channels it tends to 1
for unrelated patterns. The debiased one is that of Song et al. (2012, JMLR 13:1393), the inner product of U-centred
kernels (Székely & Rizzo 2014, Annals of Statistics 42:2382), with the diagonal left out; its mean over independent
patterns is 0, and it can be negative. It does not undo noise that a pattern shares with itself across conditions: for
that, the whitened cosine of crossnobis RDMs. Linear CKA is the whitened cosine of squared Euclidean RDMs
(Diedrichsen et al. 2021). Both are blind to rotation, isotropic scale and shift of the channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float64

from .cosines import cosines

Patterns = Float[np.ndarray, "condition _channel"]
Kernel = Float64[np.ndarray, "condition condition"]
Table = Float64[np.ndarray, "model data"]
CHUNK_BYTES = 2**27  # of the channels that are taken to double precision at a time


def linear_cka(models: Sequence[Patterns], data: Sequence[Patterns]) -> Table:
    """Linear CKA of every model's patterns with every data set's, from 0 to 1; NaN where conditions do not differ."""
    return _alignment([kernel(x).ravel() for x in models], [kernel(x).ravel() for x in data])


def debiased_cka(models: Sequence[Patterns], data: Sequence[Patterns]) -> Table:
    """Debiased linear CKA, at most 1; for four conditions or more."""
    return _alignment([u_centred(kernel(x)).ravel() for x in models], [u_centred(kernel(x)).ravel() for x in data])


def kernel(patterns: Patterns) -> Kernel:
    """K of the centred patterns, summed over chunks of channels in double precision."""
    n, channels = patterns.shape
    found = np.zeros((n, n))
    size = max(1, CHUNK_BYTES // (8 * n))
    for at in range(0, channels, size):
        some = np.asarray(patterns[:, at : at + size], np.float64)
        some = some - some.mean(axis=0)
        found += some @ some.T
    return found


def u_centred(gram: Kernel) -> Kernel:
    """The kernel less its row and column sums over n - 2, plus its sum over (n-1)(n-2), the diagonal left out."""
    n = len(gram)
    hollow = gram - np.diag(np.diag(gram))
    sums = hollow.sum(axis=0) / (n - 2)
    centred = hollow - sums - sums[:, None] + sums.sum() / (n - 1)
    np.fill_diagonal(centred, 0)
    return np.asarray(centred)


def _alignment(models: list[Float64[np.ndarray, " entry"]], data: list[Float64[np.ndarray, " entry"]]) -> Table:
    with np.errstate(invalid="ignore"):
        return cosines(np.stack(models), np.stack(data))
