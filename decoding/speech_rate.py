"""How many words were said in each row: a ridge from the responses of that row and of some after it.

Tang et al. 2023 time the words of their decoder by such a model. Its penalty is the one that predicts left-out stories
best. Fitted on training runs of one person only. Minutes are too few for that: there, the encoding model says what a
mean word does, and how much of it is in the responses tells the rate (a matched filter: Turin 1960).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int

from ..datasets.study import Run
from .encoding_features import words_by_row
from .encoding_model import FittedEncodingModel
from .encoding_ridge import StoryRidge, best_penalties

AHEAD = 6  # rows of responses, from a word's own on
PENALTIES = tuple(float(value) for value in np.logspace(1, 6, 11))


@dataclass(frozen=True, eq=False)
class SpeechRate:
    """`weights` (ahead * channel,) of the responses of a row and those after it, and `mean`, the words without any."""

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

    @classmethod
    def matched(cls, model: FittedEncodingModel, runs: Sequence[Run]) -> SpeechRate:
        """From the encoding model of somebody of whom there are minutes, `runs`, of the model's own channels.

        The filter's output in a row and its neighbours is regressed on the words of these minutes: four numbers.
        """
        filters = _filters(model, runs)
        x = np.concatenate([_filtered(run.responses[:], filters) for run in runs])
        design = np.concatenate([x, np.ones((len(x), 1))], axis=1)
        found = np.linalg.lstsq(design, np.concatenate([_said(run) for run in runs]), rcond=None)[0]
        return cls(np.einsum("n,nac->ac", found[:-1], filters).ravel().astype(np.float32), float(found[-1]))

    def __call__(self, responses: Float32[np.ndarray, "time channel"]) -> Float64[np.ndarray, " time"]:
        """Words in each row, 0 or more."""
        ahead = len(self.weights) // responses.shape[1]
        return np.asarray(np.maximum(0.0, self.mean + _ahead(responses, ahead).astype(np.float64) @ self.weights))


def whole_words(rate: Float64[np.ndarray, " time"]) -> Int[np.ndarray, " time"]:
    """Whole numbers whose running total is the rounded running total of the rate."""
    total = np.rint(np.cumsum(rate)).astype(np.int64)
    return np.diff(total, prepend=0)


def _said(run: Run) -> Float64[np.ndarray, " time"]:
    return np.array([len(row) for row in words_by_row(run)], np.float64)


def _filters(model: FittedEncodingModel, runs: Sequence[Run]) -> Float64[np.ndarray, "neighbour ahead channel"]:
    """What a mean word of these runs adds, weighed by the noise, if it began in the row before, this, or the next."""
    nothing = -model.features.mean / model.features.scale
    words = [[word] for run in runs for row in words_by_row(run) for word in row]
    mean_word = (model.features(words) - nothing).mean(axis=0, dtype=np.float64)
    delays = model.layout.delays
    by_delay = model.weights.reshape(len(delays), len(mean_word), -1)
    precision = model.noise.basis @ model.noise.basis.T
    found = np.zeros((3, max(delays) + 2, by_delay.shape[2]))
    for delay, weights in zip(delays, by_delay, strict=True):
        for neighbour in range(3):
            if (late := delay - 1 + neighbour) >= 0:
                found[neighbour, late] += mean_word @ weights @ precision
    return found


def _filtered(
    responses: Float32[np.ndarray, "time channel"], filters: Float64[np.ndarray, "neighbour ahead channel"]
) -> Float64[np.ndarray, "time neighbour"]:
    return np.asarray(_ahead(responses, filters.shape[1]) @ filters.reshape(3, -1).T)


def _ahead(responses: Float32[np.ndarray, "time channel"], ahead: int = AHEAD) -> Float32[np.ndarray, "time delayed"]:
    """Responses of each row and of those after it side by side; 0 past the end."""
    n = len(responses)
    padded = np.concatenate([responses, np.zeros((ahead - 1, responses.shape[1]), responses.dtype)])
    return np.concatenate([padded[delay : delay + n] for delay in range(ahead)], axis=1).astype(np.float32)
