"""Does what was decoded pick its window among those that hold about as many words? Rate is not meaning.

How fast somebody speaks is easy to read from a brain, and tells most windows of a story apart. Here the candidates are
the true window and the k windows of its story whose word counts differ least from its own, so that a system which
knows the word rate, and no more, is left near chance, 1 / (k + 1). "Near": the matched windows differ by a few words,
which a system that knew the rate exactly could still tell. And only the number is matched: how the words are spread
over a window's rows tells much more (a regression on words per row: .68 to .73 on real stories, chance .2).

Where several windows differ by as much as the last that is taken, each is as likely to be taken; the score is the
exact expectation over this choice and over ties of the similarity. A story of n windows has at most n - 1 to take.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float64, Int
from scipy.special import comb

from ..datasets.errors import BrokenData

N_DISTRACTORS = 4
RATE_MATCHED = "rate_matched_top1"
BLOCK_SIZE = 10_000_000  # comparisons held at once


def rate_matched_pairs(
    similarity: Float[np.ndarray, "decoded candidate"],
    counts: Float[np.ndarray, " candidate"] | Int[np.ndarray, " candidate"],
    n_distractors: int = N_DISTRACTORS,
) -> Float64[np.ndarray, "decoded candidate"]:
    """[i, j]: probability that window j is more similar to row i than the windows matched to j, ties at random.

    Parameters
    ----------
    similarity
        [i, j]: how well what was decoded for window i agrees with window j.
    counts
        Words in each true window.
    n_distractors
        Matched windows, fewer where the story has fewer.

    Raises `BrokenData` where a count is not finite.
    """
    if not np.isfinite(counts).all():
        raise BrokenData("a word count is not finite", "rate-matched identification", "Count the words of each window.")
    n = similarity.shape[1]
    k = min(n_distractors, n - 1)
    if k < 1:
        return np.ones(similarity.shape)
    gap = np.abs(np.subtract.outer(counts, counts, dtype=np.float64))
    np.fill_diagonal(gap, np.inf)
    furthest = np.sort(gap, axis=1)[:, k - 1 : k]
    size = max(1, BLOCK_SIZE // similarity.size)
    parts = [
        _block(similarity, np.arange(first, min(first + size, n)), gap, furthest, k) for first in range(0, n, size)
    ]
    return np.concatenate(parts, axis=1)


def rate_matched_chance(n: int, n_distractors: int = N_DISTRACTORS) -> float:
    """Of n windows."""
    return 1 / (min(n_distractors, n - 1) + 1)


def _block(
    similarity: Float[np.ndarray, "decoded candidate"],
    windows: Int[np.ndarray, " window"],
    gap: Float[np.ndarray, "candidate candidate"],
    furthest: Float[np.ndarray, "candidate 1"],
    k: int,
) -> Float64[np.ndarray, "decoded window"]:
    """Columns of the pair matrix. Nearer windows are all in; of those at the furthest distance some are drawn."""
    near, edge = (gap < furthest)[windows], (gap == furthest)[windows]
    own, others = similarity[:, windows, None], similarity[:, None, :]
    ahead, tied = others > own, others == own
    score = _expected_share(_among(tied, near), _among(ahead, edge), _among(tied, edge), edge.sum(1), k - near.sum(1))
    return np.where(_among(ahead, near) == 0, score, 0.0)


def _among(
    which: Bool[np.ndarray, "decoded window candidate"], group: Bool[np.ndarray, "window candidate"]
) -> Int[np.ndarray, "decoded window"]:
    counts: Int[np.ndarray, "decoded window"] = (which & group).sum(axis=2)
    return counts


def _expected_share(
    tied_near: Int[np.ndarray, "decoded window"],
    ahead: Int[np.ndarray, "decoded window"],
    tied: Int[np.ndarray, "decoded window"],
    size: Int[np.ndarray, " window"],
    drawn: Int[np.ndarray, " window"],
) -> Float64[np.ndarray, "decoded window"]:
    """E[1 / (1 + ties)] where none of the `drawn` windows is ahead: of `size`, `ahead` are, and `tied` are equal.

    x of the drawn ones are tied with hypergeometric probability.
    """
    total = np.zeros(tied.shape)
    for x in range(int(drawn.max()) + 1):
        ways = comb(tied, x) * comb(size - ahead - tied, drawn - x)
        total += np.where(drawn >= x, ways, 0) / (1 + tied_near + x)
    share: Float64[np.ndarray, "decoded window"] = total / comb(size, drawn)
    return share
