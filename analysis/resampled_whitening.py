"""Whitened measures in many resamples of the conditions, in closed form.

rsatoolbox takes the copies of a condition for conditions of their own, whose distances to each other are missing. With
N = Σ c_i copies and D the RDM of the resample, the quadratic form aᵀ V⁻¹ b of `whitening` is, but for a factor,

    Q(a, b) = Σ_ij c_i c_j a_ij b_ij - 2/N Σ_i c_i r_ai r_bi + t_a t_b / N²,    r_i = Σ_j c_j d_ij,   t = Σ_i c_i r_i,

were the missing distances zero. They are integrated out instead. By symmetry the best value is one u_k for all pairs
of copies of condition k, so the missing part is one direction for each condition, with m_k = c_k (c_k - 1) entries:

    Q(d, e_k)   = m_k (t_d / N² - 2 r_dk / N)
    Q(e_k, e_l) = [k = l] m_k (1 - 2 (c_k - 1) / N) + m_k m_l / N²

The last is a diagonal plus a product of a vector with itself, so its inverse is known (Sherman & Morrison 1950) but
where a condition makes up more than half of a resample and the diagonal has a zero; there it is solved. So

    aᵀ V⁻¹ b = Q(a, b) - Q(a, e) Q(e, e)⁻¹ Q(e, b).

Noise is independent and of one size for each condition; a given covariance between conditions is not resampled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float64

Rows = Float64[np.ndarray, "_rdm pair"]
Counts = Float64[np.ndarray, "sample condition"]
Tables = Float64[np.ndarray, "sample _row _column"]
PerCondition = Float64[np.ndarray, "sample _row condition"]
BYTES = 2**26  # of the largest array that is held at a time


def whitened_cosine(a: Rows, b: Rows, counts: Counts) -> Tables:
    """Whitened cosine of every model with every data RDM in each resample (sample, model, data)."""
    rows = np.concatenate([a, b])
    parts = [_cosines(products, len(a)) for products, _ in _products(rows, counts)]
    return np.concatenate(parts)


def whitened_correlation(a: Rows, b: Rows, counts: Counts) -> Tables:
    """The same, the mean over the pairs of the resample taken off each RDM first."""
    rows = np.concatenate([a, b])
    rows = rows - rows.mean(axis=1, keepdims=True)  # so that the resample's own means, taken off below, are small
    with_one = np.concatenate([rows, np.ones((1, rows.shape[1]))])
    parts = [_cosines(_less_means(products, means), len(a)) for products, means in _products(with_one, counts)]
    return np.concatenate(parts)


def _cosines(products: Tables, n_models: int) -> Tables:
    """From the products of all RDMs with each other to the cosines of models with data; NaN where one is zero."""
    squared = np.einsum("srr->sr", products)
    lengths = np.sqrt(np.where(squared > 0, squared, np.nan))
    return np.asarray(products[:, :n_models, n_models:] / lengths[:, :n_models, None] / lengths[:, None, n_models:])


def _less_means(products: Tables, means: Float64[np.ndarray, "sample _row"]) -> Tables:
    """Products of d - mean · 1, given those of d and, last, of 1; exact rounding leaves about 1e-13 of a constant."""
    ones = products[:, :-1, -1]
    mean = means[:, :-1]
    crossed = ones[:, :, None] * mean[:, None] + mean[:, :, None] * ones[:, None]
    left = products[:, :-1, :-1] - crossed + mean[:, :, None] * mean[:, None] * products[:, -1:, -1:]
    before = np.einsum("srr->sr", products[:, :-1, :-1])
    after = np.einsum("srr->sr", left)  # a view, written to
    constant = after <= 1e-12 * before
    rows = np.arange(left.shape[1])
    left[:, rows, rows] = np.where(constant, 0, after)
    return np.asarray(left)


def _products(rows: Rows, counts: Counts) -> Iterator[tuple[Tables, Float64[np.ndarray, "sample _row"]]]:
    """aᵀ V⁻¹ b of all rows with each other, and their means over the pairs, for some samples at a time."""
    n = counts.shape[1]
    first, second = np.triu_indices(n, 1)
    matrices = np.zeros((len(rows), n, n))
    matrices[:, first, second] = matrices[:, second, first] = rows
    size = max(1, BYTES // (8 * rows.size))
    for at in range(0, len(counts), size):
        some = counts[at : at + size]
        weights = some[:, first] * some[:, second]
        plain = 2 * (rows * weights[:, None]) @ rows.T
        yield (
            _marginal(plain, (matrices @ some.T).transpose(2, 0, 1), some),
            weights @ rows.T / weights.sum(axis=1, keepdims=True),
        )


def _marginal(plain: Tables, sums: PerCondition, counts: Counts) -> Tables:
    """The module's last equation, from Σ_ij c_i c_j a_ij b_ij and the sums r."""
    number = counts.sum(axis=1)[:, None]
    scaled = sums * counts[:, None]
    totals = scaled.sum(axis=2)
    whole = plain - 2 / number[..., None] * scaled @ sums.transpose(0, 2, 1)
    whole += totals[:, :, None] * totals[:, None] / number[..., None] ** 2
    missing = counts * (counts - 1)
    along = missing[:, None] * (totals[:, :, None] / number[..., None] ** 2 - 2 * sums / number[..., None])
    return np.asarray(whole - _solved(along, missing, counts, number) @ along.transpose(0, 2, 1))


def _solved(
    along: PerCondition, missing: Counts, counts: Counts, number: Float64[np.ndarray, "sample 1"]
) -> PerCondition:
    """Q(e, e)⁻¹ Q(e, d), zero for conditions without copies of each other."""
    diagonal = missing * (1 - 2 * (counts - 1) / number)
    singular = ((missing > 0) & (diagonal == 0)).any(axis=1)  # a condition drawn N / 2 + 1 times
    inverse = np.divide(1, diagonal, out=np.zeros_like(diagonal), where=diagonal != 0)
    solved = along * inverse[:, None]
    onto = np.einsum("src,sc->sr", solved, missing)
    shared = number**2 + np.einsum("sc,sc->s", missing**2, inverse)[:, None]
    solved -= (onto / shared)[:, :, None] * (missing * inverse)[:, None]
    if singular.any():
        n = counts.shape[1]
        outer = missing[:, :, None] * missing[:, None] / number[..., None] ** 2
        whole = outer[singular] + np.eye(n) * (diagonal + (missing == 0))[singular][:, None]
        solved[singular] = np.linalg.solve(whole, along[singular].transpose(0, 2, 1)).transpose(0, 2, 1)
    return np.asarray(solved)


RESAMPLED_WHITENED: dict[str, Callable[[Rows, Rows, Counts], Tables]] = {
    "whitened-cosine": whitened_cosine,
    "whitened-correlation": whitened_correlation,
}
