"""Measures that are the cosine of RDMs under some inner product, over resampled conditions.

With ⟨a, b⟩ the inner product in a resample, the similarity is ⟨a, b⟩ / √(⟨a, a⟩ ⟨b, b⟩). The noise ceiling needs no
mean RDM: with u the RDMs on the one scale on which they are averaged and G = ⟨u_i, u_j⟩, the mean of RDMs that are
drawn s times has the direction Σ_j s_j u_j, and so the similarity (G s)_i / √(G_ii sᵀ G s) with RDM i; without a
subject, its s are 0.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64

from .resampling import Resampled
from .subjects import Subjects, mean_over_drawn

Rows = Float64[np.ndarray, "_rdm pair"]
Weights = Float64[np.ndarray, "sample pair"]
Tables = Float64[np.ndarray, "sample _row _column"]
Lengths = Float64[np.ndarray, "sample _rdm"]
BYTES = 2**26  # of the products of RDMs that are held at a time
NO_SPREAD = 1e-12  # variance, as a share of the whole RDM's, that is rounding


@dataclass(frozen=True)
class ResampledCosines(Resampled):
    """Similarities and noise ceilings from inner products; the models' RDMs are numbered first, then the data's."""

    def bounds(self, times: Float64[np.ndarray, "draw rdm"]) -> Float64[np.ndarray, "draw 2"]:
        return bounds_from_products(self._gram, self.subjects, times)

    def _similarities(self) -> Tables:
        with np.errstate(divide="ignore", invalid="ignore"):
            lengths = np.sqrt(self._squares)
            found = self._inner(self._models, self._data) / lengths[:, self._models, None]
            return np.asarray(found / lengths[:, None, self._data])

    @abstractmethod
    def _inner(self, a: slice, b: slice) -> Tables:
        """⟨a, b⟩ of the RDMs of one part with those of another."""

    @property
    @abstractmethod
    def _scales(self) -> Lengths:
        """Squared lengths by which RDMs are brought to one scale before they are averaged; NaN without spread."""

    @property
    def _squares(self) -> Lengths:
        """⟨a, a⟩ of every RDM; NaN without spread."""
        return self._scales

    @cached_property
    def _gram(self) -> Tables:
        """G of the module's equation."""
        with np.errstate(divide="ignore", invalid="ignore"):
            scales = 1 / np.sqrt(self._scales[:, self._data])
        found = self._inner(self._data, self._data)
        found *= scales[:, :, None]
        found *= scales[:, None]
        return found

    @property
    def _models(self) -> slice:
        return slice(0, len(self.models))

    @property
    def _data(self) -> slice:
        return slice(len(self.models), len(self.models) + len(self.data))


def bounds_from_products(
    gram: Float64[np.ndarray, "sample rdm rdm"], subjects: Subjects, times: Float64[np.ndarray, "draw rdm"]
) -> Float64[np.ndarray, "draw 2"]:
    """Lower and upper noise ceiling from the products of all data RDMs with each other, on one scale."""
    drawn = subjects.drawn(times)
    others = (1 - subjects.membership) * times[:, None]
    upper, lower = _with_each(gram, times[:, None]), _with_each(gram, others)
    own = [np.einsum("dsr,sr->ds", np.broadcast_to(table, others.shape), subjects.shares) for table in (lower, upper)]
    return np.stack([mean_over_drawn(table, drawn) for table in own], axis=1)


def _with_each(
    gram: Float64[np.ndarray, "sample rdm rdm"], times: Float64[np.ndarray, "draw pool rdm"]
) -> Float64[np.ndarray, "draw pool rdm"]:
    """Similarity of mean RDMs, in which RDMs count `times`, with each RDM."""
    products = times @ gram
    with np.errstate(divide="ignore", invalid="ignore"):
        lengths = np.sqrt((products * times).sum(axis=2, keepdims=True))
        return np.asarray(products / lengths / np.sqrt(np.einsum("srr->sr", gram))[:, None])


def standard(rows: Rows, *, centre: bool) -> Rows:
    """Rows of unit mean square, centred before if wished, so that those of resamples lose no digits; zeros stay."""
    rows = rows - rows.mean(axis=1, keepdims=True) if centre else rows
    size = np.sqrt(np.square(rows).mean(axis=1, keepdims=True))
    return np.asarray(np.divide(rows, size, out=np.zeros_like(rows), where=size > 0))


def products(a: Rows, b: Rows, weights: Weights) -> Tables:
    """Σ_pairs w a b for each sample, row of a and row of b: weights times products, some rows of a at a time."""
    size = max(1, BYTES // (8 * max(1, b.size)))
    found = np.empty((len(weights), len(a), len(b)))
    for at in range(0, len(a), size):
        crossed = (a[at : at + size, None] * b).reshape(-1, b.shape[1])
        found[:, at : at + size] = (weights @ crossed.T).reshape(len(weights), -1, len(b))
    return found


def products_with_each_other(rows: Rows, weights: Weights) -> Tables:
    """The same of rows with themselves: each two only once, for it is symmetric."""
    found = np.empty((len(weights), len(rows), len(rows)))
    for number, row in enumerate(rows):
        found[:, number, number:] = found[:, number:, number] = weights @ (row * rows[number:]).T
    return found
