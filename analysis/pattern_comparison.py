"""Second opinions on patterns themselves: CKA and Procrustes distance, where RDMs are compared first.

They weigh large directions of the patterns more than RDM correlations do, and take no nuisance and no noise
covariance. A result that holds for one of them only is a result about the measure.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float64, Shaped
from rsatoolbox.data import Dataset

from ..datasets.errors import BrokenData, WrongArgument
from .cka import debiased_cka, linear_cka
from .joined import join_patterns
from .procrustes import procrustes

Patterns = Shaped[np.ndarray, "condition _channel"]
PATTERN_MEASURES: dict[str, Callable[[Sequence[Patterns], Sequence[Patterns]], Float64[np.ndarray, "model data"]]] = {
    "cka": linear_cka,
    "debiased-cka": debiased_cka,
    "procrustes": procrustes,
}


def compare_patterns(
    models: Sequence[Dataset], data: Sequence[Dataset], measure: str = "debiased-cka"
) -> Float64[np.ndarray, "model data"]:
    """Every model's patterns with every data set's, their conditions joined by id.

    Parameters
    ----------
    models, data
        One row a condition, with its id in `obs_descriptors["stimulus"]`; any number of channels.
    measure
        "cka" or "debiased-cka", where 1 is agreement, or "procrustes", a distance, where 0 is.

    NaN, with a warning, where the conditions of a set do not differ. Raises what `join_patterns` raises, `BrokenData`
    for patterns that are no finite real numbers, `WrongArgument` for another measure or for empty lists.
    """
    if measure not in PATTERN_MEASURES:
        raise WrongArgument(
            f"there is no measure {measure!r} of patterns", "measure", f"Take one of {', '.join(PATTERN_MEASURES)}."
        )
    if not models or not data:
        raise WrongArgument("there is nothing to compare", "models and data", "Give at least one data set of each.")
    rows = [_checked(one.measurements) for one in join_patterns(*models, *data)]
    found = PATTERN_MEASURES[measure](rows[: len(models)], rows[len(models) :])
    if np.isnan(found).any():
        warnings.warn(f"conditions that do not differ have no {measure}: given as NaN", stacklevel=2)
    return found


def _checked(patterns: Patterns) -> Patterns:
    if patterns.dtype.kind not in "fiub" or not np.isfinite(patterns).all():
        raise BrokenData(
            f"patterns of type {patterns.dtype} are not all finite real numbers",
            "compare_patterns",
            "Leave out the channels that are NaN, infinite or complex.",
        )
    return patterns
