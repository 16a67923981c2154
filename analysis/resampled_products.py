"""Cosine and Pearson correlation over resampled conditions, as products of pair weights with products of RDMs.

With weights w of the pairs, the cosine of RDMs a and b is Σ w a b / √(Σ w a² Σ w b²). The noise ceiling needs no mean
RDM either: with u the RDMs at length 1 and G their cosines, the mean of RDMs that are drawn s times has the direction
Σ_j s_j u_j, and so the similarity (G s)_i / √(sᵀ G s) with RDM i; without a subject, its s are 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64

from .comparison import weighted_similarities
from .pair_weights import pair_weights
from .subjects import Subjects, mean_over_drawn


@dataclass(frozen=True)
class ResampledProducts:
    """Similarities and noise ceilings in resamples of the conditions; arguments as of `ResampledRanks`, and

    Parameters
    ----------
    measure
        "cosine" or "pearson".
    """

    models: Float64[np.ndarray, "model pair"]
    data: Float64[np.ndarray, "rdm pair"]
    subjects: Subjects
    measure: str
    conditions: Float64[np.ndarray, "sample condition"]

    @staticmethod
    def bytes_per_sample(n_models: int, n_data: int, n_pairs: int) -> int:
        """Memory that one resample takes."""
        return 16 * n_pairs

    @cached_property
    def similarities(self) -> Float64[np.ndarray, "sample model rdm"]:
        """Of every model with every data RDM; NaN for an RDM that is constant in the resample."""
        return weighted_similarities(self.models, self.data, self._weights, self.measure)

    def bounds(self, times: Float64[np.ndarray, "draw rdm"]) -> Float64[np.ndarray, "draw 2"]:
        """Lower and upper noise ceiling with each RDM drawn `times`, as `noise_ceiling.bounds` has them.

        A single resample of conditions serves all draws. NaN where fewer than two subjects are drawn.
        """
        return bounds_from_cosines(self._cosines, self.subjects, times)

    @cached_property
    def _weights(self) -> Float64[np.ndarray, "sample pair"]:
        return pair_weights(self.conditions)

    @cached_property
    def _cosines(self) -> Float64[np.ndarray, "sample rdm rdm"]:
        return weighted_similarities(self.data, self.data, self._weights, self.measure)


def bounds_from_cosines(
    cosines: Float64[np.ndarray, "sample rdm rdm"], subjects: Subjects, times: Float64[np.ndarray, "draw rdm"]
) -> Float64[np.ndarray, "draw 2"]:
    """Lower and upper noise ceiling from the similarities of all data RDMs with each other."""
    drawn = subjects.drawn(times)
    others = (1 - subjects.membership) * times[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        upper, lower = _with_each(cosines, times[:, None]), _with_each(cosines, others)
    own = [np.einsum("dsr,sr->ds", np.broadcast_to(table, others.shape), subjects.shares) for table in (lower, upper)]
    return np.stack([mean_over_drawn(table, drawn) for table in own], axis=1)


def _with_each(
    cosines: Float64[np.ndarray, "sample rdm rdm"], times: Float64[np.ndarray, "draw pool rdm"]
) -> Float64[np.ndarray, "draw pool rdm"]:
    """Similarity of mean RDMs, in which RDMs count `times`, with each RDM."""
    products = times @ cosines
    return np.asarray(products / np.sqrt((products * times).sum(axis=2, keepdims=True)))
