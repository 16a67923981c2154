"""Measures of rank over resampled conditions: RDMs ranked anew in all resamples at once, and their mean RDMs.

In a resample, an entry's midrank is the number of smaller entries and half of one more than that of equal ones, both
counted by weight (`pair_weights`). Twice a midrank less its mean is a whole number, and so are sums over subjects:
ties in a mean RDM are found exactly. Pairs that a resample lacks are left out of its arrays.

Ranking takes most of the time. What is ranked is a whole number, so it is sorted with its place in the lowest bits:
a plain sort, for which the processor has vector instructions, is three times as quick as one that returns an order.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float64, Int, Int64

from .ranks import dense_ranks
from .resampling import Resampled
from .subjects import mean_over_drawn

Rows = Float64[np.ndarray, "_row place"]
Keys = Int64[np.ndarray, "_row place"]
Stack = Float64[np.ndarray, "sample _rdm place"]


@dataclass(frozen=True)
class ResampledPools(Resampled):
    """Noise ceilings from pools: means of the ranks of those RDMs that are drawn, all or all but one subject's."""

    ROWS: ClassVar[int] = 10
    CHUNK_BYTES: ClassVar[int] = 2**26  # sorting is 1.5 times as quick as in 2**28: more of it stays in the cache

    def bounds(self, times: Float64[np.ndarray, "draw rdm"]) -> Float64[np.ndarray, "draw 2"]:
        drawn = self.subjects.drawn(times)
        draw, subject = np.nonzero(drawn)
        sample = np.arange(len(times)) if len(self.conditions) > 1 else np.zeros(len(times), int)
        whole = (times[:, None] @ self._data)[:, 0]
        others = ((1 - self.subjects.membership) * times[:, None] @ self._data)[draw, subject]
        found = np.zeros((2, *drawn.shape))
        found[0, draw, subject] = self._with_own(others.astype(np.int64), sample[draw], subject)
        found[1] = self._with_each(whole.astype(np.int64), sample, drawn)
        return np.stack([mean_over_drawn(bound, drawn) for bound in found], axis=1)

    @abstractmethod
    def _with_own(
        self, pools: Keys, sample: Int[np.ndarray, " _row"], subject: Int[np.ndarray, " _row"]
    ) -> Float64[np.ndarray, " _row"]:
        """Similarity of each pool with one subject, both in one of the samples."""

    @abstractmethod
    def _with_each(
        self, pools: Keys, sample: Int[np.ndarray, " _row"], drawn: Bool[np.ndarray, "_row subject"]
    ) -> Float64[np.ndarray, "_row subject"]:
        """Similarity of each pool with every subject that is drawn with it; whatever with others."""

    @cached_property
    def _places(self) -> Int[np.ndarray, "sample place"]:
        """Pairs that are there, first; and then some that are not, for they are not equally many in all samples."""
        absent = self._weights == 0
        width = absent.shape[1] - int(absent.sum(axis=1).min())
        return np.argsort(absent, axis=1, kind="stable")[:, :width]

    @cached_property
    def _times(self) -> Float64[np.ndarray, "sample place"]:
        """How often the pair of each place is there."""
        return np.take_along_axis(self._weights, self._places, axis=1)

    @cached_property
    def _data(self) -> Stack:
        return self._ranks(self.data)

    def _keys(self, rows: Float64[np.ndarray, "_rdm pair"]) -> Int64[np.ndarray, "sample _rdm place"]:
        """Ranks from 1 among all pairs, tied ones alike, at the places of each sample."""
        return dense_ranks(rows)[:, self._places].swapaxes(0, 1)

    def _ranks(self, rows: Float64[np.ndarray, "_rdm pair"]) -> Stack:
        keys = self._keys(rows)
        weights = np.repeat(self._times, len(rows), axis=0)
        return centred_ranks(keys.reshape(weights.shape), weights).reshape(keys.shape)


def centred_ranks(keys: Int64[np.ndarray, "row place"], weights: Rows) -> Rows:
    """Twice the midranks, less their weighted mean, of whole numbers that are there `weights` times; whole numbers."""
    n_rows, width = keys.shape
    bits = width.bit_length()
    ordered = (keys << bits) | np.arange(width)
    ordered.sort(axis=1)
    new = np.ones(keys.shape, bool)
    np.not_equal((ordered[:, 1:] ^ ordered[:, :-1]) >> bits, 0, out=new[:, 1:])
    order = ((ordered & (2**bits - 1)) + np.arange(n_rows)[:, None] * width).ravel()
    below = np.zeros(keys.size + 1)
    np.cumsum(weights.ravel()[order], out=below[1:])
    begins = np.flatnonzero(new)
    ends = np.append(begins[1:], keys.size)
    found = np.empty(keys.size)
    found[order] = np.repeat(below[begins] + below[ends], ends - begins)
    middle = below[:-1:width] + below[width::width]
    return found.reshape(keys.shape) - middle[:, None]
