"""Oracles: HSIC from its definitions, by brute force over distinct conditions; invariances; whitened RDM cosines."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from plasticode.analysis import cka
from plasticode.analysis.cka import debiased_cka, kernel, linear_cka, u_centred
from plasticode.analysis.comparison import similarities
from scipy.spatial.distance import pdist
from scipy.stats import ortho_group


def patterns(seed: int, n: int = 7, channels: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, channels))


def hsic_by_definition(k: np.ndarray, m: np.ndarray) -> float:
    """tr(K H L H) with the centring matrix written out."""
    h = np.eye(len(k)) - 1 / len(k)
    return float(np.trace(k @ h @ m @ h))


def unbiased_hsic_by_counting(k: np.ndarray, m: np.ndarray) -> float:
    """Means over all pairs, triples and quadruples of distinct conditions (Song et al. 2012, equation 4)."""
    n = range(len(k))
    pairs = np.mean([k[i, j] * m[i, j] for i, j in permutations(n, 2)])
    triples = np.mean([k[i, j] * m[i, p] for i, j, p in permutations(n, 3)])
    quadruples = np.mean([k[i, j] * m[p, q] for i, j, p, q in permutations(n, 4)])
    return float(pairs - 2 * triples + quadruples)


def normalised(hsic: object, x: np.ndarray, y: np.ndarray) -> float:
    k, m = x @ x.T, y @ y.T
    return hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("measure", "hsic"), [(linear_cka, hsic_by_definition), (debiased_cka, unbiased_hsic_by_counting)]
)
def test_alignment_is_the_normalised_hsic(measure: object, hsic: object) -> None:
    models, data = [patterns(0), patterns(1, channels=3)], [patterns(2), patterns(3, channels=11), patterns(4)]
    expected = [[normalised(hsic, x, y) for y in data] for x in models]
    np.testing.assert_allclose(measure(models, data), expected, atol=1e-12)  # type: ignore[operator]


def test_linear_cka_is_the_norm_of_the_cross_covariance() -> None:
    x, y = (values - values.mean(axis=0) for values in (patterns(5), patterns(6)))
    norms = [np.linalg.norm(a.T @ b) for a, b in ((x, y), (x, x), (y, y))]
    np.testing.assert_allclose(linear_cka([x], [y]).item(), norms[0] ** 2 / (norms[1] * norms[2]), atol=1e-14)


def test_linear_cka_is_the_whitened_cosine_of_squared_euclidean_rdms() -> None:
    models, data = [patterns(7), patterns(8)], [patterns(9), patterns(10)]
    a, b = (np.stack([pdist(x, "sqeuclidean") for x in sets]) for sets in (models, data))
    np.testing.assert_allclose(linear_cka(models, data), similarities(a, b, "whitened-cosine"), atol=1e-12)


@pytest.mark.parametrize("measure", [linear_cka, debiased_cka])
def test_rotation_scale_and_shift_of_the_channels_change_nothing(measure: object) -> None:
    x, y = patterns(11), patterns(12)
    turned = 3.7 * x @ ortho_group.rvs(5, random_state=13) + np.arange(5.0)
    np.testing.assert_allclose(measure([turned], [y]), measure([x], [y]), atol=1e-12)  # type: ignore[operator]
    np.testing.assert_allclose(measure([turned], [x]), 1, atol=1e-12)  # type: ignore[operator]


def test_unrelated_patterns_have_a_large_cka_and_a_debiased_cka_of_zero() -> None:
    models = [patterns(seed, n=10, channels=200) for seed in range(40)]
    data = [patterns(1000 + seed, n=10, channels=200) for seed in range(40)]
    found = np.diag(debiased_cka(models, data))
    assert abs(found.mean()) < 4 * found.std() / np.sqrt(40)
    assert linear_cka(models, data).mean() > 0.8


def test_the_rows_of_a_u_centred_kernel_sum_to_zero() -> None:
    centred = u_centred(kernel(patterns(14)))
    np.testing.assert_allclose(centred.sum(axis=0), 0, atol=1e-12)
    np.testing.assert_array_equal(np.diag(centred), 0)


def test_channels_are_summed_in_chunks_and_in_double_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    x = patterns(15, channels=23).astype(np.float16)
    whole = kernel(x.astype(float))
    monkeypatch.setattr(cka, "CHUNK_BYTES", 7 * 8 * 4)
    np.testing.assert_allclose(kernel(x), whole, atol=1e-12)
