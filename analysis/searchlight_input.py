"""What a searchlight is given, checked and put in order: patterns by fold, noise, models by condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Float64
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs

from ..datasets.errors import BrokenData, WrongArgument
from ..datasets.study import VoxelMask
from .comparison import measure_called
from .conditions import by_condition, by_run, title
from .joined import join
from .sphere_distances import METHODS

WHITENED = ("mahalanobis", "crossnobis")
Residuals = Float[np.ndarray, "_time _channel"]


def folds(
    data: Dataset, names: Sequence[str], method: str, noise: np.ndarray | Mapping[Any, np.ndarray] | None
) -> tuple[Float64[np.ndarray, "fold condition channel"], tuple[Residuals, ...]]:
    """Mean patterns by fold, and the noise: none, of all, or of each fold.

    Raises what `conditions` raises, and `WrongArgument` for noise that the method has no use for, or without a run.
    """
    if noise is not None and method not in WHITENED:
        raise WrongArgument(f"{method} takes no noise", "noise", f"Use {' or '.join(WHITENED)}, or give no noise.")
    patterns, runs = by_run(data, names) if method == "crossnobis" else (by_condition(data, names), [None])
    means = patterns.means(0, patterns.n_channels).numpy().reshape(len(runs), len(names), -1)
    if method == "poisson" and (means < 0).any():
        raise BrokenData("a rate is negative", title(data), "Poisson-KL takes spike counts or rates.")
    if not isinstance(noise, Mapping):
        return means, () if noise is None else (noise,)
    if method != "crossnobis":
        return means, tuple(noise.values())
    absent = [run for run in runs if run not in noise]
    if absent:
        raise WrongArgument(f"there are no residuals of run {absent[0]}", "noise", "Give an array for each run.")
    return means, tuple(noise[run] for run in runs)


def check_channels(
    patterns: Float64[np.ndarray, "fold condition channel"],
    residuals: tuple[Residuals, ...],
    mask: VoxelMask,
    where: str,
) -> None:
    """Raises `BrokenData` where patterns or residuals are not of the mask's voxels, or residuals do not vary."""
    if patterns.shape[2] != mask.n_voxels:
        raise BrokenData(
            f"patterns have {patterns.shape[2]} channels, the mask has {mask.n_voxels} voxels",
            where,
            "Give the patterns of exactly the mask's voxels, in its order.",
        )
    for one in residuals:
        if one.ndim != 2 or one.shape[1] != mask.n_voxels or len(one) < 3 or not np.isfinite(one).all():
            raise BrokenData(
                f"residuals of shape {one.shape} do not fit {mask.n_voxels} voxels, or are not finite",
                where,
                "Give an array (time channel) of at least three finite rows.",
            )
        if (np.ptp(one, axis=0) == 0).any():
            raise BrokenData(
                f"residuals of channel {int(np.argmin(np.ptp(one, axis=0)))} do not vary",
                where,
                "Leave voxels without signal out of the mask.",
            )


def check_arguments(method: str, measure: str, permutations: int, coverage: float) -> None:
    """Raises `WrongArgument` for an unknown distance or measure, and for numbers out of range."""
    if method not in METHODS:
        raise WrongArgument(f"no distance {method!r}", "method", f"Choose one of: {', '.join(METHODS)}.")
    measure_called(measure)
    if permutations < 0:
        raise WrongArgument(f"{permutations} permutations", "permutations", "Give 0 or more.")
    if not 0 <= coverage <= 1:
        raise WrongArgument(f"a coverage of {coverage}", "coverage", "Give a share between 0 and 1.")


def in_order(models: RDMs, names: Sequence[str]) -> Float64[np.ndarray, "model pair"]:
    """The models' dissimilarities, conditions in the data's order; raises what `joined.join` raises."""
    pairs = len(names) * (len(names) - 1) // 2
    like = RDMs(np.zeros((1, pairs)), pattern_descriptors={"stimulus": list(names)}, rdm_descriptors={"name": ["data"]})
    return np.asarray(join(like, models)[1].dissimilarities, np.float64)


def model_names(models: RDMs) -> tuple[str, ...]:
    """Their names, or numbers where they have none."""
    return tuple(str(name) for name in models.rdm_descriptors.get("name", range(models.n_rdm)))
