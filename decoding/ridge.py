"""The baseline that has to be beaten: a ridge regression from delayed responses to the same text features.

Responses at rows t + 1 .. t + 4 predict the text features of row t (word vectors, words, characters); the penalty is
chosen by leave-story-out cross-validation on the training runs (himalaya). A window is identified like a latent: by
the cosine between predicted and true features, all rows of a window as one vector, centred over the story's windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from himalaya.kernel_ridge import KernelRidgeCV
from himalaya.ridge import RidgeCV
from jaxtyping import Float32, Float64
from sklearn.model_selection import GroupKFold

from ..datasets.study import Responses, Run
from .text_features import TextFeatures

PENALTIES = np.logspace(1, 6, 11)


@dataclass(frozen=True)
class Ridge:
    """Predicts text features from delayed responses; fitted on training runs only."""

    features: TextFeatures
    delays: tuple[int, ...] = (1, 2, 3, 4)
    max_channels: int = 4_000

    def fit(self, runs: Sequence[Run]) -> FittedRidge:
        """Raises nothing of its own; `runs` are the training runs of one person."""
        x = np.concatenate([delayed(run.responses, self.delays) for run in runs])
        y = np.concatenate([self.features.of(run).features for run in runs])
        groups = np.concatenate([np.full(run.responses.n_rows, i) for i, run in enumerate(runs)])
        folds = list(GroupKFold(min(5, len(runs))).split(x, groups=groups)) if len(runs) > 1 else 5
        # One and the same regression: its kernel form is the quick one where there are more features than rows.
        wide = x.shape[1] > x.shape[0]
        model = KernelRidgeCV(alphas=PENALTIES, cv=folds) if wide else RidgeCV(alphas=PENALTIES, cv=folds)
        return FittedRidge(self, model.fit(x, y))


@dataclass(frozen=True, eq=False)
class FittedRidge:
    """A `Ridge` with its weights."""

    ridge: Ridge
    model: RidgeCV | KernelRidgeCV

    def similarity(self, run: Run, starts: Sequence[int], rows: int) -> Float64[np.ndarray, "window window"]:
        """Of each window's predicted features to each window's true ones."""
        predicted = self.model.predict(delayed(run.responses, self.ridge.delays))
        sides = [_centred(values, starts, rows) for values in (predicted, self.ridge.features.of(run).features)]
        return np.asarray(sides[0] @ sides[1].T, dtype=np.float64)


def delayed(responses: Responses, delays: Sequence[int]) -> Float32[np.ndarray, "time delayed"]:
    """Rows t + d for every delay d side by side; past the end 0."""
    return np.concatenate([responses.padded(d, responses.n_rows + d) for d in delays], axis=1)


def _centred(values: np.ndarray, starts: Sequence[int], rows: int) -> np.ndarray:
    windows = np.stack([values[start : start + rows].ravel() for start in starts])
    windows = windows - windows.mean(axis=0)
    return np.asarray(windows / np.maximum(np.linalg.norm(windows, axis=1, keepdims=True), 1e-8))
