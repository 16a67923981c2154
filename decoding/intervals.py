"""95% intervals over story blocks: a bootstrap that keeps together what belongs together.

Windows of a story resemble their neighbours, and stories differ from each other. So
- with at least five stories, whole stories are drawn with replacement;
- with fewer (a row of one story, above all), contiguous blocks of three windows are drawn inside each story, in a
  circle so that every window is drawn equally often (Politis & Romano, 1992). This says how sure the score is for
  these stories, not for others.

Percentiles of few resampled units are too narrow. They are widened to Hesterberg's expanded percentiles (2015, The
American Statistician 69:371, sec. 4.2): with n units, tail mass Φ(-√(n/(n-1)) t_{.975, n-1}) in place of .025.
Covered so, of 2,000 simulated means: 96% with one story of 30 windows, 92% with 5 stories that differ, 95% with 15.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Float64, Int
from scipy.stats import norm, t

from .nulls import N_DRAWS, standardise

BLOCK = 3
MIN_STORIES = 5

Samples = Float64[np.ndarray, "_window statistic"]  # recordings differ in length
Draws = Float64[np.ndarray, "draw statistic"]
Estimate = Callable[[Draws], Float64[np.ndarray, " draw"]]


def mean_of(draws: Draws) -> Float64[np.ndarray, " draw"]:
    """The estimate whose one statistic is a window's score."""
    return draws[:, 0]


def correlation_of(draws: Draws) -> Float64[np.ndarray, " draw"]:
    """Pearson r from the means of `moments`; 0 where a series is constant."""
    x, y, xx, yy, xy = draws.T
    spread = np.sqrt(np.clip(xx - x * x, 0, None) * np.clip(yy - y * y, 0, None))
    r: Float64[np.ndarray, " draw"] = np.divide(xy - x * y, spread, out=np.zeros_like(xy), where=spread > 1e-12)
    return r


def moments(predicted: Float[np.ndarray, " time"], true: Float[np.ndarray, " time"]) -> Samples:
    """x, y, x², y², xy per repetition of the z-scored series of one story: what r needs of a resample."""
    x, y = standardise(predicted), standardise(true)
    return np.stack([x, y, x * x, y * y, x * y], axis=1)


def interval(
    samples: Sequence[Samples],
    stories: Sequence[str],
    *,
    estimate: Estimate = mean_of,
    block: int = BLOCK,
    level: float = 0.95,
    n_draws: int = N_DRAWS,
    seed: int = 0,
) -> tuple[float, float]:
    """Interval of an estimate that is a function of means over windows.

    Parameters
    ----------
    samples
        Per recording (window, statistic): for a mean metric the diagonal of its pair matrix as one column.
    stories
        Name of the story of each recording; recordings of one story, by several people, are drawn together.
    block
        Length of a block in rows of `samples`.

    Both ends are NaN where there are fewer than two units to draw.
    """
    rng = np.random.default_rng(seed)
    if len(set(stories)) >= MIN_STORIES:
        units, draws = len(set(stories)), _story_means(samples, stories, n_draws, rng)
    else:
        units = sum(max(1, len(sample) // block) for sample in samples)
        draws = _block_means(samples, block, n_draws, rng)
    if units < 2:
        return math.nan, math.nan
    tail = _expanded_tail(units, level)
    low, high = np.quantile(estimate(draws), [tail, 1 - tail])
    return float(low), float(high)


def block_labels(lengths: Sequence[int], block: int = BLOCK) -> Int[np.ndarray, " window"]:
    """Number of the contiguous block to which each window belongs; a story's last block may be shorter."""
    labels, first = [], 0
    for length in lengths:
        labels.append(first + np.arange(length) // block)
        first += math.ceil(length / block)
    return np.concatenate(labels) if labels else np.zeros(0, np.int64)


def _story_means(samples: Sequence[Samples], stories: Sequence[str], n_draws: int, rng: np.random.Generator) -> Draws:
    names, index = np.unique(np.array(stories), return_inverse=True)
    sums, sizes = np.zeros((names.size, samples[0].shape[1])), np.zeros(names.size)
    np.add.at(sums, index, np.stack([sample.sum(axis=0) for sample in samples]))
    np.add.at(sizes, index, [len(sample) for sample in samples])
    times = rng.multinomial(names.size, np.full(names.size, 1 / names.size), size=n_draws).astype(np.float64)
    means: Draws = (times @ sums) / (times @ sizes)[:, None]
    return means


def _block_means(samples: Sequence[Samples], block: int, n_draws: int, rng: np.random.Generator) -> Draws:
    sizes = np.array([len(sample) for sample in samples], np.float64)
    drawn = np.stack([_circular_block_means(sample, block, n_draws, rng) for sample in samples])
    means: Draws = np.einsum("s,sdk->dk", sizes / sizes.sum(), drawn)
    return means


def _circular_block_means(sample: Samples, block: int, n_draws: int, rng: np.random.Generator) -> Draws:
    n, length = len(sample), min(block, len(sample))
    wrapped = np.concatenate([sample, sample[: length - 1]])
    blocks = np.lib.stride_tricks.sliding_window_view(wrapped, length, axis=0).mean(axis=-1)
    starts = rng.integers(n, size=(n_draws, math.ceil(n / length)))
    means: Draws = blocks[starts].mean(axis=1)
    return means


def _expanded_tail(units: int, level: float) -> float:
    quantile = t.ppf((1 + level) / 2, units - 1)
    return float(norm.cdf(-math.sqrt(units / (units - 1)) * quantile))
