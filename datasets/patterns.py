"""Response patterns of conditions: GLM estimates by run as an rsatoolbox Dataset, with the noise of each run.

One model per run with one regressor per condition (`glm.py`); its betas (or z values) are rows of the Dataset, ready
for cross-validation between runs. The run's residuals give the noise precision that crossnobis takes (multivariate
noise normalisation: Walther et al. 2016, NeuroImage 137:188).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float64, Int
from rsatoolbox.data import Dataset

from .errors import BrokenData, MissingData, WrongArgument
from .glm import Glm, GlmFit, fit
from .noise_residuals import noise_precision
from .regions import coordinates
from .study import VoxelMask

ESTIMATES = ("betas", "z")


@dataclass(frozen=True, eq=False)
class ConditionRun:
    """One recording in which conditions were shown.

    Parameters
    ----------
    name
        The run's; runs are sorted by it, so pad numbers with zeros.
    series
        Channels (voxels, parcels) over time, as recorded.
    events
        onset and duration in s, trial_type: the condition's id. With a column `fold` one run is parted into folds that
        are modelled together; without it the run is one fold, called as the run.
    """

    name: str
    series: Float[np.ndarray, "time channel"]
    repetition_time: float
    events: pd.DataFrame
    confounds: Float[np.ndarray, "time confound"] | None = None


@dataclass(frozen=True, eq=False)
class Patterns:
    """Estimates of every condition in every fold, and what each fold's model left.

    `dataset` has the obs_descriptors `stimulus` (condition id) and `run` (the fold), sorted by run and then stimulus,
    and the channel_descriptors `channel` (the column of the series) and, with a mask, `voxel` (flat index in the
    volume) and `x`, `y`, `z` in mm. `residuals` and `dof` are in the order of the sorted folds, as crossnobis has it.
    """

    dataset: Dataset
    residuals: tuple[Float64[np.ndarray, "_time channel"], ...]
    dof: tuple[float, ...]
    mask: VoxelMask | None = None

    @property
    def folds(self) -> list[str]:
        """Names of the folds, sorted."""
        return [str(fold) for fold in np.unique(self.dataset.obs_descriptors["run"])]

    @property
    def residuals_by_run(self) -> dict[str, Float64[np.ndarray, "_time channel"]]:
        """The residuals by the fold's name, as `analysis.searchlight` takes its noise."""
        return dict(zip(self.folds, self.residuals, strict=True))

    def noise(self, method: str = "shrinkage_diag") -> list[Float64[np.ndarray, "channel channel"]]:
        """The noise precision of each fold: what `rdms(..., "crossnobis", noise=...)` and rsatoolbox take.

        Raises as `noise_precision` does.
        """
        each = zip(self.folds, self.residuals, self.dof, strict=True)
        made: dict[int, np.ndarray] = {}  # folds of one run share its residuals
        for fold, residuals, dof in each:
            if id(residuals) not in made:
                made[id(residuals)] = noise_precision(residuals, dof, method, where=f"run {fold}")
        return [made[id(residuals)] for residuals in self.residuals]

    def within(self, channels: Int[np.ndarray, " kept"] | Bool[np.ndarray, " channel"]) -> Patterns:
        """The same patterns in some of the channels, by index or flag: a searchlight's sphere, for instance."""
        kept = np.arange(self.dataset.n_channel)[channels]
        described = {name: np.asarray(values)[kept] for name, values in self.dataset.channel_descriptors.items()}
        smaller = Dataset(
            self.dataset.measurements[:, kept], self.dataset.descriptors, self.dataset.obs_descriptors, described
        )
        parts = {id(residuals): residuals[:, kept] for residuals in self.residuals}
        mask = None if self.mask is None else _kept_mask(self.mask, kept)
        return replace(self, dataset=smaller, residuals=tuple(parts[id(r)] for r in self.residuals), mask=mask)


