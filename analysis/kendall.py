"""Kendall's tau between all RDMs of two sets, by counting discordant pairs of values (Knight 1966, JASA 61:436).

    tau-a = (concordant - discordant) / all
    tau-b = (concordant - discordant) / √((all - ties in x) (all - ties in y))

Each RDM is ranked and sorted once, not once for each partner (rsatoolbox sorts four times for each pair of RDMs, and
that is where its time goes). The count itself, O(n log n) with a Fenwick tree, is the compiled one of scipy and
rsatoolbox, which keeps no lock: models are shared out among as many threads as torch may use. A merge sort written in
vectorised numpy (Knight's, with the sides of a merge marked in the lowest bit) took 1.4 times as long. Where both RDMs
have ties, concordant pairs are counted too, one RDM turned round, so that joint ties need no count.

scipy keeps the count private (`scipy.stats._stats._kendall_dis`); rsatoolbox 0.3.2 imports it from the same place.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import torch
from jaxtyping import Float64, Int
from scipy.stats import rankdata
from scipy.stats._stats import _kendall_dis

Rows = Float64[np.ndarray, "_rdm _pair"]
Table = Float64[np.ndarray, "_model _data"]
Ranks = Int[np.ndarray, "_rdm _pair"]
PerRdm = Float64[np.ndarray, " _rdm"]


def tau_a(models: Rows, data: Rows) -> Table:
    """Kendall's tau-a of every model with every data RDM: ties count in the denominator."""
    n = models.shape[1]
    return np.asarray(concordance(_dense(models), _dense(data)) / (n * (n - 1) / 2))


def tau_b(models: Rows, data: Rows) -> Table:
    """Kendall's tau-b, corrected for ties; NaN or infinite for a constant RDM, which the caller has to mask."""
    x, y = _dense(models), _dense(data)
    n = models.shape[1]
    untied = [n * (n - 1) / 2 - tied_pairs(ranks) for ranks in (x, y)]
    return np.asarray(concordance(x, y) / np.sqrt(untied[0])[:, None] / np.sqrt(untied[1]))


def concordance(models: Ranks, data: Ranks) -> Table:
    """Concordant less discordant pairs of values, for every model and data RDM, given as dense ranks from 1."""
    count = partial(_with_all, data=data, data_ties=tied_pairs(data))
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        return np.array(list(threads.map(count, models, tied_pairs(models)))).reshape(len(models), len(data))


def tied_pairs(ranks: Ranks) -> PerRdm:
    """Number of pairs of values that are tied, for each RDM's dense ranks."""
    counts = [np.bincount(row).astype(np.float64) for row in ranks]
    return np.array([(count * (count - 1) / 2).sum() for count in counts])


def _with_all(ranks: Int[np.ndarray, " _pair"], ties: float, *, data: Ranks, data_ties: PerRdm) -> PerRdm:
    """Concordant less discordant pairs of one RDM with each of the others."""
    order = np.argsort(ranks)
    ordered, partners = ranks[order], data[:, order]
    discordant = np.array([_kendall_dis(ordered, partner) for partner in partners], np.float64)
    found = ranks.size * (ranks.size - 1) / 2 - ties - data_ties - 2 * discordant
    for other in np.flatnonzero((ties > 0) & (data_ties > 0)):
        turned = partners[other].max() + 1 - partners[other]
        found[other] = _kendall_dis(ordered, turned) - discordant[other]
    return np.asarray(found)


def _dense(rows: Rows) -> Ranks:
    """Ranks from 1 in which tied values share a rank and no rank is left out."""
    return np.asarray(rankdata(rows, method="dense", axis=1), np.intp)
