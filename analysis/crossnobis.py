"""Crossnobis: the squared Mahalanobis distance without bias, from patterns of independent folds (runs).

d_ij = mean over folds f of (a_fi - a_fj) P (b_fi - b_fj)ᵀ / K, a_f the fold's mean pattern and b_f the mean of all
observations of the other folds (Walther et al. 2016, NeuroImage 137:188; leave one fold out, as in rsatoolbox). It is
0 on average where two conditions do not differ, so it may be negative.

Where each condition is observed equally often in all F folds, d K F (F-1) = Σ_{f≠g} δ_f P δ_gᵀ with δ = a_i - a_j.
In an orthonormal basis of the folds whose first axis is their mean, u = (u_0 … u_{F-1}), that is (F-1) |u_0|² - Σ_{k>0}
|u_k|²: F symmetric products in place of F whole ones. Otherwise, and for a precision by fold, products a b are written
as differences of squares (`distances.products`).

With a precision by fold, rsatoolbox's rule: every two folds, with the inverse of the mean of their two covariances.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import combinations

import torch
from jaxtyping import Float64, Int
from scipy.linalg import helmert
from torch import Tensor

from ..datasets.errors import WrongArgument
from .distances import Noise, products, whitened
from .noise_precision import root, whitener
from .pattern_blocks import PatternBlocks
from .squared_distances import Block, Features, squared_distances

Folds = Callable[[], Iterator[Float64[Tensor, "fold condition _channel"]]]  # blocks of means


def crossnobis(
    patterns: PatternBlocks,
    n_folds: int,
    *,
    noise: Noise | Sequence[Noise] | None = None,
    order: Int[Tensor, " condition"] | None = None,
    chunk: int,
) -> Float64[Tensor, " pair"]:
    """Crossnobis of all pairs of conditions, the upper triangle by row.

    Parameters
    ----------
    patterns
        Group f * n + i is condition i in fold f, n the number of conditions; each has an observation.
    noise
        One precision (channel channel) for all, one for each fold in their order, or none: the identity.
    order, chunk
        As in `distances.pattern_distances`.

    Raises `WrongArgument` for a noise that cannot be meant.
    """
    n = patterns.n // n_folds
    with torch.no_grad():
        features = _features(patterns, n_folds, n, noise, chunk)
        return squared_distances(features, n, chunk=chunk, order=order, device=patterns.device)


def _features(
    patterns: PatternBlocks, n_folds: int, n: int, noise: Noise | Sequence[Noise] | None, chunk: int
) -> Features:
    if isinstance(noise, Sequence):
        if len(noise) != n_folds:
            raise WrongArgument(
                f"there are {len(noise)} noise precisions for {n_folds} folds", "noise", "Give one for each fold."
            )
        return _by_fold(patterns, n, [_covariance(one, patterns) for one in noise], chunk)
    factor = None if noise is None else root(noise, patterns.n_channels, patterns.device)
    counts = patterns.counts().reshape(n_folds, n)
    blocks = partial(_means, patterns, n_folds, factor, chunk)
    if bool((counts == counts[0]).all()):
        return partial(_contrasts, blocks, _basis(n_folds, patterns))
    return products(partial(_with_others, blocks, counts[..., None]), 1 / (patterns.n_channels * n_folds))


def _means(
    patterns: PatternBlocks, n_folds: int, factor: Tensor | None, chunk: int
) -> Iterator[Float64[Tensor, "fold condition _channel"]]:
    """Means of folds and conditions, block by block, whitened where there is a factor."""
    blocks = patterns.blocks() if factor is None else whitened(patterns, factor, chunk)
    return (block.reshape(n_folds, len(block) // n_folds, -1) for block in blocks)


def _basis(n_folds: int, patterns: PatternBlocks) -> Float64[Tensor, "fold fold"]:
    """Weights of the folds in u_0 … u_{F-1}, with all that the distance is multiplied by."""
    basis = torch.from_numpy(helmert(n_folds, full=True)).to(patterns.device)
    basis[0] *= (n_folds - 1) ** 0.5
    scaled: Float64[Tensor, "fold fold"] = basis / (patterns.n_channels * n_folds * (n_folds - 1)) ** 0.5
    return scaled


def _contrasts(blocks: Folds, basis: Float64[Tensor, "fold fold"]) -> Iterator[Block]:
    for means in blocks():
        values = torch.einsum("kf,fnc->nkc", basis, means - means.mean(1, keepdim=True))
        signs = -torch.ones(values.shape[1:], dtype=values.dtype, device=values.device)
        signs[0] = 1
        yield values.flatten(1), signs.flatten()


def _with_others(blocks: Folds, weights: Float64[Tensor, "fold condition 1"]) -> Iterator[tuple[Tensor, Tensor]]:
    """Each fold's means, and the means of all observations of the other folds; folds side by side."""
    for means in blocks():
        sums = means * weights
        others = (sums.sum(0) - sums) / (weights.sum(0) - weights)
        yield means.transpose(0, 1).flatten(1), others.transpose(0, 1).flatten(1)


def _by_fold(
    patterns: PatternBlocks, n: int, covariances: list[Float64[Tensor, "channel channel"]], chunk: int
) -> Features:
    n_pairs = len(covariances) * (len(covariances) - 1) // 2
    return products(partial(_every_two, patterns, n, covariances, chunk), 1 / (patterns.n_channels * n_pairs))


def _every_two(
    patterns: PatternBlocks, n: int, covariances: list[Float64[Tensor, "channel channel"]], chunk: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """The means of every two folds, whitened by the mean of their covariances."""
    for f, g in combinations(range(len(covariances)), 2):
        factor = whitener((covariances[f] + covariances[g]) / 2)
        rows = torch.cat([torch.arange(k * n, k * n + n, device=patterns.device) for k in (f, g)])
        for block in whitened(patterns, factor, chunk, rows):
            yield block[:n], block[n:]


def _covariance(precision: Noise, patterns: PatternBlocks) -> Float64[Tensor, "channel channel"]:
    factor = root(precision, patterns.n_channels, patterns.device)
    covariance, broken = torch.linalg.inv_ex(factor @ factor.T)
    if bool(broken):
        raise WrongArgument(
            "a noise precision is singular",
            "noise",
            "Precisions by fold must have an inverse; shrink their covariance.",
        )
    inverse: Float64[Tensor, "channel channel"] = covariance
    return inverse
