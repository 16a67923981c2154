"""Representations over time: an RDM at every time point, and how alike a model's RDM is to it.

Time points are a batch: the Gram matrices of all of them are one batched product in double precision, some time points
at a time. The distances are those of `rdm.py`, and of rsatoolbox's `calc_rdm_movie`. Trials of a condition are averaged
first; crossnobis averages them within each fold ("run") and multiplies every fold's differences with those of all
trials of the other folds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int
from rsatoolbox.data import TemporalDataset
from rsatoolbox.rdm import RDMs
from torch import Tensor

from ..datasets.errors import BrokenData, WrongArgument
from .comparison import compare
from .conditions import condition_names, observed, title
from .noise_precision import root

CHUNK = 32 * 2**20  # bytes; what fits the caches is faster than what fits the memory

# Mean patterns and how many trials each is of, to the Gram matrix of the conditions at each time.
Means = Float64[Tensor, "fold time condition channel"]
Counts = Float64[Tensor, "fold condition"]
Gram = Float64[Tensor, "time condition condition"]


def rdms_over_time(
    data: TemporalDataset,
    method: str = "crossnobis",
    *,
    noise: np.ndarray | None = None,
    chunk: int = CHUNK,
    device: torch.device | str = "cpu",
) -> RDMs:
    """One RDM per time point, in order; rdm_descriptors `time` (s), `name`, and what the data set says of itself.

    Parameters
    ----------
    data
        obs_descriptors `stimulus`, and for crossnobis `run`; measurements (observation, channel, time).
    method
        One of `METHODS`: crossnobis, euclidean (squared, by channel) or correlation.
    noise
        Precision (channel channel), for crossnobis; none where the channels are white already (`datasets.epochs`).
    chunk
        Bytes used beside data and result.

    Raises `WrongArgument` for an unknown method or a noise that cannot be meant; `BrokenData` for values that are not
    real or not finite, fewer than four conditions, a constant pattern (correlation), and for crossnobis fewer than two
    folds or a fold without one of the conditions.
    """
    if method not in METHODS:
        raise WrongArgument(f"there is no method {method!r} over time", "method", f"Take one of {', '.join(METHODS)}.")
    if noise is not None and method != "crossnobis":
        raise WrongArgument(f"noise does not apply to {method}", "noise", "Take crossnobis, or leave it.")
    _check(data)
    names = condition_names(data)
    groups, n_folds = _groups(data, names, folded=method == "crossnobis")
    factor = None if noise is None else root(noise, data.n_channel, device)
    counts = torch.bincount(groups, minlength=n_folds * len(names)).double().reshape(n_folds, -1).to(device)
    found = np.empty((data.n_time, len(names) * (len(names) - 1) // 2))
    for start, stop in _spans(data, counts.numel(), chunk):
        means = _means(data, groups, counts, start, stop)
        gram = METHODS[method](means if factor is None else means @ factor, counts, title(data))
        found[start:stop] = _distances(gram).cpu().numpy()
    return RDMs(
        found,
        dissimilarity_measure=NAMES.get(method, method),
        pattern_descriptors={"stimulus": names},
        rdm_descriptors=_described(data),
    )


@dataclass(frozen=True, eq=False)
class Curves:
    """Similarity of each model with each subject's RDM at each time (s)."""

    similarity: Float64[np.ndarray, "subject model time"]
    time: Float64[np.ndarray, " time"]
    models: tuple[str, ...]
    subjects: tuple[str, ...]
    measure: str
    n_conditions: int

    def of(self, model: str) -> Float64[np.ndarray, "subject time"]:
        """The curves of one model; raises `WrongArgument` that lists the names."""
        if model not in self.models:
            raise WrongArgument(f"there is no model {model!r}", "model", f"Take one of {', '.join(self.models)}.")
        return self.similarity[:, self.models.index(model)]


def similarity_over_time(
    models: RDMs, data: Sequence[RDMs], measure: str = "spearman", *, partial: RDMs | None = None
) -> Curves:
    """Every model with every subject at every time, conditions joined by id.

    Parameters
    ----------
    data
        One `rdms_over_time` for each subject, at the same times.

    Raises `BrokenData` where subjects differ in their times, share a name, or there are none; and as `compare` does.
    """
    if not data:
        raise BrokenData("there are no subjects", "similarity_over_time", "Give RDMs over time, one set each.")
    time = time_of(data[0])
    for place, one in enumerate(data):
        if not np.array_equal(time_of(one), time):
            raise BrokenData(
                f"subject {_subject(one, place)} has other times than the first",
                "similarity_over_time",
                "Cut the epochs alike, at one sampling rate.",
            )
    subjects = tuple(_subject(one, place) for place, one in enumerate(data))
    if len(set(subjects)) < len(subjects):
        raise BrokenData(f"subjects share a name: {', '.join(subjects)}", "similarity_over_time", "Name each its own.")
    values = np.stack([compare(models, one, measure, partial=partial) for one in data])
    unnamed = [f"model {number}" for number in range(models.n_rdm)]
    named = tuple(str(name) for name in models.rdm_descriptors.get("name", unnamed))
    return Curves(values, time, named, subjects, measure, models.n_cond)


def _crossnobis(means: Means, counts: Counts, where: str) -> Gram:
    sums = means * counts[:, None, :, None]
    others = (sums.sum(0) - sums) / (counts.sum(0) - counts)[:, None, :, None]
    products = [one @ rest.mT for one, rest in zip(_centred(means), _centred(others), strict=True)]
    gram = torch.stack(products).mean(0) / means.shape[-1]
    return (gram + gram.mT) / 2


