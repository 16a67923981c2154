"""The observations of a data set by condition and by run: who belongs together, told by ids and never by position."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from rsatoolbox.data import Dataset

from ..datasets.errors import BrokenData
from .pattern_blocks import PatternBlocks, as_tensor

FEWEST = 4  # conditions; three have an RDM of three numbers


def condition_names(data: Dataset) -> list[str]:
    """Ids of the conditions, in the order in which they come first.

    Raises `BrokenData` where observations have no ids, or there are fewer than four conditions.
    """
    names = list(dict.fromkeys(observed(data)))
    if len(names) < FEWEST:
        raise BrokenData(
            f"there are {len(names)} conditions", title(data), f"RDMs are compared from {FEWEST} conditions on."
        )
    return names


def observed(data: Dataset) -> list[str]:
    """The condition id of each observation."""
    if "stimulus" not in data.obs_descriptors:
        raise BrokenData(
            f"there are no condition ids, only {', '.join(data.obs_descriptors) or 'no descriptors'}",
            title(data),
            'Give obs_descriptors["stimulus"], or make the data set with `analysis.rdm.dataset`.',
        )
    return [str(one) for one in data.obs_descriptors["stimulus"]]


def by_condition(data: Dataset, names: Sequence[str], device: torch.device | str = "cpu") -> PatternBlocks:
    """Patterns whose group i is condition names[i], averaged over its observations.

    Warns of a condition that is there more often than runs explain. Raises `BrokenData` where the data set has other
    conditions, and for patterns as in `pattern_blocks.as_tensor`.
    """
    groups = _groups(data, names)
    values = as_tensor(data.measurements, title(data))
    one_each = groups.tolist() == list(range(len(names)))
    return PatternBlocks(values, None if one_each else torch.from_numpy(groups), len(names), device, names, title(data))


def by_run(data: Dataset, names: Sequence[str], device: torch.device | str = "cpu") -> tuple[PatternBlocks, list[Any]]:
    """Patterns whose group r * n + i is condition names[i] of n in run r, and the runs, sorted.

    Raises as `by_condition` does, and `BrokenData` where observations have no run, there is one run only, or a run
    lacks a condition.
    """
    groups = _groups(data, names)
    runs, number = _runs(data)
    n = len(names)
    missing = sorted(set(range(n * len(runs))) - set((number * n + groups).tolist()))
    if missing:
        run, condition = divmod(missing[0], n)
        raise BrokenData(
            f"run {runs[run]} has no condition {names[condition]!r}, which another run has",
            title(data),
            "Leave the condition out, or pool runs until each has all conditions.",
        )
    values = as_tensor(data.measurements, title(data))
    together = torch.from_numpy(number * n + groups)
    return PatternBlocks(values, together, n * len(runs), device, [*names] * len(runs), title(data)), runs


def title(data: Dataset) -> str:
    """What an error calls the data set."""
    return f"data set {data.descriptors.get('name', '')}".strip()


def _groups(data: Dataset, names: Sequence[str]) -> Int[np.ndarray, " observation"]:
    ids = observed(data)
    odd = sorted(set(names) ^ set(ids))
    if odd:
        raise BrokenData(
            f"condition {odd[0]!r} is not in all data sets ({len(odd)} such)",
            title(data),
            "Leave such conditions out: an RDM is over the same conditions for all.",
        )
    _warn_of_repetitions(data, ids)
    place = {name: i for i, name in enumerate(names)}
    return np.array([place[one] for one in ids])


def _runs(data: Dataset) -> tuple[list[Any], Int[np.ndarray, " observation"]]:
    if "run" not in data.obs_descriptors:
        raise BrokenData(
            "crossnobis needs folds, and the observations have no run",
            title(data),
            'Give obs_descriptors["run"]; observations of different runs must be independent.',
        )
    runs, number = np.unique(np.asarray(data.obs_descriptors["run"]), return_inverse=True)
    if len(runs) < 2:
        raise BrokenData(
            "crossnobis needs two runs or more, and there is one", title(data), "Use mahalanobis, or give more runs."
        )
    return runs.tolist(), number


def _warn_of_repetitions(data: Dataset, ids: list[str]) -> None:
    runs = data.obs_descriptors.get("run", [""] * len(ids))
    (one, run), times = Counter(zip(ids, (str(run) for run in runs), strict=True)).most_common(1)[0]
    if times > 1:
        inside = f" in run {run}" if run else ""
        warnings.warn(
            f"{title(data)}: condition {one!r} is there {times} times{inside}; its observations are averaged",
            stacklevel=5,
        )
