"""Dissimilarities that can be compared: real numbers, the same pairs present everywhere.

A missing dissimilarity is NaN. As in rsatoolbox, a pair that is missing in one RDM is left out for all of them, and
two sets that miss different pairs are an error. Unlike rsatoolbox, leaving pairs out is said in a warning.
"""

from __future__ import annotations

import warnings

import numpy as np
from jaxtyping import Bool, Float64, Shaped

from ..datasets.errors import BrokenData, WrongArgument

Rows = Float64[np.ndarray, "_rdm _pair"]
MIN_PAIRS = 6  # of four conditions


def present_pairs(**sets: Shaped[np.ndarray, "_rdm _pair"]) -> tuple[list[Rows], Bool[np.ndarray, " pair"]]:
    """Each set without the missing pairs, in double precision; and which pairs those are that are present.

    Parameters
    ----------
    sets
        Dissimilarities of each set (rdm, pair), by the name it has in messages.

    Raises `BrokenData` for values that are complex, infinite or no numbers, for sets that miss different pairs, and
    where fewer than six pairs are left; `WrongArgument` for sets of different length. Warns of pairs left out.
    """
    rows = {name: _real(values, name) for name, values in sets.items()}
    lengths = {name: values.shape[1] for name, values in rows.items()}
    if len(set(lengths.values())) > 1:
        raise WrongArgument(f"the numbers of pairs differ: {lengths}", "similarities", "Join the conditions first.")
    present = _same_everywhere({name: ~np.isnan(values).any(axis=0) for name, values in rows.items()})
    if present.all():
        return list(rows.values()), present
    if present.sum() < MIN_PAIRS:
        raise BrokenData(
            f"only {present.sum()} of {present.size} pairs are present in every RDM",
            " and ".join(rows),
            "Leave out the RDMs that are NaN throughout.",
        )
    missing = present.size - present.sum()
    warnings.warn(f"{missing} of {present.size} pairs are missing (NaN) and left out for every RDM", stacklevel=4)
    return [values[:, present] for values in rows.values()], present


def _real(values: Shaped[np.ndarray, "_rdm _pair"], name: str) -> Rows:
    if values.dtype.kind not in "fiub":
        raise BrokenData(
            f"dissimilarities of type {values.dtype} are no real numbers",
            name,
            "Take the absolute value or the real part, whichever is meant.",
        )
    rows = np.ascontiguousarray(values, np.float64)  # in one layout, so that sums round alike
    if np.isinf(rows).any():
        raise BrokenData("a dissimilarity is infinite", name, "Set it to NaN where it is missing.")
    return rows


def _same_everywhere(present: dict[str, Bool[np.ndarray, " pair"]]) -> Bool[np.ndarray, " pair"]:
    first, *others = present
    for other in others:
        differing = int((present[first] != present[other]).sum())
        if differing:
            raise BrokenData(
                f"{differing} pairs are missing (NaN) in {first} or {other}, not in both",
                f"{first} and {other}",
                "Set the same pairs to NaN in both, so that all are compared on the same pairs.",
            )
    return present[first]
