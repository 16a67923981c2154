"""Oracles: a planted rate, sums that rounding keeps, and an empty brain."""

from dataclasses import replace

import numpy as np
from plasticode.datasets.study import Responses
from plasticode.decoding.encoding_features import Band, EncodingFeatures, VectorSource, WordCount, words_by_row
from plasticode.decoding.encoding_model import EncodingModel
from plasticode.decoding.encoding_windows import Layout
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


def test_a_filter_of_the_encoding_model_reads_the_rate_from_two_minutes(tiny):
    """Words act through patterns of their own and a common one; the model knows them, the minutes do not."""
    bands = [Band(VectorSource(tiny.vectors())), Band(WordCount(), 3.0, whole=False)]
    rng = np.random.default_rng(2)
    patterns, common = rng.normal(size=(2, 5, 12)), rng.normal(size=(2, 12))

    def heard(story, n_rows):
        run = tiny.run(story=story, n_rows=n_rows, seed=ord(story))
        responses = 1.5 * np.random.default_rng(ord(story)).normal(size=(n_rows + 2, 12))
        for row, words in enumerate(words_by_row(run)):
            for delay in (1, 2):
                effect = tiny.vectors()(words) @ patterns[delay - 1] + common[delay - 1]
                responses[row + delay] += effect.sum(axis=0)
        responses = responses[:n_rows]
        return replace(run, responses=Responses((responses - responses.mean(axis=0)).astype(np.float32)))

    layout = Layout(delays=(1, 2), rows=5, reach=1)
    model = EncodingModel(EncodingFeatures(bands), layout, penalties=(1.0, 10.0)).fit([heard(s, 200) for s in "abcdef"])
    rate, unseen = SpeechRate.matched(model, [heard(story, 30) for story in "xy"]), heard("z", 200)
    read = np.corrcoef(rate(unseen.responses[:]), said(unseen))[0, 1]
    few = np.corrcoef(SpeechRate.fit([heard(story, 30) for story in "xy"])(unseen.responses[:]), said(unseen))[0, 1]
    assert read > 0.7
    assert read > few
