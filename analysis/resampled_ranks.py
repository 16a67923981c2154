"""Spearman correlation and rho-a over resampled conditions: inner products of the ranks of each resample."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64, Int

from .resampled_pools import Keys, ResampledPools, Rows, Stack, centred_ranks


@dataclass(frozen=True)
class ResampledRanks(ResampledPools):
    """For "spearman" and "rho-a"."""

    def _similarities(self) -> Float64[np.ndarray, "sample model rdm"]:
        return np.asarray(self._scaled(self._ranks(self.models), self._times) @ self._targets.swapaxes(1, 2))

    def _with_own(
        self, pools: Keys, sample: Int[np.ndarray, " _row"], subject: Int[np.ndarray, " _row"]
    ) -> Float64[np.ndarray, " _row"]:
        return np.asarray(np.einsum("rq,rq->r", self._ranked(pools, sample), self._of_subjects[sample, subject]))

    def _with_each(
        self, pools: Keys, sample: Int[np.ndarray, " _row"], drawn: Bool[np.ndarray, "_row subject"]
    ) -> Float64[np.ndarray, "_row subject"]:
        return np.asarray((self._ranked(pools, sample)[:, None] @ self._of_subjects.swapaxes(1, 2))[:, 0])

    def _ranked(self, pools: Keys, sample: Int[np.ndarray, " _row"]) -> Rows:
        weights = self._times[sample]
        return self._scaled(centred_ranks(pools, weights)[:, None], weights)[:, 0]

    @cached_property
    def _targets(self) -> Stack:
        """What makes a similarity of a product with scaled ranks: those of the data by their weights."""
        return np.asarray(self._scaled(self._data, self._times) * self._times[:, None])

    @cached_property
    def _of_subjects(self) -> Stack:
        return np.asarray(self.subjects.shares @ self._targets)

    def _scaled(
        self, ranks: Float64[np.ndarray, "_sample _rdm place"], weights: Rows
    ) -> Float64[np.ndarray, "_sample _rdm place"]:
        """Ranks whose weighted sum of squares is 1, or for rho-a would be without ties; NaN where all are equal."""
        squares = np.einsum("srq,srq,sq->sr", ranks, ranks, weights)
        if self.measure == "rho-a":
            n = weights.sum(axis=1, keepdims=True)
            squares = np.where(squares > 0, (n**3 - n) / 3, 0)
        return np.asarray(ranks / np.sqrt(np.where(squares > 0, squares, np.nan))[:, :, None])
