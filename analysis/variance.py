"""Variances of evaluations, from resamples of subjects, of stimuli, or of both.

Of n subjects and k stimuli, with v_both, v_subjects and v_stimuli the variances over the three kinds of resamples
(Schütt et al. 2023, eLife 12:e82566; rsatoolbox's `extract_variances`, which is used here):

    v = n/(n-1) v_subjects + k/(k-1) v_stimuli - nk/((n-1)(k-1)) (v_both - v_subjects - v_stimuli),

at least its first and second term, at most v_both. Where one factor is resampled, v = n/(n-1) v_subjects, or
k/(k-1) v_stimuli. Degrees of freedom are the smaller number that is resampled, less one.

Deviations from rsatoolbox: subjects are counted, not RDMs; a resample in which a model is undefined is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from rsatoolbox.util.inference_util import extract_variances
from scipy.spatial.distance import squareform

from .bootstrap import Draws

FACTORS_OF = {"both": (True, True), "subjects": (True, False), "stimuli": (False, True)}


@dataclass(frozen=True)
class Variances:
    """Variances of what is estimated; NaN for a model without a value, and of ceilings that are not there.

    Parameters
    ----------
    models
        (model,) of each evaluation.
    differences
        (model, model) of the differences between evaluations.
    bounds
        (2,) of the lower and upper noise ceiling.
    to_bounds
        (model, 2) of the differences from them.
    degrees
        Degrees of freedom of all.
    """

    models: Float64[np.ndarray, " model"]
    differences: Float64[np.ndarray, "model model"]
    bounds: Float64[np.ndarray, " bound"]
    to_bounds: Float64[np.ndarray, "model bound"]
    degrees: int


def variances(draws: Draws, resample: str, n_subjects: int, n_conditions: int) -> Variances:
    """Corrected variances of all that the draws hold."""
    counts = [n if used else None for used, n in zip(FACTORS_OF[resample], (n_subjects, n_conditions), strict=True)]
    n_models = draws.similarities.shape[2]
    models = _corrected(draws.similarities, *counts)
    joint = _corrected(np.concatenate([draws.similarities, draws.bounds], axis=2), *counts)
    return Variances(
        np.diag(models).copy(),
        models - np.diag(np.diag(models)),
        np.diag(joint)[n_models:].copy(),
        joint[:n_models, n_models:],
        min(n for n in counts if n is not None) - 1,
    )


def covariances(
    columns: Float64[np.ndarray, "factor sample column"],
) -> Float64[np.ndarray, "factor column column"]:
    """Covariances of each factor over the samples in which every column is finite; NaN where there are fewer than 2."""
    complete = columns[:, np.isfinite(columns).all(axis=(0, 2))]
    if complete.shape[1] < 2:
        return np.full((len(columns), columns.shape[2], columns.shape[2]), np.nan)
    centred = complete - complete.mean(axis=1, keepdims=True)
    return np.asarray(centred.swapaxes(1, 2) @ centred / (complete.shape[1] - 1))


def _corrected(
    columns: Float64[np.ndarray, "factor sample column"], n_subjects: int | None, n_conditions: int | None
) -> Float64[np.ndarray, "column column"]:
    """Variances of the columns on the diagonal, of their differences beside it; NaN for columns without a value."""
    known = np.flatnonzero(np.isfinite(columns).any(axis=(0, 1)))
    found = np.full((columns.shape[2], columns.shape[2]), np.nan)
    if known.size:
        matrices = covariances(columns[:, :, known])
        given = matrices if len(matrices) > 1 else matrices[0]
        own, between, _ = extract_variances(given, False, n_subjects, n_conditions)
        found[np.ix_(known, known)] = squareform(between, checks=False) if known.size > 1 else 0
        found[known, known] = own
    return found
