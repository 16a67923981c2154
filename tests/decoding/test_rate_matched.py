"""Oracles: all choices of distractors counted one by one, chance in closed form, a system that knows only the rate."""

from itertools import combinations

import numpy as np
import pytest
from plasticode.datasets.errors import BrokenData
from plasticode.decoding import rate_matched
from plasticode.decoding.identification import chance, identification_pairs, top_pairs
from plasticode.decoding.nulls import pair_curve, permuted_null
from plasticode.decoding.rate_matched import rate_matched_chance, rate_matched_pairs


def one_by_one(similarity, counts, k, i, j):
    """Mean over every set of k nearest windows that ties in distance allow."""
    others = [c for c in range(len(counts)) if c != j]
    k = min(k, len(others))
    gap = {c: abs(counts[c] - counts[j]) for c in others}
    furthest = sorted(gap.values())[k - 1]
    near, edge = ([c for c in others if keep(gap[c])] for keep in (lambda g: g < furthest, lambda g: g == furthest))
    wins = []
    for drawn in combinations(edge, k - len(near)):
        rivals = similarity[i, [*near, *drawn]]
        wins.append(0 if (rivals > similarity[i, j]).any() else 1 / (1 + (rivals == similarity[i, j]).sum()))
    return np.mean(wins)


@pytest.mark.parametrize("levels", [2, 1000])
def test_the_pairs_are_those_counted_one_by_one_with_ties_of_either_kind(levels):
    rng = np.random.default_rng(levels)
    similarity, counts = rng.integers(levels, size=(9, 9)) / 7, rng.integers(4, size=9).astype(float)
    expected = [[one_by_one(similarity, counts, 4, i, j) for j in range(9)] for i in range(9)]
    np.testing.assert_allclose(rate_matched_pairs(similarity, counts), expected, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 31])
def test_a_constant_similarity_scores_exactly_chance_however_few_the_windows(n):
    counts = np.random.default_rng(n).integers(30, 40, size=n).astype(float)
    pairs = identification_pairs(np.full((n, n), 0.3), "text", counts)["text_rate_matched_top1"]
    np.testing.assert_allclose(pairs, chance("text_rate_matched_top1", n), rtol=1e-12)
    assert rate_matched_chance(n) == 1 / min(n, 5)


def test_in_a_story_of_five_windows_it_is_plain_top_1():
    similarity = np.random.default_rng(0).normal(size=(5, 5))
    counts = np.arange(5.0)
    np.testing.assert_array_equal(rate_matched_pairs(similarity, counts), top_pairs(similarity, 1))


def test_windows_of_equal_counts_are_all_as_likely_to_be_taken():
    similarity = np.random.default_rng(1).random((40, 40))
    beaten = (similarity[:, None, :] < similarity[:, :, None]).sum(axis=2)
    share = np.prod([(beaten - x) / (39 - x) for x in range(4)], axis=0)  # four of 39, without replacement
    np.testing.assert_allclose(rate_matched_pairs(similarity, np.zeros(40)), share, atol=1e-12)


def test_who_knows_only_the_word_rate_is_near_chance_here_and_far_above_it_in_plain_top_1():
    rng = np.random.default_rng(2)
    plain, matched = [], []
    for _ in range(40):
        counts = rng.normal(50, 14, size=31).round()
        told = counts + rng.normal(0, 3, size=31)  # words by which the rate is misread
        similarity = -np.abs(told[:, None] - counts)
        plain.append(np.trace(top_pairs(similarity, 1)) / 31)
        matched.append(np.trace(rate_matched_pairs(similarity, counts)) / 31)
    assert np.mean(plain) > 5 / 31
    assert np.mean(matched) < 0.35
    assert np.mean(plain) * 31 > 3 * np.mean(matched) * 5


def test_who_knows_the_meaning_is_as_good_here_as_anywhere():
    rng = np.random.default_rng(3)
    counts = rng.normal(50, 14, size=31).round()
    similarity = rng.normal(size=(31, 31)) + 9 * np.eye(31)
    assert np.trace(rate_matched_pairs(similarity, counts)) == 31


def test_its_permuted_null_lies_at_chance():
    rng = np.random.default_rng(4)
    curves = []
    for _ in range(6):
        counts = rng.normal(50, 14, size=31).round()
        curves.append(pair_curve(rate_matched_pairs(rng.normal(size=(31, 31)), counts), 4))
    null = permuted_null(curves)
    assert null.mean == pytest.approx(0.2, abs=0.02)
    assert null.p > 0.01


def test_parts_that_are_computed_apart_make_the_same_whole(monkeypatch):
    rng = np.random.default_rng(5)
    similarity, counts = rng.normal(size=(13, 13)), rng.integers(5, size=13).astype(float)
    whole = rate_matched_pairs(similarity, counts)
    monkeypatch.setattr(rate_matched, "BLOCK_SIZE", 2 * 13**2)
    np.testing.assert_array_equal(rate_matched_pairs(similarity, counts), whole)
    stacked = rate_matched_pairs(np.concatenate([similarity, -similarity]), counts)
    np.testing.assert_array_equal(stacked[:13], whole)


def test_windows_without_a_count_are_refused():
    with pytest.raises(BrokenData, match=r"a word count is not finite \(rate-matched identification\)"):
        rate_matched_pairs(np.zeros((3, 3)), np.array([1.0, np.nan, 2.0]))


def test_counts_may_be_whole_numbers():
    similarity = np.random.default_rng(3).normal(size=(7, 7))
    counts = np.arange(7) // 2
    np.testing.assert_array_equal(
        rate_matched_pairs(similarity, counts), rate_matched_pairs(similarity, counts.astype(float))
    )
