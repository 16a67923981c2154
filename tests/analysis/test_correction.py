"""Oracles: Benjamini and Hochberg's example, scipy, counting by hand, and the family-wise error of noise."""

from __future__ import annotations

import numpy as np
import pytest
from plasticode.analysis.correction import fdr, max_statistic_p, pairwise_fdr, permutation_p
from plasticode.analysis.power import warn_if_weak
from scipy.stats import false_discovery_control

# Benjamini & Hochberg 1995, section 3.2: four of these fifteen are rejected at .05.
PUBLISHED = [
    0.0001,
    0.0004,
    0.0019,
    0.0095,
    0.0201,
    0.0278,
    0.0298,
    0.0344,
    0.0459,
    0.3240,
    0.4262,
    0.5719,
    0.6528,
    0.7590,
    1.0,
]


def test_of_the_published_example_four_are_rejected() -> None:
    assert (fdr(np.array(PUBLISHED)) <= 0.05).sum() == 4


def test_nan_is_no_test() -> None:
    found = fdr(np.array([0.01, np.nan, 0.03]))
    np.testing.assert_allclose(found, [0.02, np.nan, 0.03])
    assert np.isnan(fdr(np.full(3, np.nan))).all()


def test_each_pair_is_one_test() -> None:
    p = np.array([[np.nan, 0.01, 0.04], [0.01, np.nan, 0.02], [0.04, 0.02, np.nan]])
    one, two, three = false_discovery_control([0.01, 0.04, 0.02])
    np.testing.assert_allclose(pairwise_fdr(p), [[np.nan, one, two], [one, np.nan, three], [two, three, np.nan]])


def test_p_counts_the_data_as_one_permutation_and_is_never_zero() -> None:
    null = np.arange(99.0)[:, None] * np.array([1.0, 0.0])
    np.testing.assert_allclose(permutation_p(np.array([200.0, 0.0]), null), [0.01, 1.0])
    np.testing.assert_allclose(permutation_p(np.array([89.0, 1.0]), null), [0.11, 0.01])


def test_rounding_does_not_make_a_tie_a_win() -> None:
    assert permutation_p(np.array([0.3]), np.array([[0.1 + 0.2], [0.3 - 1e-16], [0.2]])) == pytest.approx(0.75)


def test_of_one_model_the_maximum_is_itself() -> None:
    null = np.random.default_rng(0).normal(size=(199, 1))
    np.testing.assert_array_equal(max_statistic_p(np.array([1.5]), null), permutation_p(np.array([1.5]), null))


def test_the_maximum_does_not_depend_on_the_models_scales_and_skips_nan() -> None:
    rng = np.random.default_rng(0)
    null, value = rng.normal(size=(199, 3)), np.array([2.0, 1.0, 0.0])
    scale, shift = np.array([1.0, 100.0, 0.1]), np.array([0.0, 50.0, 0.9])
    expected = max_statistic_p(value, null)
    np.testing.assert_array_equal(max_statistic_p(value * scale + shift, null * scale + shift), expected)
    with_nan = max_statistic_p(np.append(value, np.nan), np.hstack([null, np.full((199, 1), np.nan)]))
    np.testing.assert_array_equal(with_nan, [*expected, np.nan])
    assert (expected >= permutation_p(value, null) - 0.01).all()


def test_the_family_wise_error_of_ten_models_is_five_per_cent() -> None:
    """400 families; one p each would reject in 40% of them. Four standard errors are 4.4%."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(400, 100, 10)) * np.linspace(0.1, 3, 10) + rng.normal(size=(400, 100, 1))
    rejected = [(max_statistic_p(family[0], family[1:]) <= 0.05).any() for family in rows]
    uncorrected = [(permutation_p(family[0], family[1:]) <= 0.05).any() for family in rows]
    assert 0.01 < np.mean(rejected) < 0.095
    assert np.mean(uncorrected) > 0.15


def test_little_data_are_warned_of() -> None:
    warn_if_weak(20, 5, 1000)
    warn_if_weak(20, 1, 1000)  # one subject has a warning of its own
    with pytest.warns(UserWarning, match="19 conditions give little power: below 20"):
        warn_if_weak(19, 5)
    with pytest.warns(UserWarning, match="4 subjects give little power: below 5"):
        warn_if_weak(20, 4)
    with pytest.warns(UserWarning, match="conditions") as found:
        warn_if_weak(5, 5, 1000)
    assert "5 conditions have 120 orders, fewer than the 1000 permutations: no p is below about 1 / 120" in str(
        found[1].message
    )
