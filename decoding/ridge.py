"""The baseline that has to be beaten: a ridge regression from delayed responses to the same text features.

Responses at rows t + 1 .. t + 4 predict the text features of row t (word vectors, words, characters); the penalty of
each feature is chosen by leave-story-out cross-validation on the training runs: from one decomposition
(`encoding_ridge`, himalaya's RidgeCV to rounding in a twentieth of the time), or by himalaya's kernel form where there
are more columns than rows. A window is identified like a latent: by the cosine between predicted and true features, all
rows of a window as one vector, centred over the story's windows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from himalaya.kernel_ridge import KernelRidgeCV
from himalaya.ridge import RidgeCV
from jaxtyping import Float, Float32, Float64
from sklearn.model_selection import GroupKFold

from ..datasets.study import Responses, Run
from .encoding_ridge import StoryRidge, best_penalties
from .text_features import TextFeatures

PENALTIES = tuple(float(value) for value in np.logspace(1, 6, 11))


@dataclass(frozen=True)
class Ridge:
    """Predicts text features from delayed responses; fitted on training runs only."""

    features: TextFeatures
    delays: tuple[int, ...] = (1, 2, 3, 4)
    max_channels: int = 4_000

    def fit(self, runs: Sequence[Run]) -> FittedRidge:
        """Raises nothing of its own; `runs` are the training runs of one person."""
        stories = sorted({run.story for run in runs})
        groups = [[run for run in runs if run.story == story] for story in stories]
        x = [np.concatenate([delayed(run.responses, self.delays) for run in group]) for group in groups]
        y = [np.concatenate([self.features.of(run).features for run in group]) for group in groups]
        if len(groups) < 2 or x[0].shape[1] > sum(map(len, x)):
            return FittedRidge(self, _by_himalaya(x, y))
        ridge = StoryRidge.of(x)
        weights = ridge.weights(y, best_penalties(ridge.errors(y, PENALTIES), PENALTIES))
        return FittedRidge(self, lambda late: np.asarray(late @ weights))


@dataclass(frozen=True, eq=False)
class FittedRidge:
    """A `Ridge` and what it predicts from delayed responses (time, delayed)."""

    ridge: Ridge
    predict: Callable[[Float32[np.ndarray, "time delayed"]], Float[np.ndarray, "time feature"]]

    def similarity(self, run: Run, starts: Sequence[int], rows: int) -> Float64[np.ndarray, "window window"]:
        """Of each window's predicted features to each window's true ones."""
        predicted = self.predict(delayed(run.responses, self.ridge.delays))
        sides = [_centred(values, starts, rows) for values in (predicted, self.ridge.features.of(run).features)]
        return np.asarray(sides[0] @ sides[1].T, dtype=np.float64)


def _by_himalaya(
    x: Sequence[np.ndarray], y: Sequence[np.ndarray]
) -> Callable[[Float32[np.ndarray, "time delayed"]], Float[np.ndarray, "time feature"]]:
    """The kernel form where there are more columns than rows; folds within a single story."""
    every, groups = np.concatenate(x), np.repeat(np.arange(len(x)), list(map(len, x)))
    folds = list(GroupKFold(min(5, len(x))).split(every, groups=groups)) if len(x) > 1 else 5
    kind = KernelRidgeCV if every.shape[1] > len(every) else RidgeCV
    fitted = kind(alphas=PENALTIES, cv=folds).fit(every, np.concatenate(y))
    return lambda late: np.asarray(fitted.predict(late))


def delayed(responses: Responses, delays: Sequence[int]) -> Float32[np.ndarray, "time delayed"]:
    """Rows t + d for every delay d side by side; past the end 0."""
    return np.concatenate([responses.padded(d, responses.n_rows + d) for d in delays], axis=1)


def _centred(values: np.ndarray, starts: Sequence[int], rows: int) -> np.ndarray:
    windows = np.stack([values[start : start + rows].ravel() for start in starts])
    windows = windows - windows.mean(axis=0)
    return np.asarray(windows / np.maximum(np.linalg.norm(windows, axis=1, keepdims=True), 1e-8))
