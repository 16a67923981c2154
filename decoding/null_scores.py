"""What a null gave for one recording: pair matrices as means over its draws, and the story's score in every draw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from .nulls import correlation_curve
from .window_scores import Stack

PAIRS, DRAWS, PREDICTED = "pairs ", "draws ", "predicted"  # prefixes and a name in a kept file


@dataclass(frozen=True, eq=False)
class NullScores:
    """Scores of one null on one recording.

    Parameters
    ----------
    pairs
        Metric to pair matrix (see `metrics`), mean over the draws.
    draws
        Metric to the recording's score in each draw.
    predicted
        Words per repetition in each draw, where the null has a text rate of its own.
    """

    pairs: Mapping[str, Float64[np.ndarray, "window window"]]
    draws: Mapping[str, Float64[np.ndarray, " draw"]]
    predicted: Float[np.ndarray, "draw time"] | None = None

    @classmethod
    def of_stacks(
        cls,
        parts: Iterable[tuple[Mapping[str, Stack], Float[np.ndarray, "_draw time"] | None]],
        words: Float[np.ndarray, " time"],
    ) -> NullScores:
        """From the pair matrices of some draws at a time, with their text rates; `words` are those heard."""
        sums: dict[str, Float64[np.ndarray, "window window"]] = {}
        scores: dict[str, list[np.ndarray]] = {}
        rates = []
        for stacks, predicted in parts:
            for metric, stack in stacks.items():
                sums[metric] = sums.get(metric, 0) + stack.sum(axis=0)
                scores.setdefault(metric, []).append(np.diagonal(stack, axis1=1, axis2=2).mean(axis=1))
            rates += [] if predicted is None else [predicted]
        draws = {metric: np.concatenate(found) for metric, found in scores.items()}
        pairs = {metric: total / draws[metric].size for metric, total in sums.items()}
        if not rates:
            return cls(pairs, draws)
        told = np.concatenate(rates)
        draws["word_rate_r"] = np.array([correlation_curve(one, words).value for one in told])
        return cls(pairs, draws, told)

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything as arrays (see `of`)."""
        rates = {} if self.predicted is None else {PREDICTED: self.predicted}
        parts = {PAIRS: self.pairs, DRAWS: self.draws}
        named = {f"{part}{metric}": values for part, group in parts.items() for metric, values in group.items()}
        return named | rates

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> NullScores:
        """The scores from what `arrays` gave."""
        pairs, draws = (
            {name.removeprefix(part): values for name, values in arrays.items() if name.startswith(part)}
            for part in (PAIRS, DRAWS)
        )
        return cls(pairs, draws, arrays.get(PREDICTED))
