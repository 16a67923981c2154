"""RDMs from patterns: rsatoolbox's `Dataset` in, rsatoolbox's `RDMs` out, its numbers to 1e-6, in bounded memory.

Conditions are told by `obs_descriptors["stimulus"]`, folds by `obs_descriptors["run"]`. The conditions of an RDM stand
in the order in which the first data set has them first. Inside they are sorted by id, so that another order of the
same stimuli gives every distance to the last bit the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs
from torch import Tensor

from ..datasets.errors import BrokenData, WrongArgument
from .conditions import by_condition, by_run, condition_names, observed
from .crossnobis import crossnobis
from .distances import CHUNK, Noise, pattern_distances

AnyNoise = Noise | Sequence[Noise] | Mapping[Any, Noise]
NAMES = {"euclidean": "squared euclidean", "mahalanobis": "squared mahalanobis"}  # as rsatoolbox calls them


def dataset(
    values: np.ndarray | Tensor,
    ids: Sequence[str] | np.ndarray,
    *,
    run: Sequence[Any] | np.ndarray | None = None,
    **descriptors: Any,
) -> Dataset:
    """A Dataset of patterns (observation channel) with their condition ids.

    `descriptors` (subject, region, layer, name …) become the RDM's. Raises `BrokenData` where the numbers of patterns,
    ids and runs differ.
    """
    for what, given in (("ids", ids), ("runs", run)):
        if given is not None and len(given) != len(values):
            raise BrokenData(
                f"there are {len(given)} {what} for {len(values)} patterns", "dataset", "Give one for each pattern."
            )
    told = {"stimulus": [str(one) for one in ids]}
    return Dataset(values, descriptors, told if run is None else told | {"run": list(run)})


def rdms(
    data: Dataset | Sequence[Dataset],
    method: str = "correlation",
    *,
    noise: AnyNoise | None = None,
    chunk: int = CHUNK,
    device: torch.device | str = "cpu",
) -> RDMs:
    """One RDM for each data set.

    Observations of one condition are averaged (crossnobis: within a run). Where the runs do not explain that a
    condition is there more than once, a warning says so.

    Parameters
    ----------
    data
        Their `descriptors` become rdm_descriptors; `name` is "rdm 0", "rdm 1" … where they have none.
    method
        correlation, euclidean (squared, by channel), cosine, mahalanobis, crossnobis, poisson.
    noise
        Precision (channel channel) for mahalanobis and crossnobis; for crossnobis also one by run (a mapping, or a
        sequence in the runs' sorted order). The identity where there is none.
    chunk
        Bytes used beside the result, data and noise.
    device
        "cpu" or "cuda".

    Raises `BrokenData` for fewer than four conditions, conditions that not all data sets or all runs have, fewer than
    two runs (crossnobis), and patterns as in `distances.dissimilarities`; `WrongArgument` for an unknown method or a
    noise that cannot be meant.
    """
    several = [data] if isinstance(data, Dataset) else list(data)
    if not several:
        raise BrokenData("there are no data sets", "rdms", "Give at least one.")
    names = condition_names(several[0])
    vectors = (_distances(one, names, method, noise, chunk, device).cpu().numpy() for one in several)
    return RDMs(
        next(vectors)[None] if len(several) == 1 else _stacked(vectors, len(several)),  # a large one is not copied
        dissimilarity_measure=NAMES.get(method, method),
        rdm_descriptors=_rdm_descriptors(several),
        pattern_descriptors={"stimulus": names} | _shared(several[0], names),
    )


def _distances(
    data: Dataset, names: list[str], method: str, noise: AnyNoise | None, chunk: int, device: torch.device | str
) -> Float64[Tensor, " pair"]:
    """Distances of all pairs of the named conditions, in their order."""
    inside = sorted(names)
    place = {name: i for i, name in enumerate(names)}
    order = None if inside == names else torch.tensor([place[name] for name in inside])
    if method == "crossnobis":
        patterns, runs = by_run(data, inside, device)
        return crossnobis(patterns, len(runs), noise=_by_run(noise, runs), order=order, chunk=chunk)
    if isinstance(noise, Sequence | Mapping):
        raise WrongArgument(f"{method} takes one noise precision", "noise", "Only crossnobis takes one by run.")
    return pattern_distances(by_condition(data, inside, device), method, noise=noise, order=order, chunk=chunk)


def _by_run(noise: AnyNoise | None, runs: list[Any]) -> Noise | Sequence[Noise] | None:
    if not isinstance(noise, Mapping):
        return noise
    absent = [run for run in runs if run not in noise]
    if absent:
        raise WrongArgument(f"there is no noise precision for run {absent[0]}", "noise", "Give one for each run.")
    return [noise[run] for run in runs]


def _stacked(vectors: Iterator[Float64[np.ndarray, " pair"]], n: int) -> Float64[np.ndarray, "rdm pair"]:
    """All vectors in one array, of which no second copy is held."""
    first = next(vectors)
    found = np.empty((n, first.size))
    found[0] = first
    for row, vector in enumerate(vectors, start=1):
        found[row] = vector
    return found


def _shared(data: Dataset, names: list[str]) -> dict[str, list[Any]]:
    """Descriptors of observations that are one and the same for all observations of a condition."""
    ids, found = observed(data), {}
    for key, values in data.obs_descriptors.items():
        told = dict(zip(ids, values, strict=True))
        if key not in {"stimulus", "index"} and all(told[one] == value for one, value in zip(ids, values, strict=True)):
            found[key] = [told[name] for name in names]
    return found


def _rdm_descriptors(several: Sequence[Dataset]) -> dict[str, list[Any]]:
    """What the data sets say of themselves, "" where one says nothing; names are unique."""
    keys = dict.fromkeys(key for one in several for key in one.descriptors)
    told = {key: [one.descriptors.get(key, "") for one in several] for key in keys}
    names = told.get("name", [f"rdm {i}" for i in range(len(several))])
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise BrokenData(f"{times} data sets have the same name", str(name), "Give each its own.")
    return told | {"name": names}
