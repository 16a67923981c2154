"""Oracles: shifts by np.roll, scipy's r, the uniform law of p under the null, planted pairings."""

import math

import numpy as np
import pytest
from plasticode.datasets.errors import BrokenData, WrongArgument
from plasticode.decoding.nulls import (
    ShiftCurve,
    correlation_curve,
    merged,
    min_shift,
    pair_curve,
    permuted_null,
    pooled_draws,
    pooled_value,
    standardise,
)
from scipy.stats import kstest, pearsonr


def random_pairs(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, n))


def test_the_curve_is_the_mean_of_the_pairing_rolled_by_hand() -> None:
    pairs = random_pairs(9)
    expected = [np.mean([pairs[i, (i + s) % 9] for i in range(9)]) for s in range(9)]
    np.testing.assert_allclose(pair_curve(pairs, 2).scores, expected)


def test_the_value_is_the_mean_of_the_diagonal() -> None:
    pairs = random_pairs(9)
    assert pair_curve(pairs, 2).value == pytest.approx(np.diag(pairs).mean())


def test_every_admissible_shift_covers_the_gap_both_ways_and_none_is_left_out() -> None:
    for n in range(1, 30):
        curve = pair_curve(random_pairs(n), 4)
        assert list(curve.admissible) == [s for s in range(1, n) if min(s, n - s) >= 4]


def test_forty_repetitions_are_four_windows_of_ten_and_five_of_nine() -> None:
    assert (min_shift(10), min_shift(9), min_shift(40), min_shift(50)) == (4, 5, 1, 1)


def test_the_null_of_a_story_is_its_admissible_shifts_once_each() -> None:
    curve = ShiftCurve(np.arange(12.0), 4)
    np.testing.assert_array_equal(np.sort(pooled_draws([curve])), [4, 5, 6, 7, 8])
    null = permuted_null([curve])
    assert (null.mean, null.sd) == (6, pytest.approx(np.std([4, 5, 6, 7, 8], ddof=1)))
    assert null.z == pytest.approx((0 - 6) / null.sd)
    assert null.p == 1


def test_pooled_shifts_are_all_combinations_weighted_by_windows_where_these_are_few() -> None:
    curves = [ShiftCurve(np.arange(9.0), 4), ShiftCurve(np.arange(10.0) * 100, 4)]
    expected = [(9 * a + 10 * 100 * b) / 19 for a in (4, 5) for b in (4, 5, 6)]
    np.testing.assert_allclose(np.sort(pooled_draws(curves)), np.sort(expected))


def test_drawn_combinations_agree_with_all_of_them() -> None:
    curves = [pair_curve(random_pairs(20, seed), 4) for seed in range(3)]
    every, drawn = pooled_draws(curves, n_draws=10**4), pooled_draws(curves, n_draws=2000)
    assert (every.size, drawn.size) == (13**3, 2000)
    assert drawn.mean() == pytest.approx(every.mean(), abs=5 * every.std() / math.sqrt(2000))
    assert drawn.std() == pytest.approx(every.std(), rel=0.1)


def test_the_true_pairing_is_not_in_the_null() -> None:
    pairs = np.zeros((20, 20)) + 5 * np.eye(20)
    assert pooled_draws([pair_curve(pairs, 1)]).max() == 0


def test_a_planted_diagonal_is_found_and_p_is_never_zero() -> None:
    curves = [pair_curve(random_pairs(25, seed) + 3 * np.eye(25), 4) for seed in range(5)]
    assert permuted_null(curves).p == pytest.approx(1 / 10_001)
    assert permuted_null(curves[:1]).p == pytest.approx(1 / 19)
    assert permuted_null(curves).z > 5


def test_an_error_rate_is_better_when_lower() -> None:
    curves = [pair_curve(random_pairs(25, seed) - 3 * np.eye(25), 4) for seed in range(5)]
    null = permuted_null(curves, lower_is_better=True)
    assert null.p < 0.001
    assert null.z < -5
    assert permuted_null(curves).p > 0.999


