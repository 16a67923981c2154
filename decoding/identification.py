"""Does what was decoded pick the right window of the story among the others?

Every row of a similarity matrix ranks all windows of the story as candidates. A tie counts as its expected value
under random tie-breaking, so that a constant similarity scores exactly the chance level.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Float64
from scipy.stats import rankdata

from ..datasets.errors import BrokenData
from .rate_matched import RATE_MATCHED, rate_matched_chance, rate_matched_pairs

Similarity = Float[np.ndarray, "decoded candidate"]
Pairs = Float64[np.ndarray, "decoded candidate"]

CHANCE: dict[str, Callable[[int], float]] = {
    "top1": lambda n: 1 / n,
    "top5": lambda n: min(5, n) / n,
    "percentile": lambda n: 0.5,
}


def top_pairs(similarity: Similarity, k: int) -> Pairs:
    """[i, j]: probability that candidate j is among the k most similar to row i, ties broken at random."""
    ahead, tied = _ranking(similarity)
    inside: Pairs = np.clip((k - ahead) / tied, 0.0, 1.0)
    return inside


def percentile_pairs(similarity: Similarity) -> Pairs:
    """[i, j]: share of the other candidates that j beats in row i, a tie counting one half; .5 where j is alone."""
    n = similarity.shape[1]
    if n == 1:
        return np.full(similarity.shape, 0.5)
    ahead, tied = _ranking(similarity)
    beaten: Pairs = 1 - (ahead + (tied - 1) / 2) / (n - 1)
    return beaten


def identification_pairs(
    similarity: Similarity, prefix: str, counts: Float[np.ndarray, " candidate"] | None = None
) -> dict[str, Pairs]:
    """Pair matrices `{prefix}_top1`, `{prefix}_top5`, `{prefix}_percentile`, higher better (see `nulls`).

    Parameters
    ----------
    similarity
        [i, j]: how well what was decoded for window i agrees with window j; only the order within a row matters.
    prefix
        "latent" or "text": what was decoded.
    counts
        Words in each true window: gives `{prefix}_rate_matched_top1` too (see `rate_matched`).

    Raises `BrokenData` where a similarity is not finite or the matrix is not square.
    """
    if similarity.shape[0] != similarity.shape[1]:
        raise BrokenData(
            f"similarity has shape {similarity.shape}",
            f"{prefix} identification",
            "Give one row and column per window.",
        )
    return candidate_scores(similarity, prefix, counts)


def candidate_scores(
    similarity: Similarity, prefix: str, counts: Float[np.ndarray, " candidate"] | None = None
) -> dict[str, Pairs]:
    """The same for any number of rows, say those of many draws below each other."""
    if not np.isfinite(similarity).all():
        raise BrokenData(
            "a similarity is not finite",
            f"{prefix} identification",
            "Look for empty or constant latents: their cosine is undefined.",
        )
    matched = {} if counts is None else {f"{prefix}_{RATE_MATCHED}": rate_matched_pairs(similarity, counts)}
    return {
        f"{prefix}_top1": top_pairs(similarity, 1),
        **matched,
        f"{prefix}_top5": top_pairs(similarity, 5),
        f"{prefix}_percentile": percentile_pairs(similarity),
    }


def chance(metric: str, n: int) -> float:
    """Chance level among n windows, by the metric's last word (`top1`, `top5`, `percentile`); NaN for other metrics.

    Among the windows that are matched for rate it is that of top-1 among these.
    """
    if metric.endswith(RATE_MATCHED):
        return rate_matched_chance(n)
    level = CHANCE.get(metric.rpartition("_")[2])
    return level(n) if level is not None else float("nan")


def _ranking(similarity: Similarity) -> tuple[Pairs, Pairs]:
    """How many candidates of the row are strictly ahead of each, and how many share its place (itself included)."""
    first = rankdata(-similarity, method="min", axis=1)
    last = rankdata(-similarity, method="max", axis=1)
    return (first - 1).astype(np.float64), (last - first + 1).astype(np.float64)
