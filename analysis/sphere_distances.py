"""Distances between patterns in many small sets of channels at once, as batched matrix products.

Sets (spheres) of different size are filled up with channels that are not `used`; those count for nothing. Each number
is that of `rdm.rdms` on the set's channels alone. In double precision throughout: the sets are small.
With K used channels, every distance is Σ (a_i - a_j)(b_i - b_j) of some a and b, see `distances.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from ..datasets.errors import WrongArgument
from .distances import PRIOR_RATE, PRIOR_WEIGHT
from .noise_precision import shrunk_covariance, white

Patterns = Float64[Tensor, "set fold condition channel"]
Used = Bool[Tensor, "set channel"]
Residuals = Sequence[Float64[Tensor, "set _time channel"]]
Distances = Float64[Tensor, "set pair"]


def set_distances(
    patterns: Float64[Tensor, "set fold condition channel"],
    used: Bool[Tensor, "set channel"],
    method: str,
    residuals: Sequence[Float64[Tensor, "set _time channel"]] = (),
) -> Float64[Tensor, "set pair"]:
    """Distances of all pairs of conditions in each set; not finite where they are undefined.

    Parameters
    ----------
    patterns
        One fold, but for crossnobis.
    residuals
        For mahalanobis and crossnobis: noise (set time channel) of each fold, or of all folds as one. Its covariance
        is shrunk towards the diagonal in each set. None: no whitening.
    """
    if method not in METHODS:
        raise WrongArgument(f"no distance {method!r}", "method", f"Choose one of: {', '.join(METHODS)}.")
    return METHODS[method](patterns * used[:, None, None], used, residuals)


def between(a: Float64[Tensor, "set condition channel"], b: Float64[Tensor, "set condition channel"]) -> Distances:
    """Σ (a_i - a_j)(b_i - b_j) of all pairs i < j, by row."""
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    product = a @ b.mT
    own = product.diagonal(dim1=1, dim2=2)
    i, j = torch.triu_indices(a.shape[1], a.shape[1], 1)
    return own[:, i] + own[:, j] - product[:, i, j] - product[:, j, i]


def _size(used: Used) -> Float64[Tensor, "set 1"]:
    return used.sum(1, keepdim=True).double()


def _correlation(patterns: Patterns, used: Used, residuals: Residuals) -> Distances:
    x = patterns[:, 0]
    about = (x - x.sum(2, keepdim=True) / _size(used)[..., None]) * used[:, None]
    length = about.norm(dim=2, keepdim=True)
    rounding = 8 * torch.finfo(x.dtype).eps * x.norm(dim=2, keepdim=True)
    unit = about / length.where(length > rounding, torch.nan)
    return between(unit, unit) / 2


def _cosine(patterns: Patterns, used: Used, residuals: Residuals) -> Distances:
    unit = patterns[:, 0] / patterns[:, 0].norm(dim=2, keepdim=True)  # of no length: 0 / 0
    return between(unit, unit) / 2


def _euclidean(patterns: Patterns, used: Used, residuals: Residuals) -> Distances:
    return between(patterns[:, 0], patterns[:, 0]) / _size(used)


def _mahalanobis(patterns: Patterns, used: Used, residuals: Residuals) -> Distances:
    x = patterns[:, 0]
    if residuals:
        mean = torch.stack([shrunk_covariance(one, used=used) for one in residuals]).mean(0)
        x = white(x, mean)
    return between(x, x) / _size(used)


def _poisson(patterns: Patterns, used: Used, residuals: Residuals) -> Distances:
    rate = (patterns[:, 0] + PRIOR_RATE * PRIOR_WEIGHT) / (1 + PRIOR_WEIGHT)
    return between(rate, rate.log()) / _size(used)


def _crossnobis(patterns: Patterns, used: Used, residuals: Residuals) -> Distances:
    """Of every two folds, with the inverse of the mean of their covariances (`crossnobis.py`)."""
    n_folds = patterns.shape[1]
    covariances = [shrunk_covariance(one, used=used) for one in residuals]
    pairs = list(combinations(range(n_folds), 2))
    if len(covariances) == 1:
        patterns = white(patterns.flatten(1, 2), covariances[0]).reshape(patterns.shape)
    total = torch.zeros((), dtype=patterns.dtype, device=patterns.device)
    for f, g in pairs:
        both = patterns[:, [f, g]]
        if len(covariances) > 1:
            both = white(both.flatten(1, 2), (covariances[f] + covariances[g]) / 2).reshape(both.shape)
        total = total + between(both[:, 0], both[:, 1])
    return total / len(pairs) / _size(used)


METHODS: dict[str, Callable[[Patterns, Used, Residuals], Distances]] = {
    "correlation": _correlation,
    "cosine": _cosine,
    "euclidean": _euclidean,
    "mahalanobis": _mahalanobis,
    "poisson": _poisson,
    "crossnobis": _crossnobis,
}