def test_a_random_matrix_lies_inside_its_null() -> None:
    inside = [abs(permuted_null([pair_curve(random_pairs(25, seed), 4)]).z) < 4 for seed in range(100)]
    assert np.mean(inside) > 0.97


def test_p_is_uniform_when_nothing_is_decoded() -> None:
    rng = np.random.default_rng(7)

    def p_of_noise() -> float:
        stories = [rng.normal(size=(20, 6)) @ rng.normal(size=(6, 20)) for _ in range(4)]
        return permuted_null([pair_curve(story, 4) for story in stories], n_draws=400).p

    assert kstest([p_of_noise() for _ in range(400)], "uniform").pvalue > 0.01


def test_ties_count_against_the_value() -> None:
    assert permuted_null([pair_curve(np.full((25, 25), 0.1), 4), pair_curve(np.full((31, 31), 0.1), 4)]).p == 1


def test_a_story_too_short_to_shift_has_no_null_of_its_own() -> None:
    null = permuted_null([pair_curve(random_pairs(7), 4)])
    assert all(math.isnan(field) for field in (null.mean, null.sd, null.z, null.p))


def test_a_short_story_in_a_pool_takes_its_widest_shifts() -> None:
    short, long = ShiftCurve(np.arange(7.0), 4), ShiftCurve(np.zeros(8), 4)
    np.testing.assert_allclose(np.sort(pooled_draws([short, long])), [3 * 7 / 15, 4 * 7 / 15])
    single = ShiftCurve(np.array([2.0]), 4)
    np.testing.assert_allclose(pooled_draws([single, long]), 2 / 9)


def test_recordings_of_one_story_are_shifted_together() -> None:
    pairs = random_pairs(20)
    one = pair_curve(pairs, 4)
    twice = merged([one, one, pair_curve(random_pairs(30, 1), 4)], ["a", "a", "b"])
    assert [curve.weight for curve in twice] == [40, 30]
    assert pooled_draws(merged([one, one], ["a", "a"])).std() == pytest.approx(pooled_draws([one]).std())
    assert pooled_value(twice) == pytest.approx((40 * one.value + 30 * twice[1].value) / 70)


def test_the_correlation_curve_equals_scipy_on_rolled_series() -> None:
    rng = np.random.default_rng(1)
    predicted, true = rng.normal(size=101), rng.poisson(3, size=101).astype(float)
    expected = [pearsonr(predicted, np.roll(true, -s)).statistic for s in range(101)]
    np.testing.assert_allclose(correlation_curve(predicted, true).scores, expected, atol=1e-12)


def test_pooled_word_rate_is_r_of_the_concatenated_standardised_series() -> None:
    rng = np.random.default_rng(2)
    stories = [(rng.normal(size=n) * 3 + 1, rng.normal(size=n)) for n in (90, 150)]
    joined = [np.concatenate([standardise(story[side]) for story in stories]) for side in (0, 1)]
    pooled = pooled_value([correlation_curve(*story) for story in stories])
    assert pooled == pytest.approx(pearsonr(*joined).statistic)


def test_a_predicted_word_rate_that_follows_the_story_beats_its_shifts() -> None:
    rng = np.random.default_rng(3)
    true = np.convolve(rng.normal(size=340), np.ones(5), "valid")
    assert permuted_null([correlation_curve(true + rng.normal(size=true.size), true)]).p < 0.01
    assert permuted_null([correlation_curve(rng.normal(size=true.size), true)]).p > 0.01


def test_a_constant_word_rate_has_r_zero_and_p_one() -> None:
    curve = correlation_curve(np.full(100, 0.1), np.random.default_rng(0).normal(size=100))
    null = permuted_null([curve])
    assert (curve.value, null.p) == (0, 1)
    assert math.isnan(null.z)


def test_bad_input_is_named() -> None:
    with pytest.raises(WrongArgument, match=r"min_shift is 0.*shift 0 is not a null"):
        ShiftCurve(np.zeros(5), 0)
    with pytest.raises(BrokenData, match="empty or not finite"):
        pair_curve(np.full((3, 3), np.nan), 1)
    with pytest.raises(BrokenData, match="5 predicted and 4 true values"):
        correlation_curve(np.zeros(5), np.zeros(4))