def patterns(
    runs: Sequence[ConditionRun],
    mask: VoxelMask | None = None,
    glm: Glm | None = None,
    estimate: str = "betas",
    **descriptors: Any,
) -> Patterns:
    """Fit every run and gather its conditions.

    Channels that are constant in a run are left out with a warning, likewise channels of a mean below 1 where the model
    takes percent of the mean: `channel` and `voxel` of the result say which are left.

    Parameters
    ----------
    mask
        The voxels that the channels are, where they are voxels.
    estimate
        "betas", or "z" (each divided by its own standard error).
    descriptors
        Of the Dataset: subject, region and so on.

    Raises `MissingData` without runs, `WrongArgument` for another estimate, `BrokenData` for runs that differ in their
    channels or share a name, when no channel is left, and as `glm.fit` does.
    """
    if estimate not in ESTIMATES:
        raise WrongArgument(f"no estimate {estimate!r}", "estimate", f"Choose {' or '.join(ESTIMATES)}.")
    runs, glm = sorted(runs, key=lambda run: run.name), glm or Glm()
    _check(runs, mask)
    usable = np.flatnonzero(_usable(runs, glm))
    folds: dict[str, tuple[list[tuple[str, np.ndarray]], GlmFit]] = {}
    for run in runs:
        for fold, rows, fitted in _fitted(run, usable, glm, estimate):
            if fold in folds:
                raise BrokenData(f"two runs have a fold {fold}", "runs", "Give each run and fold its own name.")
            folds[fold] = rows, fitted
    names = sorted(folds)
    left = None if mask is None else _kept_mask(mask, usable)
    observed = [(fold, *row) for fold in names for row in folds[fold][0]]
    data = Dataset(
        np.stack([row for _, _, row in observed]),
        dict(descriptors),
        {"stimulus": [stimulus for _, stimulus, _ in observed], "run": [fold for fold, _, _ in observed]},
        _described(usable, left),
    )
    fits = [folds[name][1] for name in names]
    return Patterns(data, tuple(one.residuals for one in fits), tuple(one.dof for one in fits), left)


def _fitted(
    run: ConditionRun, usable: Int[np.ndarray, " kept"], glm: Glm, estimate: str
) -> list[tuple[str, list[tuple[str, np.ndarray]], GlmFit]]:
    """Per fold of the run: its name, (condition, estimate) sorted by condition, and the fit."""
    events, keys = _keyed(run)
    fitted = fit(run.series[:, usable], events, run.repetition_time, glm, run.confounds, where=f"run {run.name}")
    values = dict(zip(fitted.conditions, getattr(fitted, estimate), strict=True))
    by_fold: dict[str, list[tuple[str, np.ndarray]]] = {}
    for key, (fold, condition) in sorted(keys.items(), key=lambda item: item[1]):
        by_fold.setdefault(fold, []).append((condition, values[key]))
    return [(fold, rows, fitted) for fold, rows in by_fold.items()]


def _keyed(run: ConditionRun) -> tuple[pd.DataFrame, dict[str, tuple[str, str]]]:
    """The events, each condition of each fold a regressor of its own; and which fold and condition that is."""
    if "fold" not in run.events or "trial_type" not in run.events:
        conditions = run.events.get("trial_type", pd.Series(dtype=str)).astype(str)
        return run.events, {condition: (run.name, condition) for condition in conditions}
    pairs = list(zip(run.events["fold"].astype(str), run.events["trial_type"].astype(str), strict=True))
    names = [f"{condition} (fold {fold})" for fold, condition in pairs]
    return run.events.assign(trial_type=names), dict(zip(names, pairs, strict=True))


def _check(runs: Sequence[ConditionRun], mask: VoxelMask | None) -> None:
    if not runs:
        raise MissingData("no runs", "patterns", "Give at least one run; crossnobis needs two folds.")
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        raise BrokenData("two runs have the same name", ", ".join(names), "Give each run its own name.")
    counts = {run.series.shape[1] for run in runs} | (set() if mask is None else {mask.n_voxels})
    if len(counts) > 1:
        raise BrokenData(
            f"runs and mask have {', '.join(map(str, sorted(counts)))} channels", "patterns", "Use one mask for all."
        )
    for run in runs:
        if not np.isfinite(run.series).all():
            raise BrokenData("a value of the series is not finite", f"run {run.name}", "Repair or leave out the run.")


def _usable(runs: Sequence[ConditionRun], glm: Glm) -> Bool[np.ndarray, " channel"]:
    moves = np.all([np.ptp(run.series, axis=0) > 0 for run in runs], axis=0)
    bright = np.all([run.series.mean(axis=0, dtype=np.float64) >= 1 for run in runs], axis=0)
    usable: Bool[np.ndarray, " channel"] = moves & (bright | (not glm.percent))
    if not usable.any():
        raise BrokenData(
            "no channel varies" if not moves.any() else "no channel has a mean of at least 1",
            "patterns",
            "Give signals that vary; for signals that are centred already, Glm(percent=False).",
        )
    if not usable.all():
        left = f"{(~usable).sum()} of {usable.size} channels are constant or dim in a run and are left out"
        warnings.warn(left, stacklevel=3)
    return usable


def _described(usable: Int[np.ndarray, " kept"], mask: VoxelMask | None) -> dict[str, np.ndarray]:
    described: dict[str, np.ndarray] = {"channel": usable}
    if mask is not None:
        described |= {"voxel": mask.index(), **dict(zip("xyz", coordinates(mask).T, strict=True))}
    return described


def _kept_mask(mask: VoxelMask, kept: Int[np.ndarray, " kept"]) -> VoxelMask:
    volume = np.zeros(mask.volume.size, bool)
    volume[mask.index()[kept]] = True
    return VoxelMask(volume.reshape(mask.volume.shape), mask.affine)
