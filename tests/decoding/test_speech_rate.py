"""Oracles: a planted rate, sums that rounding keeps, and an empty brain."""

from dataclasses import replace

import numpy as np
from plasticode.datasets.study import Responses
from plasticode.decoding.encoding_features import words_by_row
from plasticode.decoding.speech_rate import AHEAD, SpeechRate, whole_words


def said(run):
    return np.array([len(row) for row in words_by_row(run)], np.float64)


def planted(tiny, story, noise=0.1):
    """The number of words, two rows later, in one channel of four."""
    run = tiny.run(story=story, n_rows=80, seed=ord(story))
    responses = noise * np.random.default_rng(ord(story)).normal(size=(80, 4))
    responses[2:, 1] += said(run)[:-2] - 2
    return replace(run, responses=Responses(responses.astype(np.float32)))


def test_a_planted_rate_is_read_in_a_story_that_was_not_fitted(tiny):
    rate, unseen = SpeechRate.fit([planted(tiny, story) for story in "abcdef"]), planted(tiny, "z")
    read = rate(unseen.responses[:])
    assert np.corrcoef(read[:-AHEAD], said(unseen)[:-AHEAD])[0, 1] > 0.95


def test_an_empty_brain_has_the_mean_rate(tiny):
    rate = SpeechRate.fit([planted(tiny, story) for story in "abcdef"])
    np.testing.assert_allclose(rate(np.zeros((7, 4), np.float32)), rate.mean)


def test_a_rate_is_never_below_nothing(tiny):
    rate = SpeechRate.fit([planted(tiny, story) for story in "abcdef"])
    assert rate(np.full((9, 4), -100, np.float32)).min() >= 0


def test_whole_words_keep_the_running_total():
    rate = np.random.default_rng(0).uniform(0, 5, 200)
    counts = whole_words(rate)
    assert counts.min() >= 0
    assert np.abs(np.cumsum(counts) - np.cumsum(rate)).max() <= 0.5
