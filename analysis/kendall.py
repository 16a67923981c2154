"""Kendall's tau between all RDMs of two sets, by counting discordant pairs of values (Knight 1966, JASA 61:436).

    tau-a = (concordant - discordant) / all
    tau-b = (concordant - discordant) / √((all - ties in x) (all - ties in y))

Each RDM is ranked and sorted once, not once for each partner (rsatoolbox sorts four times for each pair of RDMs, and
that is where its time goes). The count itself, O(n log n) with a Fenwick tree, is the compiled one of scipy and
rsatoolbox, which keeps no lock, so that it runs in as many threads as torch may use. With both tied, concordant pairs
are counted too, one RDM turned round, so that joint ties need no count; unless the joint ties are known, as those of
the copies of a pair in a resample are.

Ways that were tried and are not worth it, for 4,186 values, which the compiled count takes .09 ms for: Knight's merge
sort in vectorised numpy (1.4 times as long); values cut into 64 x 64 blocks, those of a block compared by vector
instructions and those of different blocks counted in a table (.08 ms). By arithmetic alone, the signs of all pairs of
values in a matrix product would take .2 ms (4,186² / 2 products at 80 GFLOP/s).

scipy keeps the count private (`scipy.stats._stats._kendall_dis`); rsatoolbox 0.3.2 imports it from the same place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float64, Int
from scipy.stats._stats import _kendall_dis

from .ranks import dense_ranks

Rows = Float64[np.ndarray, "_rdm _pair"]
Table = Float64[np.ndarray, "_model _data"]
Ranks = Int[np.ndarray, "_rdm _pair"]
PerRdm = Float64[np.ndarray, " _rdm"]
Item = TypeVar("Item")
Found = TypeVar("Found")


def tau_a(models: Rows, data: Rows) -> Table:
    """Kendall's tau-a of every model with every data RDM: ties count in the denominator; NaN for a constant RDM."""
    return _tau(models, data, corrected=False)


def tau_b(models: Rows, data: Rows) -> Table:
    """Kendall's tau-b, corrected for ties; NaN for a constant RDM."""
    return _tau(models, data, corrected=True)


def _tau(models: Rows, data: Rows, *, corrected: bool) -> Table:
    ranked = RankedRows(np.array(in_threads(_ranks, data)), np.ones(data.shape[1], np.intp))
    everyone = np.arange(len(data))
    found = in_threads(lambda model: ranked.tau(_ranks(model), everyone, corrected=corrected), models)
    return np.array(found).reshape(len(models), len(data))


@dataclass(frozen=True)
class RankedRows:
    """RDMs with which others are compared.

    Parameters
    ----------
    ranks
        Dense, from 1.
    times
        How often each pair is there: copies of it are tied in every RDM.
    """

    ranks: Int[np.ndarray, "rdm pair"]
    times: Int[np.ndarray, " pair"]

    def tau(
        self, ranks: Int[np.ndarray, " pair"], rows: Int[np.ndarray, " _rdm"], *, corrected: bool
    ) -> Float64[np.ndarray, " _rdm"]:
        """Kendall's tau of one RDM, given by whole numbers in the same order, with some of the rows.

        NaN for a constant RDM; tau-b where it is `corrected`.
        """
        if not self._all:
            return np.full(len(rows), np.nan)
        order = np.argsort(ranks)
        order = np.repeat(order, self.times[order])
        ordered, partners = ranks[order], np.take(self.ranks[rows], order, axis=1)
        ties, partner_ties = _tied(ordered), self._ties[rows]
        discordant = np.array([_kendall_dis(ordered, partner) for partner in partners], np.float64)
        found = self._all - ties - partner_ties + self._copies - 2 * discordant
        for other in np.flatnonzero((ties > self._copies) & (partner_ties > self._copies)):
            turned = partners[other].max() + 1 - partners[other]
            found[other] = _kendall_dis(ordered, turned) - discordant[other]
        untied = (self._all - ties) * (self._all - partner_ties)
        return np.asarray(found / np.where(untied > 0, np.sqrt(untied) if corrected else self._all, np.nan))

    @cached_property
    def _ties(self) -> PerRdm:
        """Number of pairs of values that are tied, for each RDM, copies with each other included."""
        return np.array([_pairs(np.bincount(row, weights=self.times)) for row in self.ranks])

    @cached_property
    def _copies(self) -> float:
        return _pairs(self.times)

    @cached_property
    def _all(self) -> float:
        return _pairs(self.times.sum())


def _ranks(row: Float64[np.ndarray, " pair"]) -> Int[np.ndarray, " pair"]:
    return np.asarray(dense_ranks(row[None])[0])


def in_threads(call: Callable[[Item], Found], items: Iterable[Item]) -> list[Found]:
    """What the call gives for each item, by as many threads as torch may use."""
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        return list(threads.map(call, items))


def _tied(ordered: Int[np.ndarray, " entry"]) -> float:
    """Number of pairs that are tied, of values that are sorted."""
    edges = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    return _pairs(np.diff(edges, prepend=0, append=ordered.size))


def _pairs(counts: Int[np.ndarray, ...] | Float64[np.ndarray, ...] | np.integer) -> float:
    """Pairs within groups of so many."""
    return float((counts * (np.asarray(counts, np.float64) - 1) / 2).sum())
