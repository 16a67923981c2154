"""Is one system better than another on the same windows? Their difference, its interval, and a sign-flip p."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from ..datasets.errors import WrongArgument
from .intervals import BLOCK, block_labels, interval
from .nulls import N_DRAWS


@dataclass(frozen=True)
class Difference:
    """Mean of first - second over windows, its 95% interval over story blocks, and a two-sided p."""

    value: float
    ci_low: float
    ci_high: float
    p: float
    n_windows: int


def paired_difference(
    first: Float64[np.ndarray, " first"],
    second: Float64[np.ndarray, " second"],
    stories: Sequence[str],
    *,
    n_draws: int = N_DRAWS,
    seed: int = 0,
) -> Difference:
    """Compare two systems window by window.

    The interval follows `intervals.interval`. p flips the sign of the difference of whole contiguous blocks of three
    windows, exchangeable when the systems do not differ; +1 correction.

    Parameters
    ----------
    first, second
        A window's scores: the diagonals of two pair matrices of one metric, stories one after the other.
    stories
        Name of the story of each window.

    Raises `WrongArgument` when the lengths differ, a score is not finite or there is no window.
    """
    if not len(first) == len(second) == len(stories) or len(first) == 0:
        raise WrongArgument(
            f"{len(first)} and {len(second)} scores of {len(stories)} windows",
            "paired_difference",
            "Score both systems on the same windows.",
        )
    difference = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    if not np.isfinite(difference).all():
        raise WrongArgument("a score is not finite", "paired_difference", "Leave out windows that have no score.")
    names = list(dict.fromkeys(stories))
    parts = [difference[np.array(stories) == name] for name in names]
    low, high = interval([part[:, None] for part in parts], names, n_draws=n_draws, seed=seed)
    return Difference(float(difference.mean()), low, high, _sign_flip_p(parts, n_draws, seed), len(difference))


def _sign_flip_p(parts: Sequence[Float64[np.ndarray, " _window"]], n_draws: int, seed: int) -> float:
    sums = np.bincount(block_labels([len(part) for part in parts], BLOCK), weights=np.concatenate(parts))
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(n_draws, sums.size))
    slack = 1e-9 * max(1.0, float(np.abs(sums).sum()))
    return float((1 + np.sum(np.abs(signs @ sums) >= abs(sums.sum()) - slack)) / (1 + n_draws))
