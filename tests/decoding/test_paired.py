"""Oracles: the uniform law of p under no difference, a planted difference, antisymmetry."""

import numpy as np
import pytest
from plasticode.datasets.errors import WrongArgument
from plasticode.decoding.paired import paired_difference
from scipy.stats import kstest

STORIES = [f"story {index}" for index in range(6) for _ in range(20)]


def test_a_planted_difference_is_found_and_its_interval_excludes_zero() -> None:
    rng = np.random.default_rng(0)
    second = rng.normal(size=120)
    difference = paired_difference(second + 0.5 + 0.3 * rng.normal(size=120), second, STORIES)
    assert difference.value == pytest.approx(0.5, abs=0.1)
    assert 0 < difference.ci_low < difference.value < difference.ci_high
    assert difference.p == pytest.approx(1 / 10_001)
    assert difference.n_windows == 120


def test_the_order_of_the_systems_changes_only_the_sign() -> None:
    first, second = np.random.default_rng(1).normal(size=(2, 120))
    there, back = paired_difference(first, second, STORIES), paired_difference(second, first, STORIES)
    assert back.value == -there.value
    assert back.p == there.p
    assert (back.ci_low, back.ci_high) == pytest.approx((-there.ci_high, -there.ci_low))


def test_a_system_does_not_differ_from_itself() -> None:
    scores = np.random.default_rng(2).normal(size=120)
    difference = paired_difference(scores, scores, STORIES)
    assert (difference.value, difference.ci_low, difference.ci_high, difference.p) == (0, 0, 0, 1)


def test_p_is_uniform_without_a_difference() -> None:
    rng = np.random.default_rng(3)
    p = [paired_difference(*rng.normal(size=(2, 120)), STORIES, n_draws=500, seed=seed).p for seed in range(300)]
    assert kstest(p, "uniform").pvalue > 0.01


def test_systems_scored_on_different_windows_are_refused() -> None:
    with pytest.raises(WrongArgument, match=r"3 and 2 scores of 3 windows.*Score both systems on the same windows"):
        paired_difference(np.zeros(3), np.zeros(2), ["a"] * 3)
    with pytest.raises(WrongArgument, match="not finite"):
        paired_difference(np.array([np.nan]), np.zeros(1), ["a"])
