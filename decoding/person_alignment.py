"""A new person's channels in the space of those whom a network was trained on, learned from stories that both heard.

The network's trunk reads Y, the mean over trained people of their responses through their own stems. From the new
person's responses X to the same rows comes a stem S with X S ≈ Y:
- `RidgeAlignment`: min |X S - Y|² + λ |S|², λ by leaving stretches out;
- `ProcrustesAlignment`: S orthogonal, min |X S - Y|² (Schönemann 1966; hyperalignment, Haxby et al. 2011);
- `SharedResponse`: every person's responses are a shared series through an orthonormal basis of the person's own,
  X_i ≈ R W_iᵀ, W_iᵀ W_i = 1 (Chen et al. 2015, NeurIPS, the deterministic form), S = W_new W_Yᵀ.

Rows are of z-scored recordings, so that no mean is taken off.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64
from scipy.linalg import orthogonal_procrustes, polar
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import LeaveOneGroupOut

from ..datasets.errors import WrongArgument

Stretches = Sequence[Float[np.ndarray, "_row _channel"]]
Stem = Float64[np.ndarray, "own space"]


class Alignment(ABC):
    """Finds S."""

    @abstractmethod
    def fit(self, own: Stretches, space: Stretches) -> Stem:
        """From the same stretches of the new person and of the space."""


@dataclass(frozen=True)
class RidgeAlignment(Alignment):
    """`penalties` are tried."""

    penalties: tuple[float, ...] = (1e1, 1e2, 1e3, 1e4, 1e5)

    def fit(self, own: Stretches, space: Stretches) -> Stem:
        """Raises `WrongArgument` for fewer than two stretches, of which none could be left out."""
        groups = np.repeat(np.arange(len(own)), [len(one) for one in own])
        if len(own) < 2:
            raise WrongArgument(f"{len(own)} stretches", "alignment", "Give two or more.")
        x, y = np.concatenate(own), np.concatenate(space)
        folds = list(LeaveOneGroupOut().split(x, groups=groups))
        scoring = "neg_mean_squared_error"  # channels of the space count by their variance
        found = RidgeCV(self.penalties, fit_intercept=False, cv=folds, scoring=scoring).fit(x, y)
        return np.asarray(found.coef_.T, np.float64)


@dataclass(frozen=True)
class ProcrustesAlignment(Alignment):
    """A rotation."""

    def fit(self, own: Stretches, space: Stretches) -> Stem:
        """Where the numbers of channels differ, the missing ones are zero."""
        x, y = np.concatenate(own), np.concatenate(space)
        width = max(x.shape[1], y.shape[1])
        rotation, _ = orthogonal_procrustes(*(np.pad(one, ((0, 0), (0, width - one.shape[1]))) for one in (x, y)))
        return np.asarray(rotation[: x.shape[1], : y.shape[1]], np.float64)


@dataclass(frozen=True)
class SharedResponse(Alignment):
    """A shared series of `n_features`, found in so many `iterations`."""

    n_features: int = 50
    iterations: int = 20

    def fit(self, own: Stretches, space: Stretches) -> Stem:
        """As many features at most as there are channels or rows."""
        both = [np.concatenate(one).astype(np.float64) for one in (own, space)]
        n = min(self.n_features, *(min(one.shape) for one in both))
        # It begins with what both have in common, without which the first series would be one person's own.
        left, _, right = np.linalg.svd(both[0].T @ both[1], full_matrices=False)
        bases = [left[:, :n], right[:n].T]
        for _ in range(self.iterations):
            shared = sum(one @ basis for one, basis in zip(both, bases, strict=True)) / 2
            bases = [polar(one.T @ shared)[0] for one in both]
        return np.asarray(bases[0] @ bases[1].T)
