"""The same conditions in the same order, found by their ids and never by their position.

A condition's id is the string in `pattern_descriptors["stimulus"]` of an `RDMs`, in `obs_descriptors["stimulus"]` of a
`Dataset`. What is joined must hold the same ids, each once, and at least four of them: two RDMs that share most of
their conditions have to be cut to the shared ones by the user (`subset_pattern`), who then knows which were left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs

from ..datasets.errors import BrokenData, MissingData

BY = "stimulus"
MIN_CONDITIONS = 4
NAMED = 5  # ids that an error message shows


def join(*rdms: RDMs) -> tuple[RDMs, ...]:
    """All RDMs with the conditions in the order of the first; descriptors of conditions move with them.

    Parameters
    ----------
    rdms
        Each with string ids in `pattern_descriptors["stimulus"]`. What is in order already is returned as it is.

    Raises `MissingData` where there are no ids or where ids of one are missing in another (they are named), and
    `BrokenData` for repeated ids, ids that are not strings, and fewer than four conditions.
    """
    ids = [condition_ids(one) for one in rdms]
    _check_same(ids)
    return tuple(_reordered(one, _positions(own, ids[0])) for one, own in zip(rdms, ids, strict=True))


def join_patterns(*patterns: Dataset) -> tuple[Dataset, ...]:
    """The same for pattern `Dataset`s, by `obs_descriptors["stimulus"]`; each condition must be one row.

    Raises as `join` does; a condition measured in several runs has to be averaged first.
    """
    ids = [condition_ids(one) for one in patterns]
    _check_same(ids)
    return tuple(_reordered_patterns(one, _positions(own, ids[0])) for one, own in zip(patterns, ids, strict=True))


def condition_ids(measured: RDMs | Dataset) -> tuple[str, ...]:
    """Ids of the conditions in order, checked: strings, none twice, at least four."""
    labels = measured.pattern_descriptors if isinstance(measured, RDMs) else measured.obs_descriptors
    if BY not in labels:
        raise MissingData(
            f"there is no descriptor {BY!r} among {sorted(labels)}",
            _name(measured),
            f"Give each condition its id as a string in the descriptor {BY!r}; conditions are joined by it.",
        )
    ids = tuple(labels[BY])
    _check_ids(ids, _name(measured))
    return ids


def pair_order(order: Int[np.ndarray, " condition"]) -> Int[np.ndarray, " pair"]:
    """Where each pair of the reordered conditions stood before, in the upper triangle taken by rows."""
    n = len(order)
    first, second = np.triu_indices(n, 1)
    i, j = np.minimum(order[first], order[second]), np.maximum(order[first], order[second])
    return np.asarray(i * n - i * (i + 1) // 2 + j - i - 1)


def _check_ids(ids: tuple[Any, ...], where: str) -> None:
    if not all(isinstance(one, str) for one in ids):
        wrong = next(one for one in ids if not isinstance(one, str))
        raise BrokenData(f"the condition id {wrong!r} is not a string", where, "Write the ids as strings.")
    repeated = [one for one, times in Counter(ids).items() if times > 1]
    if repeated:
        raise BrokenData(
            f"repeated condition ids: {_some(repeated)}",
            where,
            "Give each condition one row: average its repetitions, or make the ids differ.",
        )
    if len(ids) < MIN_CONDITIONS:
        raise BrokenData(
            f"{len(ids)} conditions are too few", where, f"Comparing RDMs needs at least {MIN_CONDITIONS}."
        )


def _check_same(ids: Sequence[tuple[str, ...]]) -> None:
    for number, own in enumerate(ids[1:], start=2):
        for missing, where in ((set(ids[0]) - set(own), number), (set(own) - set(ids[0]), 1)):
            if missing:
                raise MissingData(
                    f"conditions are missing: {_some(sorted(missing))}",
                    f"set {where} of the {len(ids)} to be joined",
                    "Compare the same conditions: cut both to the shared ids with subset_pattern('stimulus', ids).",
                )


def _positions(own: tuple[str, ...], wanted: tuple[str, ...]) -> Int[np.ndarray, " condition"]:
    place = {name: position for position, name in enumerate(own)}
    return np.array([place[name] for name in wanted])


def _reordered(rdms: RDMs, order: Int[np.ndarray, " condition"]) -> RDMs:
    if np.array_equal(order, np.arange(len(order))):
        return rdms
    return RDMs(
        np.ascontiguousarray(rdms.dissimilarities[:, pair_order(order)]),
        dissimilarity_measure=rdms.dissimilarity_measure,
        descriptors=rdms.descriptors,
        rdm_descriptors=rdms.rdm_descriptors,
        pattern_descriptors=_taken(rdms.pattern_descriptors, order),
    )


def _reordered_patterns(patterns: Dataset, order: Int[np.ndarray, " condition"]) -> Dataset:
    if np.array_equal(order, np.arange(len(order))):
        return patterns
    return Dataset(
        patterns.measurements[order],
        descriptors=patterns.descriptors,
        obs_descriptors=_taken(patterns.obs_descriptors, order),
        channel_descriptors=patterns.channel_descriptors,
    )


def _taken(labels: dict[str, Any], order: Int[np.ndarray, " condition"]) -> dict[str, Any]:
    return {key: [values[position] for position in order] for key, values in labels.items()}


def _name(measured: RDMs | Dataset) -> str:
    """What the user calls it: its `name`, or else its kind."""
    labels = measured.rdm_descriptors if isinstance(measured, RDMs) else measured.descriptors
    name = labels.get("name")
    if name is None or len(name) == 0:
        return type(measured).__name__
    return name if isinstance(name, str) else str(name[0])


def _some(ids: Iterable[str]) -> str:
    names = list(ids)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(repr(str(name)) for name in names[:NAMED]) + more
