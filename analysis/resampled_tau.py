"""Kendall's tau over resampled conditions: every resample counted, copies of a pair as ties whose number is known.

There is no form of it in weights that is quicker than counting: tau is Σ_pq w_p w_q sgn(a_p - a_q) sgn(b_p - b_q), a
quadratic form in the weights with as many terms as there are pairs of pairs. What is saved beside rsatoolbox: RDMs are
ranked once, each is sorted once for all its partners, joint ties of copies need no second count, and the two-factor
bootstrap resamples the stimuli once for two of its three evaluations.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64, Int

from .kendall import RankedRows, in_threads
from .resampled_pools import Keys, ResampledPools


@dataclass(frozen=True)
class ResampledTau(ResampledPools):
    """For "tau-a" and "tau-b"."""

    def _similarities(self) -> Float64[np.ndarray, "sample model rdm"]:
        models, everyone = self._keys(self.models), np.arange(len(self.data))

        def compared(sample: int) -> Float64[np.ndarray, "model rdm"]:
            return np.array([self._tau(sample, model, everyone) for model in models[sample]])

        return np.stack(in_threads(compared, range(len(models))))

    def _with_own(
        self, pools: Keys, sample: Int[np.ndarray, " _row"], subject: Int[np.ndarray, " _row"]
    ) -> Float64[np.ndarray, " _row"]:
        def compared(number: int) -> float:
            rdms = np.flatnonzero(self.subjects.of == subject[number])
            return float(self._tau(int(sample[number]), pools[number], rdms).mean())

        return np.array(in_threads(compared, range(len(pools))))

    def _with_each(
        self, pools: Keys, sample: Int[np.ndarray, " _row"], drawn: Bool[np.ndarray, "_row subject"]
    ) -> Float64[np.ndarray, "_row subject"]:
        found = np.zeros((len(pools), len(self.data)))

        def compare(number: int) -> None:
            rdms = np.flatnonzero(drawn[number, self.subjects.of])
            found[number, rdms] = self._tau(int(sample[number]), pools[number], rdms)

        in_threads(compare, range(len(pools)))
        return np.asarray(found @ self.subjects.shares.T)

    def _tau(
        self, sample: int, ranks: Int[np.ndarray, " place"], rdms: Int[np.ndarray, " _rdm"]
    ) -> Float64[np.ndarray, " _rdm"]:
        return self._ranked[sample].tau(ranks, rdms, corrected=self.measure == "tau-b")

    @cached_property
    def _ranked(self) -> list[RankedRows]:
        """The data of each resample."""
        times = self._times.astype(np.intp)
        return [RankedRows(keys, each) for keys, each in zip(self._keys(self.data), times, strict=True)]
