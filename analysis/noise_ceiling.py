"""What the data allow: the similarity with single subjects that the best possible model would reach.

Upper bound: every subject with the mean RDM of all, itself included, which no model can beat on the average. Lower
bound: every subject with the mean RDM of the others (Nili et al. 2014, PLoS Comput Biol 10:e1003553). RDMs are
brought to one scale before they are averaged, by what the measure ignores: length for the cosines, mean and spread
for the correlations, all but the order for rank measures (mean midranks; for Kendall's tau an approximation).

Split-half: with reliability r between the mean RDMs of two halves of h subjects each, one subject's RDM has by
Spearman and Brown the reliability ρ = r / (h - (h - 1) r), and the RDM without noise has the similarity √ρ with it.
Halves are drawn 1,000 times, with a number of subjects that is odd one is left out each time.

Bounds are equal to rsatoolbox's `boot_noise_ceiling`, where subjects with several RDMs are left out as a whole.
Deviation: one subject has no ceiling, where rsatoolbox gives the similarity of an RDM with itself.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from rsatoolbox.rdm import RDMs

from ..datasets.errors import BrokenData
from .comparison import constant, measure_called
from .cosines import centred
from .id_order import in_id_order
from .present import present_pairs
from .ranks import midranks
from .subjects import Subjects, subjects_of
from .whitening import PairPrecision

Rows = Float64[np.ndarray, "_rdm _pair"]
Table = Float64[np.ndarray, "_model _data"]
Measured = Callable[[Rows, Rows], Table]
N_SPLITS = 1000


@dataclass(frozen=True)
class NoiseCeiling:
    """Bounds of the mean similarity with single subjects.

    Parameters
    ----------
    lower, upper
        NaN for a single subject.
    n_subjects
        Subjects, not RDMs.
    split_half
        √ of one subject's reliability, found between halves of the subjects; NaN where that is not positive.
    """

    lower: float
    upper: float
    n_subjects: int
    split_half: float


def noise_ceiling(data: RDMs, measure: str = "spearman") -> NoiseCeiling:
    """Bounds of the similarity that a model can reach, from how far the subjects agree.

    Parameters
    ----------
    data
        One RDM or more of each subject, told by `rdm_descriptors["subject"]` (else each RDM is a subject).
    measure
        One of `comparison.MEASURES`.

    Warns of a single subject, of a reliability that is not positive, and of missing pairs. Raises `WrongArgument` for
    an unknown measure, and `BrokenData` for a constant RDM and as `present_pairs` does.
    """
    measured = measure_called(measure)
    (data,), subjects = in_id_order(data), subjects_of(data)
    (rows,), present = present_pairs(data=data.dissimilarities)
    refuse_constant(rows, measure, data)
    if len(subjects) < 2:
        warnings.warn("one subject has no noise ceiling: its bounds are NaN", stacklevel=2)
        return NoiseCeiling(math.nan, math.nan, len(subjects), math.nan)
    precision = PairPrecision(present)
    scaled = SCALES[measure](rows)
    lower, upper = bounds(
        rows, scaled, subjects, np.ones(len(rows)), lambda models, data: measured(models, data, precision)
    )
    reliability = split_half_reliability(measured(rows, rows, precision), subjects)
    if not reliability > 0:
        warnings.warn(
            f"the split-half reliability of a subject is {reliability:.3f}, not positive: its ceiling is NaN",
            stacklevel=2,
        )
    return NoiseCeiling(lower, upper, len(subjects), math.sqrt(reliability) if reliability > 0 else math.nan)


def bounds(
    rows: Float64[np.ndarray, "rdm pair"],
    scaled: Float64[np.ndarray, "rdm pair"],
    subjects: Subjects,
    times: Float64[np.ndarray, " rdm"],
    measured: Measured,
) -> tuple[float, float]:
    """Lower and upper bound for RDMs that count `times` each in the means; a subject drawn twice is left out twice.

    Parameters
    ----------
    rows
        Dissimilarities, as the measure takes them.
    scaled
        The same on one scale, as `SCALES` brings them there.
    times
        How often each RDM is drawn; the bounds are means over subjects that are drawn at all.
    measured
        Similarity of every row with every row.

    NaN where fewer than two subjects are drawn.
    """
    member = subjects.membership
    drawn = np.flatnonzero(member @ times)
    if len(drawn) < 2:
        return math.nan, math.nan
    others = (1 - member[drawn]) * times
    pools = np.vstack([times @ scaled / times.sum(), others @ scaled / others.sum(axis=1, keepdims=True)])
    table = measured(pools, rows)
    share = member[drawn] / member[drawn].sum(axis=1, keepdims=True)
    return float((share * table[1:]).sum(axis=1).mean()), float((share * table[0]).sum(axis=1).mean())


def split_half_reliability(
    gram: Float64[np.ndarray, "rdm rdm"], subjects: Subjects, *, splits: int = N_SPLITS, seed: int = 0
) -> float:
    """Reliability ρ of one subject's RDM, from similarities of all RDMs with each other; may be negative."""
    between = subjects.membership @ gram @ subjects.membership.T
    half = len(subjects) // 2
    order = np.random.default_rng(seed).permuted(np.tile(np.arange(len(subjects)), (splits, 1)), axis=1)
    halves = np.zeros((2, splits, len(subjects)))
    np.put_along_axis(halves[0], order[:, :half], 1, axis=1)
    np.put_along_axis(halves[1], order[:, half : 2 * half], 1, axis=1)
    products = np.einsum("asi,ij,bsj->abs", halves, between, halves, optimize=True)
    r = float((products[0, 1] / np.sqrt(products[0, 0] * products[1, 1])).mean())
    return r / (half - (half - 1) * r)


def refuse_constant(rows: Float64[np.ndarray, "rdm pair"], measure: str, data: RDMs) -> None:
    """Raise `BrokenData` that names the first RDM in which the measure finds nothing."""
    found = np.flatnonzero(constant(rows, measure))
    if len(found):
        name = data.rdm_descriptors.get("name", range(len(rows)))[found[0]]
        raise BrokenData(
            f"the RDM is constant: its {measure} similarity is undefined",
            f"RDM {name} of the data",
            "Leave it out; a region without signal or a failed recording looks so.",
        )


def _unit(rows: Rows) -> Rows:
    return np.asarray(rows / np.sqrt((rows**2).mean(axis=1, keepdims=True)))


def _z(rows: Rows) -> Rows:
    return _unit(centred(rows))


SCALES: dict[str, Callable[[Rows], Rows]] = {
    "pearson": _z,
    "spearman": midranks,
    "tau-a": midranks,
    "tau-b": midranks,
    "cosine": _unit,
    "whitened-cosine": _unit,
    "whitened-correlation": _z,
    "rho-a": midranks,
}
