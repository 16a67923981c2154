"""Spatial noise of a run: the precision matrix of its residuals, shrunk as rsatoolbox does.

Crossnobis and Mahalanobis distances need the inverse of the channels' noise covariance. With fewer residuals than
channels that inverse exists only when the covariance is shrunk: towards its diagonal (Schäfer & Strimmer 2005) or
towards the identity (Ledoit & Wolf 2004).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64
from rsatoolbox.data.noise import prec_from_residuals

from .errors import BrokenData, WrongArgument

METHODS = ("shrinkage_diag", "shrinkage_eye", "diag", "full")


def noise_precision(
    residuals: Float[np.ndarray, "time channel"],
    dof: float | None = None,
    method: str = "shrinkage_diag",
    *,
    where: str = "residuals",
) -> Float64[np.ndarray, "channel channel"]:
    """The inverse noise covariance of the channels.

    Parameters
    ----------
    dof
        Degrees of freedom that the model left (rows less regressors); rows - 1 without a number.
    method
        rsatoolbox's name of the estimate; "full" needs clearly more rows than channels.
    where
        Names the run in errors.

    Raises `WrongArgument` for another method, `BrokenData` for residuals that are not finite, a channel without any, or
    a covariance that has no inverse.
    """
    if method not in METHODS:
        raise WrongArgument(f"no noise estimate {method!r}", "method", f"Choose one of: {', '.join(METHODS)}.")
    values = np.asarray(residuals, np.float64)
    if not np.isfinite(values).all():
        raise BrokenData("a residual is not finite", where, "Repair or leave out the run.")
    if still := np.flatnonzero(np.ptp(values, axis=0) == 0).tolist():
        raise BrokenData(f"channel(s) {_some(still)} have no residual", where, "Leave out channels without signal.")
    if method == "full" and (len(values) - 1 if dof is None else dof) < values.shape[1]:
        raise BrokenData(
            f"{len(values)} residuals do not determine the covariance of {values.shape[1]} channels",
            where,
            "Choose shrinkage_diag or shrinkage_eye.",
        )
    precision: Float64[np.ndarray, "channel channel"] = prec_from_residuals(values, dof, method)
    return precision


def _some(indices: list[int]) -> str:
    return ", ".join(map(str, indices[:5])) + (" ..." if len(indices) > 5 else "")
