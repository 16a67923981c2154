"""Ranks of all RDMs at once: tied dissimilarities share the mean of the ranks that they span, or one dense rank."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64, Int

Rows = Float[np.ndarray, "_rdm _pair"]
Positions = Int[np.ndarray, "_rdm _pair"]


def midranks(rows: Rows) -> Float64[np.ndarray, "_rdm _pair"]:
    """Ranks from 1 along each row, as `scipy.stats.rankdata` gives them; rows must be finite."""
    order = np.argsort(rows, axis=1)
    begins, ends = _spans(np.take_along_axis(rows, order, axis=1))
    ranks = np.empty(rows.shape)
    np.put_along_axis(ranks, order, (begins + ends + 1) / 2, axis=1)
    return ranks


def dense_ranks(rows: Rows) -> Positions:
    """Ranks from 1 along each row in which tied values share a rank and no rank is left out; rows must be finite."""
    order = np.argsort(rows, axis=1)
    ordered = np.take_along_axis(rows, order, axis=1)
    sorted_ranks = np.ones(rows.shape, np.intp)
    np.cumsum(ordered[:, 1:] != ordered[:, :-1], axis=1, out=sorted_ranks[:, 1:])
    sorted_ranks[:, 1:] += 1
    ranks = np.empty(rows.shape, np.intp)
    np.put_along_axis(ranks, order, sorted_ranks, axis=1)
    return ranks


def _spans(ordered: Rows) -> tuple[Positions, Positions]:
    """For each place of sorted rows: where its tied group begins and ends; one row for all where nothing is tied."""
    n = ordered.shape[1]
    place = np.arange(n)[None]
    new = ordered[:, 1:] != ordered[:, :-1]
    if new.all():
        return place, place + 1
    edge = np.ones((len(ordered), 1), bool)
    begins = np.maximum.accumulate(np.where(np.hstack([edge, new]), place, 0), axis=1)
    ends = np.minimum.accumulate(np.where(np.hstack([new, edge]), place + 1, n)[:, ::-1], axis=1)[:, ::-1]
    return begins, ends
