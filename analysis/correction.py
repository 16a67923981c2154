"""p-values of many models at once.

False discovery rate after Benjamini & Hochberg (1995, J R Stat Soc B 57:289). Family-wise error by the maximum over
models of the permuted statistic (Nichols & Holmes 2002, Human Brain Mapping 15:1), each model's statistics first
z-scored over the permutations: a cosine of two RDMs is far from 0 by chance, and by how much depends on the model.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64
from scipy.stats import false_discovery_control

P = Float[np.ndarray, "*shape"]


def fdr(p: Float[np.ndarray, " test"]) -> Float64[np.ndarray, " test"]:
    """Adjusted p of each test by Benjamini and Hochberg; NaN stays NaN and does not count as a test."""
    found = np.full(p.shape, np.nan)
    tested = ~np.isnan(p)
    if tested.any():
        found[tested] = false_discovery_control(p[tested])
    return found


def pairwise_fdr(p: Float[np.ndarray, "model model"]) -> Float64[np.ndarray, "model model"]:
    """The same for a symmetric table in which each pair of models is one test; the diagonal is NaN."""
    found = np.full(p.shape, np.nan)
    upper = np.triu_indices(len(p), 1)
    found[upper] = fdr(p[upper])
    found.T[upper] = found[upper]
    return found


def permutation_p(
    value: Float[np.ndarray, " model"], null: Float[np.ndarray, "permutation model"]
) -> Float64[np.ndarray, " model"]:
    """(1 + how many permuted statistics reach the value) / (1 + permutations), one-sided; NaN where the value is.

    A permuted statistic that equals the value up to rounding reaches it.
    """
    reached = (null >= value - _rounding(value)).sum(axis=0)
    return np.where(np.isnan(value), np.nan, (1 + reached) / (1 + len(null)))


def max_statistic_p(
    value: Float[np.ndarray, " model"], null: Float[np.ndarray, "permutation model"]
) -> Float64[np.ndarray, " model"]:
    """p of each model against the largest z of any model; the same permutations in a row for all models.

    The observed values count as one more permutation in the mean and spread that z-score, so that under the null all
    rows are alike.
    """
    found = np.full(value.shape, np.nan)
    known = ~np.isnan(value)
    if not known.any():
        return found
    rows = np.vstack([value[known], null[:, known]])
    spread = rows.std(axis=0)
    z = (rows - rows.mean(axis=0)) / np.where(spread > 0, spread, 1)
    found[known] = permutation_p(z[0], np.broadcast_to(z[1:].max(axis=1, keepdims=True), z[1:].shape))
    return found


def _rounding(value: P) -> P:
    return np.asarray(1e-12 * np.maximum(1, np.abs(value)))
