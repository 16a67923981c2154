"""Spearman correlation and rho-a over resampled conditions: all RDMs ranked anew in all resamples at once.

In a resample, an entry's midrank is the number of smaller entries and half of one more than that of equal ones, both
counted by weight (`pair_weights`). Twice a midrank less its mean is a whole number, and so are sums over subjects:
ties in a mean RDM are found exactly. Pairs that a resample lacks are left out of its arrays.

Ranking takes most of the time. What is ranked is a whole number, so it is sorted with its place in the lowest bits:
a plain sort, for which the processor has vector instructions, is three times as quick as one that returns an order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64, Int, Int64
from scipy.stats import rankdata

from .pair_weights import pair_weights
from .subjects import Subjects, mean_over_drawn

Rows = Float64[np.ndarray, "_row place"]
Stack = Float64[np.ndarray, "sample _rdm place"]


@dataclass(frozen=True)
class ResampledRanks:
    """Similarities of ranks and their noise ceilings in resamples of the conditions.

    Parameters
    ----------
    models, data
        Dissimilarities, upper triangles taken by rows.
    subjects
        Whose RDMs the data are.
    measure
        "spearman" or "rho-a".
    conditions
        How often each condition is drawn.
    """

    models: Float64[np.ndarray, "model pair"]
    data: Float64[np.ndarray, "rdm pair"]
    subjects: Subjects
    measure: str
    conditions: Float64[np.ndarray, "sample condition"]

    @staticmethod
    def bytes_per_sample(n_models: int, n_data: int, n_pairs: int) -> int:
        """Memory that one resample takes: some ten arrays as large as all its RDMs."""
        return 80 * (n_models + n_data) * n_pairs

    @cached_property
    def similarities(self) -> Float64[np.ndarray, "sample model rdm"]:
        """Of every model with every data RDM; NaN for an RDM that is constant in the resample."""
        return np.asarray(self._scaled(self._ranks(self.models), self._weights) @ self._targets.swapaxes(1, 2))

    def bounds(self, times: Float64[np.ndarray, "draw rdm"]) -> Float64[np.ndarray, "draw 2"]:
        """Lower and upper noise ceiling with each RDM drawn `times`, as `noise_ceiling.bounds` has them.

        A single resample of conditions serves all draws. NaN where fewer than two subjects are drawn.
        """
        drawn = self.subjects.drawn(times)
        draw, subject = np.nonzero(drawn)
        sample = np.arange(len(times)) if len(self.conditions) > 1 else np.zeros(len(times), int)
        targets = self.subjects.shares @ self._targets
        whole = (times[:, None] @ self._data)[:, 0]
        others = ((1 - self.subjects.membership) * times[:, None] @ self._data)[draw, subject]
        pools = np.concatenate([whole, others]).astype(np.int64)
        of = np.concatenate([sample, sample[draw]])
        ranked = self._scaled(centred_ranks(pools, self._weights[of])[:, None], self._weights[of])
        found = np.zeros((2, *drawn.shape))
        found[1] = (ranked[: len(times)] @ targets.swapaxes(1, 2))[:, 0]
        found[0, draw, subject] = np.einsum("rq,rq->r", ranked[len(times) :, 0], targets[sample[draw], subject])
        return np.stack([mean_over_drawn(bound, drawn) for bound in found], axis=1)

    @cached_property
    def _places(self) -> Int[np.ndarray, "sample place"]:
        """Pairs that are there, first; and then some that are not, for they are not equally many in all samples."""
        absent = pair_weights(self.conditions) == 0
        width = absent.shape[1] - int(absent.sum(axis=1).min())
        return np.argsort(absent, axis=1, kind="stable")[:, :width]

    @cached_property
    def _weights(self) -> Float64[np.ndarray, "sample place"]:
        return np.take_along_axis(pair_weights(self.conditions), self._places, axis=1)

    @cached_property
    def _data(self) -> Stack:
        return self._ranks(self.data)

    @cached_property
    def _targets(self) -> Stack:
        """What makes a similarity of a product with scaled ranks: those of the data by their weights."""
        return np.asarray(self._scaled(self._data, self._weights) * self._weights[:, None])

    def _ranks(self, rows: Float64[np.ndarray, "_rdm pair"]) -> Stack:
        keys = rankdata(rows, "dense", axis=1).astype(np.int64)[:, self._places].swapaxes(0, 1)
        weights = np.repeat(self._weights, len(rows), axis=0)
        return centred_ranks(keys.reshape(weights.shape), weights).reshape(keys.shape)

    def _scaled(
        self, ranks: Float64[np.ndarray, "_sample _rdm place"], weights: Rows
    ) -> Float64[np.ndarray, "_sample _rdm place"]:
        """Ranks whose weighted sum of squares is 1, or for rho-a would be without ties; NaN where all are equal."""
        squares = np.einsum("srq,srq,sq->sr", ranks, ranks, weights)
        if self.measure == "rho-a":
            n = weights.sum(axis=1, keepdims=True)
            squares = np.where(squares > 0, (n**3 - n) / 3, 0)
        with np.errstate(invalid="ignore"):
            return np.asarray(ranks / np.sqrt(squares)[:, :, None])


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
