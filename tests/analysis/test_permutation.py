"""Oracles: comparing each permuted model, all orders of four conditions, and a uniform p under the null."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from plasticode.analysis.comparison import MEASURES, similarities
from plasticode.analysis.correction import permutation_p
from plasticode.analysis.joined import pair_order
from plasticode.analysis.permutation import permuted_pairs, permuted_similarities
from scipy.spatial.distance import pdist, squareform
from scipy.stats import kstest

N = 9


def rows(n_rdms: int, seed: int, n: int = N, digits: int = 9) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.round(np.stack([pdist(rng.normal(size=(n, 3))) for _ in range(n_rdms)]), digits)


@pytest.mark.parametrize("measure", MEASURES)
def test_the_product_is_the_comparison_of_each_permuted_model(measure: str) -> None:
    models, data = rows(3, 0, digits=1), rows(4, 1)
    orders = np.random.default_rng(5).permuted(np.tile(np.arange(N), (7, 1)), axis=1)
    permuted = np.array([[squareform(squareform(model)[order][:, order]) for model in models] for order in orders])
    expected = [similarities(some, data, measure).mean(axis=1) for some in permuted]
    found = permuted_similarities(models, data, measure, permutations=7, seed=5)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("measure", ["spearman", "tau-a"])
def test_chunks_change_nothing(measure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = permuted_similarities(rows(2, 0), rows(3, 1), measure, permutations=11)
    monkeypatch.setattr("plasticode.analysis.permutation.CHUNK_BYTES", 1)
    np.testing.assert_allclose(permuted_similarities(rows(2, 0), rows(3, 1), measure, permutations=11), whole)


def test_pairs_move_with_their_conditions() -> None:
    orders = np.random.default_rng(0).permuted(np.tile(np.arange(N), (5, 1)), axis=1)
    np.testing.assert_array_equal(permuted_pairs(orders), [pair_order(order) for order in orders])


def test_p_is_that_of_all_orders() -> None:
    models, data = rows(1, 3, n=4), rows(2, 4, n=4)
    value = similarities(models, data, "pearson").mean(axis=1)
    orders = np.array(list(permutations(range(4))))
    reached = similarities(models[0][permuted_pairs(orders)], data, "pearson").mean(axis=1) >= value - 1e-12
    null = permuted_similarities(models, data, "pearson", permutations=20_000)
    assert permutation_p(value, null).item() == pytest.approx(reached.mean(), abs=0.015)


def test_p_is_uniform_for_a_model_that_knows_nothing() -> None:
    """300 models of random features against the same data, whose own geometry is strong."""
    data = rows(1, 0, n=12) + 0.1 * rows(5, 1, n=12)
    models = rows(300, 2, n=12)
    p = permutation_p(
        similarities(models, data, "spearman").mean(axis=1),
        permuted_similarities(models, data, "spearman", permutations=199),
    )
    assert kstest(p, "uniform").pvalue > 0.01
    assert 0.01 < (p <= 0.05).mean() < 0.1


def test_a_constant_model_is_nan_and_no_permutations_are_none() -> None:
    models = np.vstack([rows(1, 0), np.ones(N * (N - 1) // 2)])
    found = permuted_similarities(models, rows(3, 1), "spearman", permutations=5)
    assert np.isfinite(found[:, 0]).all()
    assert np.isnan(found[:, 1]).all()
    assert permuted_similarities(models, rows(3, 1), "spearman", permutations=0).shape == (0, 2)


def test_a_seed_fixes_the_permutations() -> None:
    one, same, other = (permuted_similarities(rows(1, 0), rows(2, 1), "cosine", seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
