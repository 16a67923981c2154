"""Sums and differences of similarities with their intervals: a rule's mean over seeds, a rule less its untrained twin.

A contrast weighs the similarity of every model with every subject. Its value is the weighted sum; its variance comes
from the two-factor bootstrap of subjects and stimuli (Schütt et al. 2023, eLife 12:e82566), with V_b, V_s, V_c the
variances when both, the subjects, the stimuli are resampled, of n subjects and m stimuli:

    V = n/(n-1) V_s + m/(m-1) V_c - nm/((n-1)(m-1)) (V_b - V_s - V_c),    at least the two single terms, at most V_b

as rsatoolbox has it. Intervals and p are those of t with min(n, m) - 1 degrees of freedom; with one subject, stimuli
alone are resampled. All models meet the same resamples, so differences are paired.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from rsatoolbox.rdm import RDMs
from scipy.stats import t

from ..datasets.errors import BrokenData
from .bootstrap import draw, resampled_similarities
from .comparison import similarities
from .id_order import in_id_order
from .noise_ceiling import refuse_constant
from .permutation import permuted_similarities
from .subjects import subjects_of

LEVEL = 0.95
Rows = Float64[np.ndarray, "_rdm pair"]
Observed = Float64[np.ndarray, "model subject"]


@dataclass(frozen=True, eq=False)
class Evidence:
    """Similarities of models and subjects: as they are, with permuted stimulus labels, in resamples of the stimuli.

    Parameters
    ----------
    times
        (sample, subject) how often each subject is drawn in the same resample.
    """

    observed: Observed
    permuted: Float64[np.ndarray, "permutation model subject"]
    resampled: Float64[np.ndarray, "sample model subject"]
    times: Float64[np.ndarray, "sample subject"]
    subjects: tuple[str, ...]
    n_conditions: int


@dataclass(frozen=True, eq=False)
class Estimates:
    """Of each contrast the value, its 95% interval, and p against 0, two-sided, by t."""

    value: Float64[np.ndarray, " contrast"]
    low: Float64[np.ndarray, " contrast"]
    high: Float64[np.ndarray, " contrast"]
    p: Float64[np.ndarray, " contrast"]


def evidence(
    models: RDMs,
    regions: Mapping[str, RDMs],
    measure: str,
    *,
    samples: int = 1000,
    permutations: int = 1000,
    seed: int = 0,
) -> dict[str, Evidence]:
    """All that contrasts need, by region; conditions are joined by id, and resampled alike for all regions.

    Parameters
    ----------
    regions
        One RDM of each subject. Raises `BrokenData` for a constant one.
    """
    models, *data = in_id_order(models, *regions.values())
    parts = [_by_subject(one, measure) for one in data]
    a, b = np.asarray(models.dissimilarities, np.float64), np.concatenate([rows for rows, _ in parts])
    conditions = draw(2, models.n_cond, "stimuli", samples=samples, seed=seed).conditions
    assert conditions is not None
    observed, resampled = similarities(a, b, measure), resampled_similarities(a, b, measure, conditions)
    null = [permuted_similarities(a, b[[i]], measure, permutations=permutations, seed=seed) for i in range(len(b))]
    found, first = {}, 0
    for region, (rows, names) in zip(regions, parts, strict=True):
        here = slice(first, first + len(rows))
        times = draw(len(rows), models.n_cond, "subjects", samples=samples, seed=seed).subjects
        assert times is not None
        permuted = np.stack(null[here], axis=2)
        found[region] = Evidence(observed[:, here], permuted, resampled[:, :, here], times, names, models.n_cond)
        first += len(rows)
    return found


def estimates(found: Evidence, contrasts: Float64[np.ndarray, "contrast model subject"]) -> Estimates:
    """Value, interval and p of each contrast. Where a contrast takes a model that is NaN, all are NaN."""
    flat = contrasts.reshape(len(contrasts), -1)
    times = found.times[:, None]
    once = _weighted(found.observed[None] * times, flat)
    both, stimuli = _weighted(found.resampled * times, flat), _weighted(found.resampled, flat)
    return _estimates(found, _weighted(found.observed[None], flat)[0], both, once, stimuli)


def model_estimates(found: Evidence) -> Estimates:
    """The same for the mean over subjects of every model: what `inference.infer` gives for one at a time."""
    share = found.times / len(found.subjects)
    both = np.einsum("bms,bs->bm", found.resampled, share)
    return _estimates(found, found.observed.mean(axis=1), both, share @ found.observed.T, found.resampled.mean(axis=2))


def _estimates(
    found: Evidence,
    value: Float64[np.ndarray, " contrast"],
    both: Float64[np.ndarray, "draw contrast"],
    subjects: Float64[np.ndarray, "draw contrast"],
    stimuli: Float64[np.ndarray, "draw contrast"],
) -> Estimates:
    n, m = len(found.subjects), found.n_conditions
    error = np.sqrt(two_factor_variance(_variance(both), _variance(subjects), _variance(stimuli), n, m))
    degrees = (min(n, m) if n > 1 else m) - 1
    reach = t.ppf((1 + LEVEL) / 2, degrees) * error
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * t.sf(np.abs(value / error), degrees)
    return Estimates(value, value - reach, value + reach, np.where(error > 0, p, np.nan))


def two_factor_variance(
    both: Float64[np.ndarray, " contrast"],
    subjects: Float64[np.ndarray, " contrast"],
    stimuli: Float64[np.ndarray, " contrast"],
    n_subjects: int,
    n_stimuli: int,
) -> Float64[np.ndarray, " contrast"]:
    """V of the module's docstring; of one subject, that of the stimuli."""
    m = n_stimuli / (n_stimuli - 1)
    if n_subjects < 2:
        return m * stimuli
    n = n_subjects / (n_subjects - 1)
    found = n * subjects + m * stimuli - n * m * (both - subjects - stimuli)
    return np.asarray(np.minimum(np.maximum.reduce([found, n * subjects, m * stimuli]), both))


def _by_subject(data: RDMs, measure: str) -> tuple[Rows, tuple[str, ...]]:
    """RDMs in the order of the subjects' names."""
    subjects, rows = subjects_of(data), np.asarray(data.dissimilarities, np.float64)
    refuse_constant(rows, measure, data)
    if len(subjects) < len(rows):
        what = f"{len(rows)} RDMs of {len(subjects)} subjects"
        raise BrokenData(what, str(data.rdm_descriptors["name"][0]), "Average the sessions of a subject first.")
    return rows[np.argsort(subjects.of)], subjects.names


def _weighted(
    drawn: Float64[np.ndarray, "draw model subject"], flat: Float64[np.ndarray, "contrast weight"]
) -> Float64[np.ndarray, "draw contrast"]:
    """Weighted sums; a model that is NaN in a draw is NaN for the contrasts that take it, and for no others."""
    values = drawn.reshape(len(drawn), -1)
    missing = np.isnan(values)
    found = np.nan_to_num(values) @ flat.T
    if missing.any():
        found[missing.astype(np.float64) @ (flat != 0).T > 0] = np.nan
    return np.asarray(found)


def _variance(draws: Float64[np.ndarray, "draw contrast"]) -> Float64[np.ndarray, " contrast"]:
    """Over the draws in which the contrast has a value."""
    known = ~np.isnan(draws)
    n = known.sum(axis=0)
    mean = np.where(known, draws, 0).sum(axis=0) / np.maximum(n, 1)
    squares = np.where(known, np.square(draws - mean), 0).sum(axis=0)
    return np.where(n > 1, squares / np.maximum(n - 1, 1), np.nan)
