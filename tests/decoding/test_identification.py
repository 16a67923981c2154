"""Oracles: chance in closed form, ranks by sorting, planted matches."""

import numpy as np
import pytest
from plasticode.datasets.errors import BrokenData
from plasticode.decoding.identification import chance, identification_pairs
from scipy.stats import binomtest

NAMES = ("top1", "top5", "percentile")


@pytest.mark.parametrize("n", [1, 2, 3, 7, 31])
def test_a_constant_similarity_scores_exactly_chance(n: int) -> None:
    pairs = identification_pairs(np.full((n, n), 0.3), "text")
    for name in NAMES:
        np.testing.assert_allclose(pairs[f"text_{name}"], chance(f"text_{name}", n), rtol=1e-12)


def test_without_ties_the_ranks_are_those_of_sorting() -> None:
    similarity = np.random.default_rng(0).normal(size=(9, 9))
    rank = (-similarity).argsort(axis=1).argsort(axis=1)
    pairs = identification_pairs(similarity, "latent")
    np.testing.assert_array_equal(pairs["latent_top1"], rank == 0)
    np.testing.assert_array_equal(pairs["latent_top5"], rank < 5)
    np.testing.assert_allclose(pairs["latent_percentile"], 1 - rank / 8)


def test_ties_score_the_mean_over_random_tie_breaking() -> None:
    rng = np.random.default_rng(1)
    similarity = rng.integers(3, size=(8, 8)).astype(float)
    broken = [identification_pairs(similarity + 1e-3 * rng.random((8, 8)), "x") for _ in range(1000)]
    expected = identification_pairs(similarity, "x")
    for name in NAMES:
        mean = np.mean([pairs[f"x_{name}"] for pairs in broken], axis=0)
        np.testing.assert_allclose(mean, expected[f"x_{name}"], atol=0.08)  # five standard errors of a share


def test_each_row_hands_out_one_first_place_five_of_five_and_half_a_percentile() -> None:
    pairs = identification_pairs(np.random.default_rng(2).integers(4, size=(12, 12)).astype(float), "x")
    np.testing.assert_allclose(pairs["x_top1"].sum(1), 1)
    np.testing.assert_allclose(pairs["x_top5"].sum(1), 5)
    np.testing.assert_allclose(pairs["x_percentile"].mean(1), 0.5)


def test_a_planted_match_is_always_identified() -> None:
    pairs = identification_pairs(np.random.default_rng(3).random((20, 20)) + 2 * np.eye(20), "x")
    assert [np.diag(pairs[f"x_{name}"]).mean() for name in NAMES] == [1, 1, 1]


def test_random_similarities_hit_as_often_as_chance_says() -> None:
    rng = np.random.default_rng(4)
    pairs = [identification_pairs(rng.normal(size=(25, 25)), "x") for _ in range(200)]
    for name in ("top1", "top5"):
        hits = round(sum(np.trace(story[f"x_{name}"]) for story in pairs))
        assert binomtest(hits, 200 * 25, chance(name, 25)).pvalue > 0.001


def test_only_the_order_within_a_row_matters() -> None:
    similarity = np.random.default_rng(5).random((10, 10))
    scaled = np.exp(similarity * np.arange(1, 11)[:, None]) - 4
    first, second = identification_pairs(similarity, "x"), identification_pairs(scaled, "x")
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


def test_other_metrics_have_no_chance_level() -> None:
    assert np.isnan(chance("cer", 10))


def test_undefined_similarities_are_refused() -> None:
    similarity = np.zeros((3, 3))
    similarity[1, 2] = np.nan
    with pytest.raises(BrokenData, match=r"not finite \(latent identification\)\. Look for empty or constant latents"):
        identification_pairs(similarity, "latent")
    with pytest.raises(BrokenData, match=r"shape \(2, 3\)"):
        identification_pairs(np.zeros((2, 3)), "latent")
