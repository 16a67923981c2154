"""Distances between the patterns of conditions, each written as a signed squared distance of features.

With z the pattern x of a condition, scaled or whitened as below, over K channels:
- correlation: 1 - r = |z_i - z_j|² / 2, z = x less its mean, of length 1;
- cosine: 1 - cos = |z_i - z_j|² / 2, z = x of length 1;
- euclidean: |x_i - x_j|² / K, squared and by channel as rsatoolbox has it;
- mahalanobis: (x_i - x_j) P (x_i - x_j)ᵀ / K with the noise precision P, z = x W and W Wᵀ = P;
- poisson: Σ (m_i - m_j)(log m_i - log m_j) / K, the symmetric Kullback-Leibler divergence of Poisson rates m with
  rsatoolbox's prior; a product a b is the difference of the squares of (a + b) / 2 and (a - b) / 2;
- crossnobis: `crossnobis.py`.

Features are centred over conditions, which changes no distance and keeps the digits (see `squared_distances.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from jaxtyping import Float64, Int
from torch import Tensor

from ..datasets.errors import BrokenData, WrongArgument
from .noise_precision import root
from .pattern_blocks import FEWEST, VALUES, Blocks, PatternBlocks, as_tensor, moments
from .squared_distances import Block, Features, squared_distances

CHUNK = 256 * 2**20  # bytes
LOT = 256  # features that are whitened together
PRIOR_RATE, PRIOR_WEIGHT = 1.0, 0.1  # rsatoolbox's: a rate of 1 with the weight of a tenth of an observation

Noise = np.ndarray | Tensor
Rows = Float64[Tensor, "row _feature"]


def dissimilarities(
    x: np.ndarray | Tensor,
    method: str = "correlation",
    *,
    noise: Noise | None = None,
    order: Int[Tensor, " condition"] | None = None,
    chunk: int = CHUNK,
    device: torch.device | str = "cpu",
) -> Float64[Tensor, " pair"]:
    """Distances of all pairs of rows of x (condition channel), the upper triangle by row.

    Parameters
    ----------
    x
        Real numbers of any type, also float16, bfloat16, not contiguous or mapped from disk.
    method
        correlation, cosine, euclidean, mahalanobis or poisson (crossnobis needs folds: `rdm.rdms`).
    noise
        Precision (channel channel), for mahalanobis; none is the identity.
    order
        Row r is number order[r] of the result (see `squared_distances`).
    chunk
        Bytes that are used beside the result, x and the noise.

    Raises `WrongArgument` for an unknown method or a noise that cannot be meant; `BrokenData` for values that are
    complex or not finite, fewer than two conditions, patterns that do not vary (correlation) or are 0 (cosine), and
    negative rates (poisson).
    """
    tensor = as_tensor(x, "patterns")
    return pattern_distances(
        PatternBlocks(tensor, None, len(tensor), device), method, noise=noise, order=order, chunk=chunk
    )


def pattern_distances(
    patterns: PatternBlocks,
    method: str,
    *,
    noise: Noise | None = None,
    order: Int[Tensor, " condition"] | None = None,
    chunk: int = CHUNK,
) -> Float64[Tensor, " pair"]:
    """The same of patterns that may still have to be averaged."""
    if method not in METHODS:
        raise WrongArgument(f"no distance {method!r}", "method", f"Choose one of: {', '.join(METHODS)}, crossnobis.")
    if noise is not None and method != "mahalanobis":
        raise WrongArgument(f"{method} takes no noise", "noise", "Use mahalanobis or crossnobis, or give no noise.")
    if patterns.n < 2:
        raise BrokenData(f"there are {patterns.n} condition(s)", patterns.where, "A distance needs two conditions.")
    with torch.no_grad():
        features = METHODS[method](patterns, noise, chunk)
        found = squared_distances(features, patterns.n, chunk=chunk, order=order, device=patterns.device)
    return found.clamp_(min=0)  # what is 0 may come out as -1e-16


def positive(blocks: Blocks, scale: float) -> Features:
    """Blocks less their mean over rows, with sign 1; `scale` multiplies the distance."""
    return partial(_positive, blocks, scale)


def _positive(blocks: Blocks, scale: float) -> Iterator[Block]:
    for block in blocks():
        values = (block - block.mean(0)) * scale**0.5
        yield values, torch.ones(values.shape[1], dtype=values.dtype, device=values.device)


def products(pairs: Callable[[], Iterator[tuple[Rows, Rows]]], scale: float) -> Features:
    """Features whose distance is scale Σ (a_i - a_j)(b_i - b_j), given blocks of a and b.

    Where b is nearly proportional to a, as a logarithm is, each channel's factor c makes c a and b / c alike, and the
    negative half all but disappears.
    """
    return partial(_products, pairs, scale)


def _products(pairs: Callable[[], Iterator[tuple[Rows, Rows]]], scale: float) -> Iterator[Block]:
    for a, b in pairs():
        left, right = a - a.mean(0), b - b.mean(0)
        size, other = left.square().sum(0), right.square().sum(0)
        factor = torch.where((size > 0) & (other > 0), other / size.where(size > 0, other + 1), 1.0) ** 0.25
        left, right = left * (factor * scale**0.5 / 2), right * (scale**0.5 / 2 / factor)
        ones = torch.ones(left.shape[1], dtype=left.dtype, device=left.device)
        yield torch.cat([left + right, left - right], 1), torch.cat([ones, -ones])


def whitened(
    patterns: PatternBlocks,
    factor: Float64[Tensor, "channel feature"],
    chunk: int,
    rows: Int[Tensor, " row"] | None = None,
) -> Iterator[Rows]:
    """Blocks of x W, of all rows or some.

    Features are computed in lots of a quarter of the chunk at most. For each lot x is read once, an eighth of the chunk
    at a time: were it a few channels at a time, moving the lot would cost more than the product.
    """
    n = patterns.n if rows is None else len(rows)
    width = max(FEWEST, min(LOT, chunk // (4 * 8 * n)))
    for first in range(0, factor.shape[1], width):
        lot = torch.zeros(n, min(width, factor.shape[1] - first), dtype=torch.float64, device=factor.device)
        wide = factor[:, first : first + width]
        used = int(wide.any(1).int().argmax())  # above the first channel that it uses a triangular factor is 0
        for start, stop in patterns.spans(max(VALUES, chunk // (8 * 8))):
            if stop > used:
                means = patterns.means(max(start, used), stop)
                lot.addmm_(means if rows is None else means[rows], wide[max(start, used) : stop])
        narrow = max(FEWEST, VALUES // n)
        yield from (lot[:, start : start + narrow] for start in range(0, lot.shape[1], narrow))


def _euclidean(patterns: PatternBlocks, noise: Noise | None, chunk: int) -> Features:
    return positive(patterns.blocks, 1 / patterns.n_channels)


def _mahalanobis(patterns: PatternBlocks, noise: Noise | None, chunk: int) -> Features:
    if noise is None:
        return _euclidean(patterns, None, chunk)
    factor = root(noise, patterns.n_channels, patterns.device)
    return positive(partial(whitened, patterns, factor, chunk), 1 / patterns.n_channels)


def _correlation(patterns: PatternBlocks, noise: Noise | None, chunk: int) -> Features:
    mean, squares = moments(patterns.blocks)
    rounding = 8 * torch.finfo(torch.float64).eps * mean.abs()
    _check_length(patterns, squares <= patterns.n_channels * rounding.square(), "does not vary over channels")
    return positive(lambda: ((block - mean[:, None]) / squares.sqrt()[:, None] for block in patterns.blocks()), 0.5)


def _cosine(patterns: PatternBlocks, noise: Noise | None, chunk: int) -> Features:
    length = sum((block.square().sum(1) for block in patterns.blocks()), torch.zeros(())).sqrt()
    _check_length(patterns, length == 0, "is 0 in all channels")
    return positive(lambda: (block / length[:, None] for block in patterns.blocks()), 0.5)


def _poisson(patterns: PatternBlocks, noise: Noise | None, chunk: int) -> Features:
    return products(partial(_rates, patterns), 1 / patterns.n_channels)


def _rates(patterns: PatternBlocks) -> Iterator[tuple[Rows, Rows]]:
    """Rates with the prior, and their logarithms."""
    for block in patterns.blocks():
        if bool((block < 0).any()):
            raise BrokenData("a rate is negative", patterns.where, "Poisson-KL takes spike counts or rates.")
        rate = (block + PRIOR_RATE * PRIOR_WEIGHT) / (1 + PRIOR_WEIGHT)
        yield rate, rate.log()


METHODS: dict[str, Callable[[PatternBlocks, Noise | None, int], Features]] = {
    "correlation": _correlation,
    "cosine": _cosine,
    "euclidean": _euclidean,
    "mahalanobis": _mahalanobis,
    "poisson": _poisson,
}


def _check_length(patterns: PatternBlocks, broken: Tensor, what: str) -> None:
    if bool(broken.any()):
        row = int(broken.nonzero()[0])
        raise BrokenData(
            f"the pattern of condition {patterns.name(row)} {what}",
            patterns.where,
            "Leave the condition out, or use euclidean, which such patterns do not break.",
        )
