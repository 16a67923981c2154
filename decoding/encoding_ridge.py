"""Ridge regression with every story left out once, exactly and from one decomposition.

With X'X = V diag(e) V', A = X'X + aI and story s of rows X_s, the hat block is H = X_s A^-1 X_s'. Leaving the story out
changes neither penalty nor centring, so that what the other stories say of it is (Cook & Weisberg 1982, eq. 2.2.10)

    e_s = (I - H)^-1 (Y_s - X_s W),    W_-s = W - A^-1 X_s' e_s.

himalaya's cross-validation refits each fold by a decomposition of its own: 86 of them for 86 stories. It is the oracle
of this file's tests. Responses and features are taken to have mean 0: there is no intercept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int
from scipy.linalg import cho_factor, cho_solve

Story = Float32[np.ndarray, "_time _column"]  # stories differ in length
CHANNELS_AT_ONCE = 4_000


@dataclass(frozen=True, eq=False)
class StoryRidge:
    """The decomposed features of all training stories.

    `values` and `vectors` are of X'X; `rotated` holds X_s V of each story.
    """

    values: Float64[np.ndarray, " feature"]
    vectors: Float32[np.ndarray, "feature feature"]
    rotated: Sequence[Story]

    @classmethod
    def of(cls, x: Sequence[Story]) -> StoryRidge:
        """Decompose the features of the stories, each (time, feature)."""
        gram = np.zeros((x[0].shape[1], x[0].shape[1]))
        for story in x:
            gram += story.T @ story
        values, vectors = np.linalg.eigh(gram)
        narrow = vectors.astype(np.float32)
        return cls(np.clip(values, 0, None), narrow, [story @ narrow for story in x])

    def errors(self, y: Sequence[Story], penalties: Sequence[float]) -> Float64[np.ndarray, "penalty channel"]:
        """Squared error of every channel when each story is predicted from the others, summed over rows."""
        parts = []
        for part in _parts(y[0].shape[1]):
            seen = [story[:, part] for story in y]
            parts.append(np.stack([squares(self.residuals(seen, penalty)) for penalty in penalties]))
        return np.concatenate(parts, axis=1)

    def residuals(self, y: Sequence[Story], penalty: float) -> list[Story]:
        """What is left of each story when the others predict it."""
        target, root = self._target(y), np.sqrt(1 / (self.values + penalty))
        weights = (target / (self.values[:, None] + penalty)).astype(np.float32)
        return [
            _left_out(z * root.astype(np.float32), story - z @ weights)
            for z, story in zip(self.rotated, y, strict=True)
        ]

    def weights(
        self, y: Sequence[Story], penalty: Float64[np.ndarray, " channel"]
    ) -> Float32[np.ndarray, "feature channel"]:
        """Weights from all stories, a penalty per channel."""
        shrunk = self._target(y) / (self.values[:, None] + penalty)
        return np.asarray(self.vectors @ shrunk.astype(np.float32))

    def weights_left_out(
        self, y: Sequence[Story], penalty: Float64[np.ndarray, " channel"]
    ) -> Iterator[Float32[np.ndarray, "feature channel"]]:
        """For each story the weights from all others."""
        target, shrink = self._target(y), 1 / (self.values[:, None] + penalty)
        missed = self.left_out(y, penalty)
        for z, residual in zip(self.rotated, missed, strict=True):
            yield self.vectors @ (shrink * (target - z.T @ residual)).astype(np.float32)

    def left_out(self, y: Sequence[Story], penalty: Float64[np.ndarray, " channel"]) -> list[Story]:
        """What is left of each story when the others predict it, a penalty per channel."""
        found = [np.empty_like(story) for story in y]
        for value in np.unique(penalty):
            own = np.flatnonzero(penalty == value)
            for story, residual in zip(found, self.residuals([s[:, own] for s in y], float(value)), strict=True):
                story[:, own] = residual
        return found

    def _target(self, y: Sequence[Story]) -> Float64[np.ndarray, "feature channel"]:
        """V' X' Y."""
        total: Float64[np.ndarray, "feature channel"] = np.zeros((len(self.values), y[0].shape[1]))
        for z, story in zip(self.rotated, y, strict=True):
            total += z.T @ story
        return total


def best_penalties(
    errors: Float64[np.ndarray, "penalty channel"], penalties: Sequence[float], alike: bool = False
) -> Float64[np.ndarray, " channel"]:
    """The penalty of each channel with the least error; `alike`: one for all, with the least error of all together.

    Few stories cannot tell channels apart: their own penalties scatter over the grid, and predict worse.
    """
    if alike:
        return np.full(errors.shape[1], np.asarray(penalties, np.float64)[errors.sum(axis=1).argmin()])
    chosen: Float64[np.ndarray, " channel"] = np.asarray(penalties, np.float64)[errors.argmin(axis=0)]
    return chosen


def best_channels(
    errors: Float64[np.ndarray, "penalty channel"], y: Sequence[Story], n_channels: int
) -> Int[np.ndarray, " kept"]:
    """The channels whose left-out stories are predicted best, as a share of their variance, in order of number."""
    power = squares(y)
    share = np.where(power > 0, errors.min(axis=0) / np.maximum(power, 1e-12), np.inf)  # what never moves comes last
    return np.sort(np.argsort(share, kind="stable")[:n_channels])


def _left_out(scaled: Story, fitted: Story) -> Story:
    hat = np.eye(len(scaled)) - scaled @ scaled.T
    return np.asarray(cho_solve(cho_factor(hat, lower=True), fitted.astype(np.float64)), np.float32)


def squares(stories: Sequence[Story]) -> Float64[np.ndarray, " channel"]:
    """Sum of squares of each channel over all rows."""
    total: Float64[np.ndarray, " channel"] = np.zeros(stories[0].shape[1])
    for story in stories:
        total += np.einsum("tc,tc->c", story, story, dtype=np.float64)
    return total


def _parts(n: int) -> list[slice]:
    return [slice(first, first + CHANNELS_AT_ONCE) for first in range(0, n, CHANNELS_AT_ONCE)]
