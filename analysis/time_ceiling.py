"""The noise ceiling at every time, from how far subjects agree there; before the stimulus it should be near 0."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64
from rsatoolbox.rdm import RDMs

from ..datasets.errors import BrokenData
from .joined import BY, join
from .noise_ceiling import noise_ceiling
from .time_resolved import time_of

Bounds = tuple[Float64[np.ndarray, " time"], Float64[np.ndarray, " time"]]


def ceiling_over_time(data: Sequence[RDMs], measure: str = "spearman") -> Bounds:
    """Lower and upper bound at each time (`noise_ceiling`), NaN for one subject.

    Parameters
    ----------
    data
        One `rdms_over_time` for each subject, at the same times; conditions are joined by id.

    Raises `BrokenData` where there are no subjects or their times differ, and as `noise_ceiling` does.
    """
    if not data or any(not np.array_equal(time_of(one), time_of(data[0])) for one in data):
        raise BrokenData("there are no subjects, or their times differ", "ceiling_over_time", "Cut the epochs alike.")
    together = join(*data)
    values = np.stack([one.dissimilarities for one in together], axis=1)  # time subject pair
    ids = {BY: list(together[0].pattern_descriptors[BY])}
    with warnings.catch_warnings():
        # Bounds alone are asked for; before the stimulus no reliability is positive.
        warnings.filterwarnings("ignore", "the split-half reliability|one subject has no noise ceiling")
        found = [noise_ceiling(RDMs(rows, pattern_descriptors=ids), measure) for rows in values]
    return np.array([one.lower for one in found]), np.array([one.upper for one in found])
