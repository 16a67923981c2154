"""Oracles: p by hand, its uniform law, the null's draws weighted by hand, the rows of `results`."""

import io
import math
from dataclasses import replace

import numpy as np
import pytest
from plasticode.decoding.evaluation import ScoredStory
from plasticode.decoding.null_battery import NOISE, ZERO
from plasticode.decoding.null_scores import NullScores
from plasticode.decoding.null_table import null_rows, p_among, say_nulls
from plasticode.decoding.reading import Reader
from plasticode.decoding.results import DECODER, StoryScores, WordRate, rows_pooled
from rich.console import Console
from scipy.stats import kstest

QUADRANT = "seen subject, unseen story"


@pytest.fixture
def scored(tiny):
    """Makes a recording whose decoder scores `value` in every window, and a null of which each draw is constant."""
    reading = Reader(tiny.model()).read(tiny.run(n_rows=10))  # plays no part in the rows

    def made(story, n, value, draws, subject="S1", system=NOISE):
        def scores(level):
            return StoryScores("study", subject, story, QUADRANT, 10, {"cer": np.full((n, n), level)})

        stacks = {"cer": np.stack([np.full((n, n), one) for one in draws])}
        null = NullScores.of_stacks([(stacks, None)], np.zeros(10 * n))
        both = {DECODER: scores(value), system: replace(scores(0.0), pairs=null.pairs)}
        return ScoredStory(reading, (), {}, np.zeros((n, n)), both, {system: dict(null.draws)})

    return made


def test_p_counts_draws_as_good_and_adds_one():
    draws = np.array([0.1, 0.2, 0.3, 0.3])
    assert p_among(0.3, draws) == 3 / 5
    assert p_among(0.4, draws) == 1 / 5
    assert p_among(0.2, draws, lower_is_better=True) == 3 / 5
    assert p_among(0.0, np.zeros(1)) == 1
    assert p_among(1.0, np.zeros(20)) == pytest.approx(1 / 21)


def test_p_is_uniform_when_the_decoder_is_one_of_the_draws():
    rng = np.random.default_rng(0)
    p = [p_among(rng.normal(), rng.normal(size=199)) for _ in range(500)]
    assert kstest(p, "uniform").pvalue > 0.01
    assert min(p) >= 1 / 200


def test_draws_are_pooled_over_stories_by_their_windows(scored):
    stories = [scored("a", 20, 0.5, [0.6, 0.8]), scored("b", 30, 0.6, [0.4, 0.9])]
    (row,) = null_rows(stories)
    pooled = np.array([20 * 0.6 + 30 * 0.4, 20 * 0.8 + 30 * 0.9]) / 50
    assert row.value == pytest.approx(pooled.mean())
    assert row.draw_sd == pytest.approx(pooled.std(ddof=1))
    assert (row.system, row.n_draws, row.n_windows, row.story) == (NOISE, 2, 50, "all")
    assert row.decoder == pytest.approx((20 * 0.5 + 30 * 0.6) / 50)
    assert row.p_draws == pytest.approx(2 / 3)  # .48 is better than the decoder's .56, .86 is not


def test_a_null_s_row_is_that_of_its_own_scores(scored):
    stories = [scored("a", 20, 0.5, [0.6, 0.8]), scored("b", 30, 0.6, [0.4, 0.9])]
    (row,), (own,) = null_rows(stories), rows_pooled([story.scores[NOISE] for story in stories])
    assert (row.value, row.ci_low, row.ci_high, row.p) == (own.value, own.ci_low, own.ci_high, own.p)


def test_only_stories_that_have_the_null_are_held_against_it_and_one_draw_has_no_spread(scored):
    stories = [scored("a", 20, 0.5, [0.6], system=ZERO), scored("b", 30, 0.9, [0.4])]
    zero = next(row for row in null_rows(stories) if row.system == ZERO)
    assert (zero.decoder, zero.n_windows, zero.n_draws, zero.p_draws) == (0.5, 20, 1, 0.5)
    assert math.isnan(zero.draw_sd)


def test_people_are_held_apart(scored):
    rows = null_rows([scored("a", 20, 0.5, [0.6]), scored("a", 20, 0.5, [0.6], subject="S2")])
    assert [row.subject for row in rows] == ["S1", "S2"]


def test_the_word_rate_of_many_draws_is_the_mean_of_their_r():
    rng = np.random.default_rng(1)
    heard = rng.poisson(3, size=200).astype(float)
    told = heard + rng.normal(0, [[1], [3]], size=(2, 200))
    null = NullScores.of_stacks(
        [({"cer": np.ones((1, 20, 20))}, told[:1]), ({"cer": np.ones((1, 20, 20))}, told[1:])], heard
    )
    r = [np.corrcoef(one, heard)[0, 1] for one in told]
    np.testing.assert_allclose(null.draws["word_rate_r"], r)
    both = StoryScores("study", "S1", "a", QUADRANT, 10, null.pairs, WordRate(null.predicted, heard))
    row = rows_pooled([both])[-1]
    assert row.metric == "word_rate_r"
    assert row.value == pytest.approx(np.mean(r))
    assert row.ci_low < row.value < row.ci_high


def test_what_was_kept_of_a_null_comes_back_whole():
    rng = np.random.default_rng(2)
    null = NullScores.of_stacks([({"cer": rng.random((3, 4, 4))}, rng.random((3, 40)))], rng.random(40))
    again = NullScores.of(null.arrays())
    np.testing.assert_array_equal(again.pairs["cer"], null.pairs["cer"])
    np.testing.assert_array_equal(again.predicted, null.predicted)
    assert {metric: list(values) for metric, values in again.draws.items()} == {
        metric: list(values) for metric, values in null.draws.items()
    }


def test_the_table_marks_who_is_better_and_says_nothing_without_nulls(scored):
    said, stories = io.StringIO(), [scored("a", 20, 0.5, [0.6]), scored("a", 20, 0.5, [0.4], system=ZERO)]
    rows = rows_pooled([stories[0].scores[DECODER]])
    say_nulls(rows, stories, ["a note"], Console(file=said, width=100))
    lines = {line.split("│")[1].strip(): line for line in said.getvalue().splitlines() if line.count("│") > 2}
    assert "0.500" in lines["plasticode"]
    assert "0.600*" in lines["noise input"]
    assert "0.400!" in lines["zero input"]
    assert "a note" in said.getvalue()
    empty = io.StringIO()
    say_nulls(rows, [], [], Console(file=empty))
    assert empty.getvalue() == ""
