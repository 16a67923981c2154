"""Whitened measures over resampled conditions, in closed form.

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

For the correlation the mean over the pairs of the resample is taken off, from Σ c_i c_j a_ij b_ij and from the sums r.
Noise ceilings average RDMs of one length in the resample: not the whitened one, as in `noise_ceiling.SCALES`.

Noise is independent and of one size for each condition; a given covariance between conditions is not resampled.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64

from .resampled_cosines import Lengths, Tables
from .resampled_products import ResampledProducts
from .whitening import conditions_of

PerCondition = Float64[np.ndarray, "sample _row condition"]
Counts = Float64[np.ndarray, "sample condition"]
Numbers = Float64[np.ndarray, "sample 1"]


@dataclass(frozen=True)
class ResampledWhitened(ResampledProducts):
    """For "whitened-cosine" and "whitened-correlation"; products are per pair of the resample."""

    @classmethod
    def bytes_per_sample(cls, n_models: int, n_data: int, n_pairs: int) -> int:
        """Memory that one resample takes: some eight arrays with a number for each RDM and condition come on top."""
        by_condition = 8 * (n_models + n_data) * conditions_of(n_pairs)
        return 8 * by_condition + super().bytes_per_sample(n_models, n_data, n_pairs)

    def _inner(self, a: slice, b: slice) -> Tables:
        left, right = self._factors
        found = 2 * super()._inner(a, b)
        found += left[:, a] @ right[:, b].swapaxes(1, 2)
        return found

    @cached_property
    def _squares(self) -> Lengths:
        return np.asarray(2 * self._scales + np.einsum("src,src->sr", *self._factors))

    @cached_property
    def _factors(self) -> tuple[Float64[np.ndarray, "sample rdm part"], Float64[np.ndarray, "sample rdm part"]]:
        """What Q and the missing part add to the plain products: sums over the last axis of one times the other."""
        counts, sums = self.conditions, self._sums
        number = counts.sum(axis=1, keepdims=True)
        scaled = sums * counts[:, None]
        totals = scaled.sum(axis=2, keepdims=True) / number[:, None]
        missing = counts * (counts - 1)
        along = missing[:, None] * (totals - 2 * sums) / number[:, None]
        solved = solved_for_copies(along, missing, counts, number)
        pairs = self._weights.sum(axis=1)[:, None, None]
        with np.errstate(divide="ignore", invalid="ignore"):  # no pairs where a single condition is drawn
            left = np.concatenate([-2 / number[:, None] * scaled, totals, -solved], axis=2) / pairs
        return left, np.concatenate([sums, totals, along], axis=2)

    @cached_property
    def _sums(self) -> PerCondition:
        """r of every RDM, the mean over the resample's pairs taken off for the correlation."""
        counts = self.conditions
        n = counts.shape[1]
        first, second = np.triu_indices(n, 1)
        matrices = np.zeros((n, len(self._rows), n))
        matrices[first, :, second] = matrices[second, :, first] = self._rows.T
        sums = (counts @ matrices.reshape(n, -1)).reshape(len(counts), -1, n)
        if self._means is not None:
            sums -= self._means[:, :, None] * (counts.sum(axis=1, keepdims=True) - counts)[:, None]
        return sums


def solved_for_copies(along: PerCondition, missing: Counts, counts: Counts, number: Numbers) -> PerCondition:
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
