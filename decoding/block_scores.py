"""Scores of held-out blocks beside the null of permuted labels.

Within a repetition every category has one block, so what was decoded for its blocks and their true categories form a
square. The null pairs them at random within each repetition. With one training block per category it is at the same
time the null of permuted training labels: to permute those only renames the networks' outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from .categories import Block
from .identification import chance, identification_pairs
from .intervals import interval
from .nulls import N_DRAWS, Null

METRICS = ("top1", "percentile")


@dataclass(frozen=True)
class BlockScore:
    """Mean over the blocks, its 95% interval (blocks drawn with replacement), its null and its chance level."""

    metric: str
    value: float
    ci_low: float
    ci_high: float
    null: Null
    chance: float
    n_blocks: int


def block_scores(
    evidence: Float[np.ndarray, "block category"],
    blocks: Sequence[Block],
    categories: Sequence[str],
    *,
    n_draws: int = N_DRAWS,
    seed: int = 0,
) -> list[BlockScore]:
    """`top1` (the category with most evidence is the true one; ties share) and `percentile` of the true category.

    `evidence` [i, j] is for category j on block i. Categories without blocks count neither as truth nor as choice.
    """
    squares = _squares(evidence, blocks, categories)
    return [_score(metric, squares, n_draws, seed) for metric in METRICS]


def permuted_pairings(
    pairs: Sequence[Float64[np.ndarray, "block block"]], n_draws: int, seed: int
) -> Float64[np.ndarray, " draw"]:
    """Mean over all blocks with the true categories permuted at random within each repetition."""
    rng = np.random.default_rng(seed)
    total, n_blocks = np.zeros(n_draws), sum(len(square) for square in pairs)
    for square in pairs:
        truth = rng.permuted(np.tile(np.arange(len(square)), (n_draws, 1)), axis=1)
        total += square[np.arange(len(square)), truth].sum(axis=1)
    return total / n_blocks


def _squares(
    evidence: Float[np.ndarray, "block category"], blocks: Sequence[Block], categories: Sequence[str]
) -> list[dict[str, Float64[np.ndarray, "shown shown"]]]:
    """Per repetition the pair matrices of its blocks (rows) and their true categories (columns)."""
    squares = []
    for repetition in sorted({block.repetition for block in blocks}):
        rows = [i for i, block in enumerate(blocks) if block.repetition == repetition]
        columns = [list(categories).index(blocks[i].category) for i in rows]
        squares.append(identification_pairs(np.asarray(evidence)[np.ix_(rows, columns)], "category"))
    return squares


def _score(
    metric: str, squares: Sequence[dict[str, Float64[np.ndarray, "block block"]]], n_draws: int, seed: int
) -> BlockScore:
    pairs = [square[f"category_{metric}"] for square in squares]
    own = [np.diagonal(square)[:, None] for square in pairs]
    value = float(np.concatenate(own).mean())
    draws = permuted_pairings(pairs, n_draws, seed)
    mean, sd = float(draws.mean()), float(draws.std(ddof=1))
    p = float((1 + np.sum(draws >= value - 1e-9)) / (1 + n_draws))
    null = Null(mean, sd, (value - mean) / sd if sd > 1e-9 else float("nan"), p)
    low, high = interval(own, [str(r) for r in range(len(own))], block=1, n_draws=n_draws, seed=seed)
    return BlockScore(metric, value, low, high, null, chance(metric, len(pairs[0])), sum(map(len, own)))