def _euclidean(means: Means, counts: Counts, where: str) -> Gram:
    x = _centred(means)[0]
    return x @ x.mT / x.shape[-1]


def _correlation(means: Means, counts: Counts, where: str) -> Gram:
    about = means[0] - means[0].mean(-1, keepdim=True)
    length = about.norm(dim=-1, keepdim=True)
    still = length <= 64 * torch.finfo(length.dtype).eps * means[0].abs().amax(-1, keepdim=True)
    if bool(still.any()):
        raise BrokenData(
            "a condition's pattern is constant over the channels, its correlation undefined",
            where,
            "Take crossnobis or euclidean, or leave out such times.",
        )
    z = about / length
    gram: Float64[Tensor, "time condition condition"] = z @ z.mT / 2  # |z_i - z_j|² / 2 = 1 - r
    return gram


def _centred(means: Means) -> Means:
    """Less the mean over conditions, which changes no distance and keeps the digits."""
    return means - means.mean(-2, keepdim=True)


METHODS: dict[str, Callable[[Means, Counts, str], Gram]] = {
    "crossnobis": _crossnobis,
    "euclidean": _euclidean,
    "correlation": _correlation,
}
NAMES = {"euclidean": "squared euclidean"}  # as rsatoolbox calls it


def _distances(gram: Gram) -> Float64[Tensor, "time pair"]:
    """G_ii + G_jj - 2 G_ij of the upper triangle, by row."""
    i, j = torch.triu_indices(gram.shape[-1], gram.shape[-1], 1, device=gram.device)
    own = gram.diagonal(dim1=-2, dim2=-1)
    distances: Float64[Tensor, "time pair"] = own[:, i] + own[:, j] - 2 * gram[:, i, j]
    return distances


def _spans(data: TemporalDataset, n_groups: int, chunk: int) -> Iterator[tuple[int, int]]:
    """First and last time of each part; about six arrays of group by channel and two of the trials are held at once."""
    bytes_per_time = 8 * data.n_channel * (6 * n_groups + 2 * data.n_obs)
    step = max(1, chunk // bytes_per_time)
    return ((start, min(start + step, data.n_time)) for start in range(0, data.n_time, step))


def _means(
    data: TemporalDataset, groups: Int[Tensor, " observation"], counts: Counts, start: int, stop: int
) -> Float64[Tensor, "fold time condition channel"]:
    """Means of the trials of each fold and condition."""
    block = np.ascontiguousarray(data.measurements[:, :, start:stop].transpose(0, 2, 1), np.float64)
    sums = torch.zeros(counts.numel(), *block.shape[1:], dtype=torch.float64)
    sums.index_add_(0, groups, torch.from_numpy(block))
    folds = sums.reshape(*counts.shape, *block.shape[1:]).to(counts.device) / counts[:, :, None, None]
    return folds.transpose(1, 2)


def _groups(data: TemporalDataset, names: list[str], *, folded: bool) -> tuple[Int[Tensor, " observation"], int]:
    """Number of the fold and condition of each observation, by fold; and the number of folds."""
    place = {name: number for number, name in enumerate(names)}
    conditions = np.array([place[name] for name in observed(data)])
    if not folded:
        return torch.from_numpy(conditions), 1
    if "run" not in data.obs_descriptors:
        raise BrokenData("crossnobis needs folds, and the trials have no run", title(data), "Read them with folds=4.")
    runs, fold = np.unique(np.asarray(data.obs_descriptors["run"]), return_inverse=True)
    if len(runs) < 2:
        raise BrokenData("crossnobis needs two folds or more, and there is one", title(data), "Give more folds.")
    groups = fold * len(names) + conditions
    absent = np.flatnonzero(np.bincount(groups, minlength=len(runs) * len(names)) == 0)
    if absent.size:
        run, condition = divmod(int(absent[0]), len(names))
        raise BrokenData(f"fold {runs[run]} has no {names[condition]!r}", title(data), "Ask for fewer folds.")
    return torch.from_numpy(groups), len(runs)


def _check(data: TemporalDataset) -> None:
    if data.measurements.dtype.kind not in "fiu":
        raise BrokenData(f"values are of type {data.measurements.dtype}", title(data), "Give real numbers.")
    broken = np.argwhere(~np.isfinite(data.measurements).all(axis=2))
    if broken.size:
        raise BrokenData(
            f"channel {broken[0][1]} of observation {broken[0][0]} is not finite", title(data), "Drop the epoch."
        )


def _described(data: TemporalDataset) -> dict[str, list[object]]:
    time = [float(value) for value in data.time_descriptors["time"]]
    own = {key: [value] * len(time) for key, value in data.descriptors.items() if key != "name"}
    name = data.descriptors.get("name", "rdm")
    return own | {"time": time, "name": [f"{name}, {value:g} s" for value in time]}


def time_of(rdms: RDMs) -> Float64[np.ndarray, " time"]:
    """Times of RDMs over time, in s. Raises `BrokenData` where they have none."""
    if "time" not in rdms.rdm_descriptors:
        raise BrokenData("the RDMs have no time", "similarity_over_time", "Make them with rdms_over_time.")
    return np.asarray(rdms.rdm_descriptors["time"], np.float64)


def _subject(rdms: RDMs, place: int) -> str:
    return str(rdms.rdm_descriptors.get("subject", [f"subject {place}"])[0])
