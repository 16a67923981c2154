"""Oracles: minutes counted by hand, rows and words of the recording that was cut."""

import math
from dataclasses import replace

import numpy as np
import pytest
from plasticode.datasets.errors import BrokenData, WrongArgument
from plasticode.datasets.study import Responses
from plasticode.decoding.encoding_features import words_by_row
from plasticode.decoding.stretches import Stretch, first_minutes


def runs_of(tiny, *n_rows):
    return [tiny.run(story=name, n_rows=rows, seed=rows) for name, rows in zip("abcdef", n_rows, strict=False)]


def minutes_of(stretches, repetition_time):
    return sum(stretch.stop - stretch.start for stretch in stretches) * repetition_time / 60


def test_the_minutes_are_exact_and_no_row_comes_twice(tiny):
    runs = runs_of(tiny, 100, 80, 120)
    step = runs[0].repetition_time / 60
    found = first_minutes(runs, 150 * step, longest=30 * step)
    assert minutes_of(found, runs[0].repetition_time) == pytest.approx(150 * step)
    rows = [(s.story, row) for s in found for row in range(s.start, s.stop)]
    assert rows == [("a", i) for i in range(100)] + [("b", i) for i in range(50)]
    assert max(s.stop - s.start for s in found) <= 30 * 4 / 3 + 1


def test_more_minutes_than_there_are_take_all(tiny):
    runs = runs_of(tiny, 100, 80)
    assert sum(s.stop - s.start for s in first_minutes(runs, math.inf)) == 180


@pytest.mark.parametrize("minutes", [1, math.inf])
def test_one_recording_alone_is_two_stretches_of_which_one_can_be_left_out(tiny, minutes):
    assert len(first_minutes(runs_of(tiny, 50), minutes)) == 2


def test_a_stretch_holds_its_rows_and_the_words_on_them(tiny):
    run = tiny.run(n_rows=60, seed=3)
    part = Stretch(run.story, "", 20, 45).of(run)
    np.testing.assert_array_equal(part.responses[:], run.responses[20:45])
    assert words_by_row(part) == words_by_row(run)[20:45]
    assert part.story != run.story


@pytest.mark.parametrize(("minutes", "longest"), [(0, 5), (-1, 5), (math.nan, 5), (5, 0)])
def test_lengths_that_are_not_above_0_are_refused(tiny, minutes, longest):
    with pytest.raises(WrongArgument, match="above 0"):
        first_minutes(runs_of(tiny, 50), minutes, longest)


def test_a_shorter_recording_of_the_story_is_refused(tiny):
    run = tiny.run(n_rows=40)
    short = replace(run, responses=Responses(run.responses[:30]))
    with pytest.raises(BrokenData, match="30 rows, but somebody else's"):
        Stretch(run.story, "", 20, 40).of(short)
