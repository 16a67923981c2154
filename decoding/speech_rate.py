"""How many words were said in each row: a ridge from the responses of that row and of some after it.

Tang et al. 2023 time the words of their decoder by such a model. Its penalty is the one that predicts left-out stories
best. Fitted on training runs of one person only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int

from ..datasets.study import Run
from .encoding_features import words_by_row
from .encoding_ridge import StoryRidge, best_penalties

AHEAD = 6  # rows of responses, from a word's own on
PENALTIES = tuple(float(value) for value in np.logspace(1, 6, 11))


@dataclass(frozen=True, eq=False)
class SpeechRate:
    """`weights` (ahead * channel,) and the words of a mean row, `mean`."""

    weights: Float32[np.ndarray, " delayed"]
    mean: float

    @classmethod
    def fit(cls, runs: Sequence[Run]) -> SpeechRate:
        """From training runs with words, runs of one story left out together."""
        stories = sorted({run.story for run in runs})
        groups = [[run for run in runs if run.story == story] for story in stories]
        said = [np.concatenate([_said(run) for run in group]) for group in groups]
        mean = float(np.concatenate(said).mean())
        ridge = StoryRidge.of([np.concatenate([_ahead(run.responses[:]) for run in group]) for group in groups])
        y = [(story - mean)[:, None].astype(np.float32) for story in said]
        penalty = best_penalties(ridge.errors(y, PENALTIES), PENALTIES)
        return cls(ridge.weights(y, penalty)[:, 0], mean)

    def __call__(self, responses: Float32[np.ndarray, "time channel"]) -> Float64[np.ndarray, " time"]:
        """Words in each row, 0 or more."""
        return np.asarray(np.maximum(0.0, self.mean + _ahead(responses).astype(np.float64) @ self.weights))


def whole_words(rate: Float64[np.ndarray, " time"]) -> Int[np.ndarray, " time"]:
    """Whole numbers whose running total is the rounded running total of the rate."""
    total = np.rint(np.cumsum(rate)).astype(np.int64)
    return np.diff(total, prepend=0)


def _said(run: Run) -> Float64[np.ndarray, " time"]:
    return np.array([len(row) for row in words_by_row(run)], np.float64)


def _ahead(responses: Float32[np.ndarray, "time channel"]) -> Float32[np.ndarray, "time delayed"]:
    """Responses of each row and of those after it side by side; 0 past the end."""
    n = len(responses)
    padded = np.concatenate([responses, np.zeros((AHEAD - 1, responses.shape[1]), responses.dtype)])
    return np.concatenate([padded[delay : delay + n] for delay in range(AHEAD)], axis=1).astype(np.float32)
