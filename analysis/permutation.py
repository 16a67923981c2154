"""The null of no relation: condition labels of model RDMs permuted (Nili et al. 2014, PLoS Comput Biol 10:e1003553).

Rows and columns of a model RDM are permuted together, alike for all models of one permutation, and its mean similarity
with all data RDMs is taken. Most measures are inner products ⟨f(model), g(data)⟩ of which f follows the labels. The
data then enter as one vector, the mean of g, and all permutations are one matrix product:

| measure | f(m) | g(d) |
|---|---|---|
| cosine; pearson on centred RDMs; spearman on centred midranks | m / ‖m‖ | d / ‖d‖ |
| rho-a, on centred midranks | m √(12 / (n³ - n)) | d √(12 / (n³ - n)) |
| whitened, the correlation on centred RDMs | m / √(mᵀ V⁻¹ m) | V⁻¹ d / √(dᵀ V⁻¹ d) |

Kendall's tau has no such form of a size that fits into memory: every permuted model is compared with every RDM, which
takes a thousand times as long. The test speaks of these subjects; the bootstrap generalises to others.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64, Int

from .comparison import constant, similarities
from .cosines import centred
from .ranks import midranks
from .whitening import PairPrecision, conditions_of

Rows = Float64[np.ndarray, "_rdm pair"]
Sides = tuple[Rows, Rows]
CHUNK_BYTES = 2**27


def permuted_similarities(
    models: Float64[np.ndarray, "model pair"],
    data: Float64[np.ndarray, "data pair"],
    measure: str,
    *,
    permutations: int = 1000,
    seed: int = 0,
) -> Float64[np.ndarray, "permutation model"]:
    """Mean similarity with all data RDMs of each model with permuted labels; NaN for a constant model.

    Parameters
    ----------
    models, data
        Dissimilarities, upper triangles taken by rows, none missing.
    measure
        One of `comparison.MEASURES`.
    seed
        Fixes the permutations; the identity may be among them.
    """
    n = conditions_of(models.shape[1])
    orders = np.random.default_rng(seed).permuted(np.tile(np.arange(n), (permutations, 1)), axis=1)
    if not permutations:
        return np.empty((0, len(models)))
    by_pair = PRODUCTS.get(measure)
    width = max(1, CHUNK_BYTES // (8 * models.shape[1] * (1 if by_pair else len(models))))
    chunks = [orders[at : at + width] for at in range(0, permutations, width)]
    if by_pair is None:
        return np.concatenate([_one_by_one(models, data, measure, chunk) for chunk in chunks])
    with np.errstate(divide="ignore", invalid="ignore"):
        left, right = by_pair(models, data)
    left = np.where(constant(models, measure)[:, None], np.nan, left)
    mean = right.mean(axis=0)
    return np.concatenate([mean[permuted_pairs(np.argsort(chunk, axis=1))] @ left.T for chunk in chunks])


def permuted_pairs(orders: Int[np.ndarray, "permutation condition"]) -> Int[np.ndarray, "permutation pair"]:
    """Where each pair of the permuted conditions stood before: `pair_order` for many orders at once."""
    n = orders.shape[1]
    first, second = np.triu_indices(n, 1)
    place = np.zeros((n, n), np.int64)
    place[first, second] = place[second, first] = np.arange(first.size)
    return np.asarray(place[orders[:, first], orders[:, second]])


def _one_by_one(
    models: Rows, data: Rows, measure: str, orders: Int[np.ndarray, "permutation condition"]
) -> Float64[np.ndarray, "permutation model"]:
    permuted = models[:, permuted_pairs(orders)].reshape(-1, models.shape[1])  # all of one model, then the next
    return np.asarray(similarities(permuted, data, measure).mean(axis=1).reshape(len(models), -1).T)


def _cosine(models: Rows, data: Rows) -> Sides:
    return models / _length(models, models), data / _length(data, data)


def _pearson(models: Rows, data: Rows) -> Sides:
    return _cosine(centred(models), centred(data))


def _spearman(models: Rows, data: Rows) -> Sides:
    return _pearson(midranks(models), midranks(data))


def _rho_a(models: Rows, data: Rows) -> Sides:
    n = models.shape[1]
    scale = np.sqrt(12 / (n**3 - n))
    return centred(midranks(models)) * scale, centred(midranks(data)) * scale


def _whitened_cosine(models: Rows, data: Rows) -> Sides:
    precision = PairPrecision(np.ones(models.shape[1], bool))
    white = precision.apply(data)
    return models / _length(models, precision.apply(models)), white / _length(data, white)


def _whitened_correlation(models: Rows, data: Rows) -> Sides:
    return _whitened_cosine(centred(models), centred(data))


def _length(rows: Rows, white: Rows) -> Float64[np.ndarray, "_rdm 1"]:
    return np.asarray(np.sqrt(np.einsum("rp,rp->r", rows, white))[:, None])


PRODUCTS: dict[str, Callable[[Rows, Rows], Sides]] = {
    "pearson": _pearson,
    "spearman": _spearman,
    "cosine": _cosine,
    "whitened-cosine": _whitened_cosine,
    "whitened-correlation": _whitened_correlation,
    "rho-a": _rho_a,
}
