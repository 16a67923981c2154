"""Is a model better than nothing, than another model, than the data allow? Everything that stands beside a value.

| question | answer |
|---|---|
| what would other subjects and other stimuli give? | two-factor bootstrap (`bootstrap`, `variance`): interval, p_zero |
| could a model that knows nothing of these stimuli do so? | permuted labels (`permutation`): p; of all: p_fdr, p_max |
| is one model better than another? | t-test of the difference, its variance bootstrapped: pairwise_p, pairwise_p_fdr |
| is there something left to explain? | t-test of how far it is below the lower ceiling: p_ceiling |

Tests against 0 are one-sided and say something where 0 is chance: a cosine of dissimilarities is above 0 without any
relation, and only its permutation p counts. Conditions are sorted by id and subjects by name before anything is drawn,
so that results do not depend on their order.

Deviations from rsatoolbox: the value tested is that of the data, not the mean over resamples; and the test against the
ceiling is one-sided, for a model above the lower bound leaves nothing to explain. `result()` has rsatoolbox's tests.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float64
from rsatoolbox.inference.result import Result
from rsatoolbox.rdm import RDMs
from scipy.stats import t as student

from ..datasets.errors import WrongArgument
from .bootstrap import Draws, draw, evaluate, refuse_missing
from .comparison import similarities
from .correction import fdr, max_statistic_p, pairwise_fdr, permutation_p
from .id_order import in_id_order
from .inference_table import names_of, result_of, table_of
from .noise_ceiling import NoiseCeiling, noise_ceiling, refuse_constant
from .permutation import permuted_similarities
from .power import warn_if_weak
from .subjects import Subjects, subjects_of
from .variance import Variances, variances

PerModel = Float64[np.ndarray, " model"]
Pairwise = Float64[np.ndarray, "model model"]
LEVEL = 0.95
SMALLEST = np.finfo(np.float64).eps  # variance; a smaller one is rounding, as in rsatoolbox


@dataclass(frozen=True, eq=False)
class Inference:
    """Values of all models and what is known of them; NaN throughout for a model that is constant.

    Parameters
    ----------
    models, data
        The RDMs compared, conditions sorted by id.
    subjects
        Whose RDMs the data are.
    measure, resample
        As `infer` was called; for one subject `resample` is "stimuli".
    value, by_subject
        (model,) mean similarity over the data RDMs; (model, subject) mean over the subject's.
    ceiling
        Noise ceiling of the data.
    draws, null
        What the bootstrap drew, and (permutation, model) the values with permuted labels.
    variances
        Of values and ceilings, from the draws.
    """

    models: RDMs
    data: RDMs
    subjects: Subjects
    measure: str
    resample: str
    value: Float64[np.ndarray, " model"]
    by_subject: Float64[np.ndarray, "model subject"]
    ceiling: NoiseCeiling
    draws: Draws
    null: Float64[np.ndarray, "permutation model"]
    variances: Variances

    @property
    def names(self) -> tuple[str, ...]:
        """The models' names."""
        return names_of(self.models)

    @property
    def low(self) -> PerModel:
        """Lower end of the 95% interval of the value, by t."""
        return np.asarray(self.value - self._half_width(self.variances.models))

    @property
    def high(self) -> PerModel:
        """Upper end."""
        return np.asarray(self.value + self._half_width(self.variances.models))

    @property
    def p(self) -> PerModel:
        """One-sided p of each value among those with permuted labels; NaN without permutations."""
        return permutation_p(self.value, self.null) if len(self.null) else np.full(self.value.shape, math.nan)

    @property
    def p_fdr(self) -> PerModel:
        """The same, adjusted for the number of models: false discovery rate."""
        return fdr(self.p)

    @property
    def p_max(self) -> PerModel:
        """The same, against the largest of all models in each permutation: family-wise error."""
        return max_statistic_p(self.value, self.null) if len(self.null) else np.full(self.value.shape, math.nan)

    @property
    def p_zero(self) -> PerModel:
        """One-sided p of each value against 0, by t."""
        return self._sf(self.value, self.variances.models)

    @property
    def p_zero_fdr(self) -> PerModel:
        """The same, adjusted for the number of models: false discovery rate."""
        return fdr(self.p_zero)

    @property
    def p_ceiling(self) -> PerModel:
        """One-sided p of each value below the lower noise ceiling, by t."""
        return self._sf(self.ceiling.lower - self.value, self.variances.to_bounds[:, 0])

    @property
    def pairwise_p(self) -> Pairwise:
        """Two-sided p of the difference of each two models, by t; NaN on the diagonal."""
        p = 2 * self._sf(np.abs(self.value[:, None] - self.value), self.variances.differences)
        return np.where(np.eye(len(p), dtype=bool), math.nan, p)

    @property
    def pairwise_p_fdr(self) -> Pairwise:
        """The same, adjusted for the number of pairs: false discovery rate."""
        return pairwise_fdr(self.pairwise_p)

    @property
    def ceiling_interval(self) -> Float64[np.ndarray, "bound end"]:
        """95% interval (low, high), by t, of the lower and of the upper noise ceiling."""
        half = self._half_width(self.variances.bounds)[:, None] * np.array([-1, 1])
        return np.asarray(np.array([[self.ceiling.lower], [self.ceiling.upper]]) + half)

    def result(self) -> Result:
        """The bootstrap as an rsatoolbox Result, whose tests are rsatoolbox's own."""
        return result_of(self)

    def table(self) -> pd.DataFrame:
        """One row for each model and the group, and then one for each model and subject, who has a value only."""
        return table_of(self)

    def _half_width(self, variance: Float64[np.ndarray, " estimate"]) -> Float64[np.ndarray, " estimate"]:
        return np.asarray(student.ppf((1 + LEVEL) / 2, self.variances.degrees) * np.sqrt(variance))

    def _sf(
        self, difference: Float64[np.ndarray, "*shape"], variance: Float64[np.ndarray, "*shape"]
    ) -> Float64[np.ndarray, "*shape"]:
        return np.asarray(student.sf(difference / np.sqrt(np.maximum(variance, SMALLEST)), self.variances.degrees))


