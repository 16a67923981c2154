"""Cosine and Pearson correlation over resampled conditions, as products of pair weights with products of RDMs.

With weights w of the pairs, the cosine of RDMs a and b is Σ w a b / √(Σ w a² Σ w b²); for the correlation, with
weights that sum to 1, (Σ w a b - Σ w a Σ w b) takes the place of Σ w a b.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from jaxtyping import Float64

from .resampled_cosines import (
    NO_SPREAD,
    Lengths,
    ResampledCosines,
    Rows,
    Tables,
    Weights,
    products,
    products_with_each_other,
    standard,
)


@dataclass(frozen=True)
class ResampledProducts(ResampledCosines):
    """For "cosine" and "pearson"."""

    CENTRED: ClassVar[frozenset[str]] = frozenset({"pearson", "whitened-correlation"})  # measures without the mean

    def _inner(self, a: slice, b: slice) -> Tables:
        rows, shares = self._rows, self._shares
        found = products_with_each_other(rows[a], shares) if a == b else products(rows[a], rows[b], shares)
        if self._means is not None:
            found -= self._means[:, a, None] * self._means[:, None, b]
        return found

    @cached_property
    def _scales(self) -> Lengths:
        found: Lengths = self._shares @ np.square(self._rows).T
        if self._means is None:
            return found
        found -= np.square(self._means)
        return np.where(found > NO_SPREAD, found, np.nan)

    @cached_property
    def _rows(self) -> Rows:
        return standard(np.concatenate([self.models, self.data]), centre=self.measure in self.CENTRED)

    @cached_property
    def _means(self) -> Float64[np.ndarray, "sample rdm"] | None:
        return self._shares @ self._rows.T if self.measure in self.CENTRED else None

    @cached_property
    def _shares(self) -> Weights:
        with np.errstate(invalid="ignore"):  # no pairs where a single condition is drawn
            return np.asarray(self._weights / self._weights.sum(axis=1, keepdims=True))
