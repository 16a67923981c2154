"""One run's general linear model, as nilearn fits it: the response of every channel to every condition, and the rest.

y = X β + ε per channel: X holds, per condition, its blocks convolved with a haemodynamic response, then confounds,
drift and a constant; ε is autoregressive in time (nilearn's `run_glm`: coefficients by Yule-Walker, in steps of .01,
then least squares on whitened data). The estimates equal those of nilearn's `FirstLevelModel`; unlike it we fit
arrays, so voxels and parcels go the same way, and read the estimates of all conditions at once.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Float64
from nilearn.glm.first_level import make_first_level_design_matrix, mean_scaling, run_glm
from scipy import stats

from .errors import BrokenData, MissingData, WrongArgument

COLUMNS = ("onset", "duration", "trial_type")
PREFIX = "stimulus "  # keeps a condition called "constant" or "drift_1" apart from nilearn's own regressors
SMALLEST_P = 1e-300  # as in nilearn: z stays finite


@dataclass(frozen=True)
class Glm:
    """What is assumed of a run.

    Parameters
    ----------
    hrf
        nilearn's name of the haemodynamic response; one regressor per condition ("spm" or "glover").
    drift, high_pass
        nilearn's drift model, and Hz: what is slower is drift.
    noise
        "ar1", another order, or "ols" for noise without memory.
    percent
        Each channel is first made percent of its mean over time, as nilearn does; False for data that are centred.
    slice_time
        When within the repetition a volume was acquired: .5, its middle, is right on average over slices that were not
        corrected for their times; 0, its start, is nilearn's default.
    """

    hrf: str = "spm"
    drift: str | None = "cosine"
    high_pass: float = 0.01
    noise: str = "ar1"
    percent: bool = True
    slice_time: float = 0.5

    def __post_init__(self) -> None:
        if self.hrf not in ("spm", "glover"):
            raise WrongArgument(f"no response {self.hrf!r} of one regressor", "hrf", "Choose spm or glover.")
        if not 0 <= self.slice_time <= 1:
            raise WrongArgument(
                f"slice time {self.slice_time}", "slice_time", "Give a share of the repetition, 0 to 1."
            )


@dataclass(frozen=True, eq=False)
class GlmFit:
    """The fit of one run.

    `betas` are in percent of the channel's mean (or in its own unit), `z` standard normal where a condition does
    nothing. `residuals` are those of the whitened model, so that rows are independent, on `dof` degrees of freedom.
    """

    conditions: tuple[str, ...]
    betas: Float64[np.ndarray, "condition channel"]
    z: Float64[np.ndarray, "condition channel"]
    residuals: Float64[np.ndarray, "time channel"]
    dof: float


def fit(
    series: Float[np.ndarray, "time channel"],
    events: pd.DataFrame,
    repetition_time: float,
    glm: Glm | None = None,
    confounds: Float[np.ndarray, "time confound"] | None = None,
    *,
    where: str = "run",
) -> GlmFit:
    """Fit one run. No channel may be constant.

    Parameters
    ----------
    events
        Columns onset and duration in s after the first volume, trial_type: the condition; others are ignored.
    repetition_time
        s.
    where
        Names the run in errors.

    Raises `MissingData` without a column of the events or without an event; `BrokenData` for times that are no numbers,
    a condition outside the run, or conditions that cannot be told apart (a singular design).
    """
    glm = glm or Glm()
    matrix = design(events, len(series), repetition_time, glm, confounds, where=where)
    data = mean_scaling(series.astype(np.float64))[0] if glm.percent else series.astype(np.float64)
    labels, results = run_glm(data, matrix.to_numpy(), noise_model=glm.noise)
    names = [str(name) for name in matrix.columns if str(name).startswith(PREFIX)]
    betas, t, dof = _estimates(labels, results, len(names))
    residuals = _gathered(labels, {label: result.whitened_residuals for label, result in results.items()})
    return GlmFit(tuple(name.removeprefix(PREFIX) for name in names), betas, _z(t, dof), residuals, dof)


def design(
    events: pd.DataFrame,
    n_volumes: int,
    repetition_time: float,
    glm: Glm,
    confounds: Float[np.ndarray, "time confound"] | None = None,
    *,
    where: str = "run",
) -> pd.DataFrame:
    """The design matrix (time, regressor): conditions first, in sorted order and named with `PREFIX`.

    Raises as `fit` does.
    """
    checked = _checked(events, n_volumes * repetition_time, where)
    frames = (np.arange(n_volumes) + glm.slice_time) * repetition_time
    settings: dict[str, Any] = {"hrf_model": glm.hrf, "drift_model": glm.drift, "high_pass": glm.high_pass}
    if confounds is not None:
        settings |= {"add_regs": confounds, "add_reg_names": [f"confound {i}" for i in range(confounds.shape[1])]}
    shown = checked.assign(trial_type=PREFIX + checked["trial_type"])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*is singular")  # an error below
        matrix: pd.DataFrame = make_first_level_design_matrix(frames, shown, **settings)
    scaled = matrix.to_numpy() / np.maximum(np.abs(matrix.to_numpy()).max(axis=0), np.finfo(float).tiny)
    if (rank := np.linalg.matrix_rank(scaled)) < matrix.shape[1]:
        raise BrokenData(
            f"the design is singular: {matrix.shape[1]} regressors for {len(matrix)} volumes have rank {rank}",
            where,
            "Join conditions that always come together, leave out confounds, or lower the high-pass.",
        )
    return matrix


def _checked(events: pd.DataFrame, duration: float, where: str) -> pd.DataFrame:
    absent = [column for column in COLUMNS if column not in events]
    if absent or events.empty:
        what = f"the events have no column {', '.join(absent)}" if absent else "the events are empty"
        raise MissingData(what, where, "Give onset and duration in s and trial_type, the condition, of each event.")
    times = events[["onset", "duration"]].apply(pd.to_numeric, errors="coerce").astype(float)
    if not np.isfinite(times.to_numpy()).all():
        raise BrokenData("an onset or duration is not a number", where, "Give both in s.")
    checked: pd.DataFrame = times.assign(trial_type=events["trial_type"].astype(str))
    within = (times["onset"] < duration) & (times["onset"] + times["duration"] >= 0)
    lost = sorted(set(checked["trial_type"]) - set(checked["trial_type"][within]))
    if lost:
        raise BrokenData(
            f"no event of {', '.join(lost)} lies within the {duration:g} s of the run",
            where,
            "Give onsets in seconds after the first volume of this run.",
        )
    return checked


def _estimates(
    labels: np.ndarray, results: dict[Any, Any], n: int
) -> tuple[Float64[np.ndarray, "condition channel"], Float64[np.ndarray, "condition channel"], float]:
    """β, t and degrees of freedom of the first `n` regressors."""
    betas = {label: result.theta[:n] for label, result in results.items()}
    t = {
        label: betas[label] / np.sqrt(np.outer(np.diag(result.cov)[:n], result.dispersion))
        for label, result in results.items()
    }
    return _gathered(labels, betas), _gathered(labels, t), float(next(iter(results.values())).df_residuals)


def _gathered(labels: np.ndarray, by_label: dict[Any, np.ndarray]) -> Float64[np.ndarray, "row channel"]:
    """nilearn fits the channels of one autocorrelation together; this puts them back in their places."""
    out = np.empty((len(next(iter(by_label.values()))), len(labels)))
    for label, values in by_label.items():
        out[:, labels == label] = values
    return out


def _z(t: Float64[np.ndarray, "condition channel"], dof: float) -> Float64[np.ndarray, "condition channel"]:
    """The standard normal value that is as rare as t."""
    z: Float64[np.ndarray, "condition channel"] = np.sign(t) * stats.norm.isf(
        np.clip(stats.t.sf(np.abs(t), dof), SMALLEST_P, None)
    )
    return z
