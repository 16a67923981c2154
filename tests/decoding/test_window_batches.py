"""Oracles: slices of the arrays that the runs were made of, and the rules by which batches are drawn."""

import numpy as np
import pytest
import torch
from plasticode.datasets.errors import BrokenData, MissingData
from plasticode.datasets.study import Word
from plasticode.decoding.unfold import Unfold
from plasticode.decoding.window_batches import WIDTH, EpochKeys, RandomBatches, WholeRuns, WindowSet


@pytest.fixture
def window_set(tiny):
    def make(runs, unfold=None):
        return WindowSet(runs, tiny.features(), tiny.characters(), ["S1", "S2"], tiny.window, unfold)

    return make


@pytest.fixture
def heard_by_two(tiny, window_set):
    """Three stories, one of them heard twice; responses tell run and row, so that a batch can be traced back."""
    runs = []
    for i, (subject, story) in enumerate([("S1", "one"), ("S1", "two"), ("S2", "two"), ("S1", "three")]):
        rows = np.stack([np.full(33 + i, i), np.arange(33 + i)], axis=1).astype(np.float32)
        runs.append(tiny.run(subject, story, responses=rows, seed=i))
    return window_set(runs)


def traced(batch):
    """(run, first row) of every window."""
    return [(int(rows[0, 0]), int(rows[0, 1])) for rows in batch.responses]


def test_a_batch_holds_the_rows_of_its_windows(tiny, window_set):
    run = tiny.run("S2", n_rows=20)
    batch = window_set([run]).batch([(0, 3), (0, 8)])
    text = tiny.features().of(run)
    np.testing.assert_array_equal(batch.responses, [run.responses[3:10], run.responses[8:15]])
    np.testing.assert_array_equal(batch.features, [text.features[3:8], text.features[8:13]])
    np.testing.assert_array_equal(batch.counts, [text.counts[3:8], text.counts[8:13]])
    assert batch.subject.tolist() == [1, 1]
    written = [tiny.characters().decode(ids.tolist()) for ids in batch.characters]
    assert written == [text.text(3, 8), text.text(8, 13)]
    assert bool((batch.characters[:, 0] == 0).all())


def test_responses_past_the_end_of_the_recording_are_zero(tiny, window_set):
    run = tiny.run(n_rows=10)
    batch = window_set([run]).batch([(0, 5)])
    np.testing.assert_array_equal(batch.responses[0, :5], run.responses[5:10])
    np.testing.assert_array_equal(batch.responses[0, 5:], 0)


def test_a_person_who_was_not_trained_on_has_the_index_minus_one(tiny, window_set):
    assert window_set([tiny.run("S9")]).batch([(0, 0)]).subject.tolist() == [-1]


def test_narrow_runs_are_padded_to_the_widest_and_every_window_knows_its_mask(tiny, window_set):
    runs = [tiny.run(story=story, mask=tiny.mask(drop=drop)) for story, drop in (("one", 3), ("two", 9))]
    unfold = Unfold(runs)
    batch = window_set(runs, unfold).batch([(1, 0), (0, 0)])
    assert batch.responses.shape == (2, 7, 61)
    np.testing.assert_array_equal(batch.responses[0, :, 55:], 0)
    assert batch.mask.tolist() == [unfold.mask_of[runs[1].key], unfold.mask_of[runs[0].key]]
    expected = runs[1].responses.mask.unfold(runs[1].responses[0:7])
    np.testing.assert_array_equal(unfold(batch.responses, batch.mask)[0], expected)


def test_the_same_key_gives_the_same_batch_and_another_key_another(heard_by_two):
    one, two = (RandomBatches(heard_by_two, 3, 4, seed=7) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one[(2, 5)], two[(2, 5)], strict=True))
    keys = [(epoch, step) for epoch in (2, 3) for step in range(4)]
    assert len({tuple(traced(one[key])) for key in keys}) == len(keys)
    assert traced(one[(2, 5)]) != traced(RandomBatches(heard_by_two, 3, 4, seed=8)[(2, 5)])


def test_every_story_comes_once_per_batch_and_its_windows_do_not_overlap(heard_by_two, tiny):
    batches = RandomBatches(heard_by_two, stories=3, per_story=99, seed=0)
    for step in range(20):
        places = traced(batches[(2, step)])
        runs = list(dict.fromkeys(run for run, _ in places))
        assert sorted(heard_by_two.runs[run].story for run in runs) == ["one", "three", "two"]
        for run in runs:
            starts = sorted(start for number, start in places if number == run)
            assert np.diff(starts).min() >= tiny.rows
            assert starts[0] >= 0
            assert starts[-1] + tiny.rows <= heard_by_two.runs[run].responses.n_rows


def test_both_hearings_of_a_story_are_drawn_and_every_phase(heard_by_two, tiny):
    batches = RandomBatches(heard_by_two, stories=3, per_story=2, seed=0)
    places = [place for step in range(60) for place in traced(batches[(2, step)])]
    assert {run for run, _ in places} == {0, 1, 2, 3}
    assert {start % tiny.rows for _, start in places} == set(range(tiny.rows))


def test_a_batch_is_as_large_as_asked(heard_by_two):
    assert len(traced(RandomBatches(heard_by_two, stories=2, per_story=3, seed=0)[(2, 0)])) == 6


def test_a_run_of_exactly_one_window_gives_that_window(tiny, window_set):
    rows = np.zeros((tiny.rows, 2), np.float32)
    batches = RandomBatches(window_set([tiny.run(responses=rows)]), 8, 8, seed=0)
    assert all(traced(batches[(2, step)]) == [(0, 0)] for step in range(5))


def test_whole_runs_are_cut_from_the_first_row_on_without_gaps(heard_by_two):
    whole = WholeRuns(heard_by_two)
    assert len(whole) == 4
    assert traced(whole[1]) == [(1, start) for start in (0, 5, 10, 15, 20, 25)]


def test_keys_name_epoch_and_step_and_never_those_of_validation():
    keys = EpochKeys(3)
    keys.set_epoch(0)
    first = list(keys)
    keys.set_epoch(1)
    assert len(keys) == 3
    assert len(set(first) | set(keys)) == 6
    assert all(epoch != 1 for epoch, _ in [*first, *keys])


def test_a_run_shorter_than_a_window_is_refused(tiny, window_set):
    with pytest.raises(BrokenData, match=r"shorter than one window of 10 s \(arrays/S1/short\)"):
        window_set([tiny.run(), tiny.run(story="short", n_rows=4)])


def test_no_runs_are_refused(window_set):
    with pytest.raises(MissingData, match="no recording to make windows from"):
        window_set([])


def test_a_window_without_words_has_an_empty_text(tiny, window_set):
    batch = window_set([tiny.run(words=[Word("dead", 100.0, 100.0)])]).batch([(0, 0)])
    assert batch.characters.shape == (1, WIDTH)
    assert not batch.characters.any()
