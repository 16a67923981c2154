"""The inverse covariance of an RDM's dissimilarities, applied without ever being built.

With noise of covariance Σ (condition, condition) in the pattern estimates, the squared distances of pairs k, l have
covariance V_kl ∝ ((C Σ Cᵀ)_kl)² about zero signal, C holding one contrast (+1, -1) a pair (Diedrichsen, Berlot, Mur,
Schütt, Shahbazi & Kriegeskorte 2021, arXiv 2007.02789). V has (n(n-1)/2)² entries; its inverse is

    (V⁻¹ d)_ij ∝ (A D A)_ij / 2     with A = Σ⁻¹ - Σ⁻¹ 1 1ᵀ Σ⁻¹ / (1ᵀ Σ⁻¹ 1)  and D the RDM as a matrix,

which for Σ = I is D with the means of its rows and columns taken off, so that with r the sums of the rows of D

    aᵀ V⁻¹ b ∝ Σ_pairs a b - Σ_i r_ai r_bi / n + (Σ_i r_ai) (Σ_i r_bi) / (2 n²).

Missing pairs are integrated out: they are filled with the values that make the quadratic form least (its Schur
complement).

Deviation from rsatoolbox 0.3.2: for a diagonal Σ given as a vector, rsatoolbox divides the plainly centred matrix by
√(σᵢ σⱼ), which is not V⁻¹ (.017 off on nine conditions); here a vector means the same as its diagonal matrix. For a
full Σ rsatoolbox solves by conjugate gradients to about 1e-5; here it is exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Bool, Float, Float64, Int
from scipy.sparse import csr_array

from ..datasets.errors import WrongArgument

Rows = Float64[np.ndarray, "_rdm _pair"]
Covariance = Float[np.ndarray, "condition condition"] | Float[np.ndarray, " condition"]
CHUNK_BYTES = 2**28


@dataclass(frozen=True)
class PairPrecision:
    """V⁻¹ for the pairs that are present, up to a factor.

    Parameters
    ----------
    present
        (pair,) True where the pair is there, in the upper triangle taken by rows.
    sigma_k
        Covariance of the noise between conditions, or its diagonal; None for independent noise of one size.

    Raises `WrongArgument` when it is used, where sigma_k has another size or is not positive definite.
    """

    present: Bool[np.ndarray, " pair"]
    sigma_k: Covariance | None = None

    def cosines(self, a: Rows, b: Rows) -> Float64[np.ndarray, "model data"]:
        """aᵀ V⁻¹ b / √(aᵀ V⁻¹ a bᵀ V⁻¹ b) of every row of a with every row of b."""
        if self.sigma_k is not None or not self.present.all():
            white = [self.apply(rows) for rows in (a, b)]
            products = a @ white[1].T
            squares = [np.einsum("rp,rp->r", rows, each) for rows, each in zip((a, b), white, strict=True)]
        else:
            n = self.n_conditions
            sums = [_by_condition(rows, n) for rows in (a, b)]
            totals = [each.sum(axis=1) / n for each in sums]
            products = a @ b.T - sums[0] @ sums[1].T / n + np.outer(*totals) / 2
            squares = [
                np.einsum("rp,rp->r", rows, rows) - np.einsum("rc,rc->r", by, by) / n + total**2 / 2
                for rows, by, total in zip((a, b), sums, totals, strict=True)
            ]
        return np.asarray(products / np.sqrt(squares[0])[:, None] / np.sqrt(squares[1]))

    def apply(self, rows: Rows) -> Rows:
        """V⁻¹ d for each row d of dissimilarities (rdm, present pair)."""
        if self.present.all():
            return self._whole(rows)
        full = np.zeros((len(rows), self.present.size))
        full[:, self.present] = rows
        full[:, ~self.present] = -np.linalg.solve(self._missing, self._whole(full)[:, ~self.present].T).T
        return np.asarray(self._whole(full)[:, self.present])

    @cached_property
    def n_conditions(self) -> int:
        return conditions_of(self.present.size)

    @cached_property
    def _pairs(self) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"]]:
        first, second = np.triu_indices(self.n_conditions, 1)
        return first, second

    @cached_property
    def _centred(self) -> Float64[np.ndarray, "condition condition"]:
        """A of the module's equation."""
        inverse = _inverse(self.sigma_k, self.n_conditions)
        total = inverse.sum(axis=0)
        return np.asarray(inverse - np.outer(total, total) / total.sum())

    @cached_property
    def _missing(self) -> Float64[np.ndarray, "missing missing"]:
        """The block of V⁻¹ between missing pairs."""
        i, j = (index[~self.present] for index in self._pairs)
        a = self._centred
        return np.asarray((a[np.ix_(i, i)] * a[np.ix_(j, j)] + a[np.ix_(i, j)] * a[np.ix_(j, i)]) / 2)

    def _whole(self, rows: Rows) -> Rows:
        size = max(1, CHUNK_BYTES // (8 * self.n_conditions**2))
        return np.concatenate([self._both_sides(rows[at : at + size]) for at in range(0, len(rows), size)])

    def _both_sides(self, rows: Rows) -> Rows:
        i, j = self._pairs
        matrices = np.zeros((len(rows), self.n_conditions, self.n_conditions))
        matrices[:, i, j] = matrices[:, j, i] = rows
        return np.asarray((self._centred @ matrices @ self._centred)[:, i, j] / 2)


def conditions_of(pairs: int) -> int:
    """Number of conditions that have so many pairs; raises `WrongArgument` where there is no such number."""
    n = round((1 + math.sqrt(1 + 8 * pairs)) / 2)
    if n * (n - 1) // 2 != pairs:
        raise WrongArgument(
            f"{pairs} dissimilarities are no upper triangle",
            "similarities",
            "Give all pairs of the conditions, and NaN for the missing ones.",
        )
    return n


def _by_condition(rows: Rows, n: int) -> Float64[np.ndarray, "_rdm condition"]:
    """Sum of the dissimilarities of each condition to all others."""
    return np.asarray(rows @ _touches(n))


@lru_cache(maxsize=4)
def _touches(n: int) -> csr_array:
    """(pair, condition): one where the condition belongs to the pair."""
    first, second = np.triu_indices(n, 1)
    ends = np.stack([first, second], axis=1).ravel()
    return csr_array((np.ones(ends.size), ends, np.arange(0, ends.size + 1, 2)), shape=(first.size, n))


def _inverse(sigma_k: Covariance | None, n: int) -> Float64[np.ndarray, "condition condition"]:
    if sigma_k is None:
        return np.eye(n)
    sigma = np.diag(sigma_k) if sigma_k.ndim == 1 else sigma_k
    if sigma.shape != (n, n):
        raise WrongArgument(
            f"sigma_k has shape {sigma_k.shape} for {n} conditions", "sigma_k", "Give one row for each condition."
        )
    if not np.allclose(sigma, sigma.T) or np.linalg.eigvalsh(sigma)[0] <= 0:
        raise WrongArgument(
            "sigma_k is not a covariance: not symmetric and positive definite",
            "sigma_k",
            "Estimate it from more observations than conditions, or shrink it.",
        )
    return np.asarray(np.linalg.inv(sigma), np.float64)
