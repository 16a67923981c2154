"""Which stretches of time are above chance: cluster-based permutation (Maris & Oostenveld 2007).

Where a statistic exceeds a threshold, neighbouring times form a cluster, whose mass is the sum of the statistic. The
largest mass of every permutation is what chance gives; p of a cluster is the share of permutations, the true order
among them, whose largest mass is no smaller. It is corrected over time, and says that there is an effect, not exactly
when: the edges of a cluster have no p of their own (J Neurosci Meth 164:177).

Several subjects: signs of whole curves are flipped (the curve of a subject is as often above 0 as below where there is
nothing), the statistic is t over subjects, as in mne's `permutation_cluster_1samp_test`. One subject: the model's
conditions are permuted, the statistic is the similarity standardised by the mean and spread of all permutations at that
time.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int
from rsatoolbox.rdm import RDMs
from scipy import stats

from ..datasets.errors import BrokenData, WrongArgument
from .comparison import similarities
from .joined import join
from .time_resolved import time_of

LEVEL = 0.05
ROWS = 2000  # permutations at once
Curves = Float64[np.ndarray, "permutation time"]


@dataclass(frozen=True)
class Cluster:
    """From `start` up to and including `stop`, in s; mass with the sign of the effect; p corrected over time."""

    start: float
    stop: float
    mass: float
    p: float


@dataclass(frozen=True, eq=False)
class ClusterTest:
    """Result of a test over time.

    `p` is that of the cluster a time is in, 1 outside; `threshold` that of the statistic; `permutations` counts the
    true order, and all there are where `exact`.
    """

    statistic: Float64[np.ndarray, " time"]
    p: Float64[np.ndarray, " time"]
    clusters: tuple[Cluster, ...]
    threshold: float
    permutations: int
    exact: bool


def sign_flip_test(
    curves: Float64[np.ndarray, "subject time"],
    time: Float64[np.ndarray, " _time"],
    *,
    permutations: int = 5000,
    threshold: float | None = None,
    two_sided: bool = False,
    seed: int = 0,
) -> ClusterTest:
    """Whether the mean over subjects is above 0 (or, two-sided, other than 0) at some time.

    Parameters
    ----------
    curves
        Similarities, or differences of two models' similarities.
    permutations
        All sign flips are made where they are no more than this, and so many random ones otherwise.
    threshold
        Of t; by default the one that a single time exceeds by chance with probability .05.

    Warns where so few subjects leave no p below .05. Raises `BrokenData` for fewer than two subjects or curves that are
    not finite or of another length than `time`.
    """
    _check(curves, time)
    n = len(curves)
    if n < 2:
        raise BrokenData("there is one subject", "sign_flip_test", "Test one subject with label_test.")
    exact = 2**n <= permutations
    smallest = (2 if two_sided else 1) / 2**n
    if smallest > LEVEL:
        warnings.warn(f"with {n} subjects no p can be below {smallest:g}", stacklevel=2)
    limit = float(stats.t.isf(LEVEL / (1 + two_sided), n - 1)) if threshold is None else threshold
    signs = _all_signs(n) if exact else _random_signs(n, permutations, seed)
    return _tested(_t_values(signs, curves), time, limit, two_sided, exact)


def label_test(
    model: RDMs,
    data: RDMs,
    measure: str = "spearman",
    *,
    permutations: int = 1000,
    threshold: float | None = None,
    seed: int = 0,
) -> ClusterTest:
    """Whether one subject's RDMs over time (`rdms_over_time`) are like the model at some time.

    All times are given the same permutation, so that what neighbours share is kept.

    Parameters
    ----------
    threshold
        Of the similarity in standard deviations of its permutations; by default the normal 95th percentile.

    Raises `WrongArgument` for more than one model, `BrokenData` for a similarity that is undefined, and as `compare`.
    """
    if model.n_rdm != 1:
        raise WrongArgument(f"there are {model.n_rdm} models", "label_test", "Test one model at a time.")
    model, data = join(model, data)
    rng = np.random.default_rng(seed)
    orders = rng.permuted(np.tile(np.arange(model.n_cond), (permutations, 1)), axis=1)
    orders[0] = np.arange(model.n_cond)
    found = np.concatenate(
        [
            similarities(_relabelled(model, orders[start : start + ROWS]), data.dissimilarities, measure)
            for start in range(0, permutations, ROWS)
        ]
    )
    time = time_of(data)
    _check(found, time)
    spread = found.std(axis=0)
    standard = (found - found.mean(axis=0)) / np.where(spread > 0, spread, 1)
    limit = float(stats.norm.isf(LEVEL)) if threshold is None else threshold
    return _tested(standard, time, limit, False, False)


def _tested(statistic: Curves, time: np.ndarray, threshold: float, two_sided: bool, exact: bool) -> ClusterTest:
    """Clusters of row 0, the true order, against the largest of every row."""
    largest, found = np.zeros(len(statistic)), []
    for sign in (1.0, -1.0) if two_sided else (1.0,):
        mass, row, first, last = _masses(sign * statistic, threshold)
        np.maximum.at(largest, row, mass)
        found += [(sign * mass[k], first[k], last[k]) for k in np.flatnonzero(row == 0)]
    p = np.ones(len(time))
    clusters = []
    for mass, first, last in sorted(found, key=lambda one: one[1]):
        share = float((largest >= abs(mass) * (1 - 1e-12)).mean())
        p[first : last + 1] = share
        clusters.append(Cluster(float(time[first]), float(time[last]), float(mass), share))
    return ClusterTest(statistic[0], p, tuple(clusters), threshold, len(statistic), exact)


def _masses(
    statistic: Curves, threshold: float
) -> tuple[
    Float64[np.ndarray, " cluster"],
    Int[np.ndarray, " cluster"],
    Int[np.ndarray, " cluster"],
    Int[np.ndarray, " cluster"],
]:
    """Mass, permutation, first and last time of every cluster of every permutation."""
    above = statistic > threshold
    edges = np.diff(np.pad(above, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    row, first = np.nonzero(edges == 1)
    _, stop = np.nonzero(edges == -1)
    total = np.pad(np.cumsum(np.where(above, statistic, 0.0), axis=1), ((0, 0), (1, 0)))
    return total[row, stop] - total[row, first], row, first, stop - 1


def _t_values(signs: Float64[np.ndarray, "permutation subject"], curves: Float64[np.ndarray, "subject time"]) -> Curves:
    """t over subjects; their squares are the same whatever the signs."""
    n = len(curves)
    mean = signs @ curves / n
    variance = ((curves**2).sum(axis=0) - n * mean**2) / (n - 1)
    tiny = np.finfo(np.float64).tiny
    t: Curves = mean / np.sqrt(np.maximum(variance, tiny) / n)
    return t


def _all_signs(n: int) -> Float64[np.ndarray, "permutation subject"]:
    """Every combination, the one without a flip first."""
    bits = np.arange(2**n)[:, None] >> np.arange(n) & 1
    return 1.0 - 2.0 * bits


def _random_signs(n: int, permutations: int, seed: int) -> Float64[np.ndarray, "permutation subject"]:
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(permutations, n))
    signs[0] = 1
    return signs


def _relabelled(
    model: RDMs, orders: Int[np.ndarray, "permutation condition"]
) -> Float64[np.ndarray, "permutation pair"]:
    """The model's dissimilarities with its conditions in each of the orders."""
    square = model.get_matrices()[0]
    i, j = np.triu_indices(model.n_cond, 1)
    relabelled: Float64[np.ndarray, "permutation pair"] = square[orders[:, i], orders[:, j]]
    return relabelled


def _check(curves: np.ndarray, time: np.ndarray) -> None:
    if curves.shape[1] != len(time):
        raise BrokenData(f"{curves.shape[1]} values for {len(time)} times", "curves", "Give one value for each time.")
    if not np.isfinite(curves).all():
        raise BrokenData("a similarity is not finite", "curves", "Look for constant RDMs; leave out such times.")