def infer(
    models: RDMs,
    data: RDMs,
    measure: str = "spearman",
    *,
    resample: str = "both",
    samples: int = 1000,
    permutations: int = 1000,
    seed: int = 0,
) -> Inference:
    """Compare every model with the data, with intervals, tests, corrections and noise ceilings.

    Parameters
    ----------
    models, data
        RDMs with the same ids in `pattern_descriptors["stimulus"]`; data with `rdm_descriptors["subject"]`, without
        which each RDM is a subject.
    measure
        One of `comparison.MEASURES`.
    resample
        What the bootstrap draws: "both", "subjects" or "stimuli".
    samples, permutations
        How many; 0 permutations leave out p, p_fdr and p_max.
    seed
        Fixes all that is drawn.

    Warns of fewer than 20 conditions or 5 subjects, of constant models, and of one subject: then only stimuli are drawn
    and there is no ceiling. Raises what `join` raises; `BrokenData` for missing pairs and constant data RDMs;
    `WrongArgument` for other measures and resamplings, fewer than two samples, and subjects drawn from one.
    """
    models, data = in_id_order(models, data)
    subjects = subjects_of(data)
    a, b = (np.asarray(rdms.dissimilarities, np.float64) for rdms in (models, data))
    refuse_missing(a, "models")
    refuse_missing(b, "data")
    _check(samples, permutations)
    resample = _possible(resample, subjects)
    warn_if_weak(data.n_cond, len(subjects), permutations)
    refuse_constant(b, measure, data)
    compared = similarities(a, b, measure)
    resamples = draw(len(subjects), data.n_cond, resample, samples=samples, seed=seed)
    draws = evaluate(a, b, subjects, measure, resamples)
    return Inference(
        models=models,
        data=data,
        subjects=subjects,
        measure=measure,
        resample=resample,
        value=compared.mean(axis=1),
        by_subject=compared @ subjects.shares.T,
        ceiling=noise_ceiling(data, measure) if len(subjects) > 1 else NoiseCeiling(math.nan, math.nan, 1, math.nan),
        draws=draws,
        null=permuted_similarities(a, b, measure, permutations=permutations, seed=seed),
        variances=variances(draws, resample, len(subjects), data.n_cond),
    )


def _check(samples: int, permutations: int) -> None:
    if samples < 2 or permutations < 0:
        raise WrongArgument(
            f"{samples} samples and {permutations} permutations cannot be drawn",
            "infer",
            "Take at least 2 samples, better 1000, and 0 permutations or more.",
        )


def _possible(resample: str, subjects: Subjects) -> str:
    if len(subjects) > 1 or resample == "stimuli":
        return resample
    if resample == "subjects":
        raise WrongArgument(
            "there is one subject, and subjects cannot be resampled", "resample", 'Take resample="stimuli".'
        )
    warnings.warn("one subject: only stimuli are resampled, and there is no noise ceiling", stacklevel=3)
    return "stimuli"
