"""Midranks of all RDMs at once: tied dissimilarities share the mean of the ranks that they span."""

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


def tied_spans(rows: Rows) -> tuple[Positions, Positions, Positions]:
    """Of each row: the order that sorts it, and for each value where its tied group begins and ends when sorted.

    Values smaller than a value number `first`, smaller or equal ones `end`; without ties end = first + 1.
    """
    order = np.argsort(rows, axis=1)
    begins, ends = _spans(np.take_along_axis(rows, order, axis=1))
    first, end = np.empty_like(order), np.empty_like(order)
    np.put_along_axis(first, order, np.broadcast_to(begins, order.shape), axis=1)
    np.put_along_axis(end, order, np.broadcast_to(ends, order.shape), axis=1)
    return order, first, end


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
