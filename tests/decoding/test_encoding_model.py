"""Oracles: a planted linear brain and its permutation, explicit refits without a story, features counted by hand."""

from dataclasses import replace

import numpy as np
import pytest
from plasticode.datasets.errors import BrokenData, MissingData, WrongArgument
from plasticode.datasets.study import Responses, Word
from plasticode.decoding.encoding_features import (
    Band,
    EncodingFeatures,
    RateSource,
    VectorSource,
    WordCount,
    WordSource,
    words_by_row,
)
from plasticode.decoding.encoding_model import EncodingModel
from plasticode.decoding.encoding_windows import Layout
from plasticode.decoding.identification import top_pairs
from plasticode.decoding.noise_covariance import channel_covariance

LAYOUT = Layout(delays=(1, 2, 3), rows=5, reach=2)
STARTS = tuple(range(0, 75, 5))
CHANNELS = 8


@pytest.fixture
def features(tiny):
    return EncodingFeatures([Band(VectorSource(tiny.vectors())), Band(WordCount(), 2.0, whole=False)])


def planted(tiny, story, noise=0.5, n_rows=80):
    """Responses are the standardised features one to three rows earlier, through fixed weights, in correlated noise."""
    run = tiny.run(story=story, n_rows=n_rows, seed=sum(map(ord, story)))
    bands = [Band(VectorSource(tiny.vectors())), Band(WordCount(), 2.0, whole=False)]
    laid = EncodingFeatures(bands).fit([words_by_row(tiny.run(seed=99))])(words_by_row(run))
    rng = np.random.default_rng(0)
    clean = LAYOUT.of_run(laid) @ rng.normal(size=(3 * laid.shape[1], CHANNELS))
    mixing = rng.normal(size=(CHANNELS, CHANNELS))
    noisy = clean + noise * np.random.default_rng(len(story) + ord(story[0])).normal(size=clean.shape) @ mixing
    return replace(run, responses=Responses(noisy.astype(np.float32)))


def top1(matrix):
    return np.diag(top_pairs(matrix, 1)).mean()


@pytest.fixture
def fitted(tiny, features):
    return EncodingModel(features, LAYOUT, penalties=(0.1, 1.0, 10.0)).fit([planted(tiny, s) for s in "abcdef"])


def test_a_planted_linear_brain_is_recovered(tiny, fitted):
    assert top1(fitted.log_likelihood(planted(tiny, "z"), STARTS)) == 1.0
    assert fitted.explained.min() > 0.5
    true = np.random.default_rng(0).normal(size=fitted.weights.shape)
    assert np.corrcoef(fitted.weights.ravel(), true.ravel())[0, 1] > 0.95


def test_a_permuted_pairing_is_at_chance(tiny, fitted):
    runs = [planted(tiny, story) for story in "ghijklmnopqrstuvwxyz"]
    # The text of one story with the responses of another.
    wrong = [replace(run, words=runs[i - 1].words) for i, run in enumerate(runs)]
    found = [top1(fitted.log_likelihood(run, STARTS)) for run in wrong]
    assert np.mean(found) == pytest.approx(1 / 15, abs=3.5 * np.sqrt(14 / 15**2 / 300))


def test_the_order_of_runs_and_windows_changes_nothing(tiny, features, fitted):
    again = EncodingModel(features, LAYOUT, penalties=(0.1, 1.0, 10.0)).fit([planted(tiny, s) for s in "fbdace"])
    run, turned = planted(tiny, "z"), STARTS[::-1]
    found = fitted.log_likelihood(run, STARTS)
    np.testing.assert_allclose(again.log_likelihood(run, turned)[::-1, ::-1], found, rtol=1e-4)
    np.testing.assert_allclose(fitted.log_likelihood(run, turned)[::-1, ::-1], found, rtol=1e-9)


def test_noise_is_that_of_models_fitted_without_each_story(tiny, features):
    runs = [planted(tiny, story) for story in "abcd"]
    model = EncodingModel(features, LAYOUT, penalties=(1.0,), shrinkage=0.1)
    scaled = features.fit([words_by_row(run) for run in runs])
    residuals = []
    for run in runs:
        rest = [(LAYOUT.of_run(scaled(words_by_row(o))), o.responses[:]) for o in runs if o is not run]
        x, y = (np.concatenate(part).astype(np.float64) for part in zip(*rest, strict=True))
        weights = np.linalg.solve(x.T @ x + np.eye(x.shape[1]), x.T @ y)
        residuals.append((run.responses[:] - LAYOUT.of_run(scaled(words_by_row(run))) @ weights).astype(np.float32))
    basis = model.fit(runs).noise.basis
    np.testing.assert_allclose(basis.T @ channel_covariance(residuals, 0.1) @ basis, np.eye(CHANNELS), atol=1e-3)


def test_repeats_of_a_story_are_left_out_together(tiny, features):
    runs = [planted(tiny, story, noise=3.0) for story in "abc"]
    repeats = [replace(run, session=str(i), study="again") for run in runs for i in (1, 2)]
    once, twice = (EncodingModel(features, LAYOUT, penalties=(p,)).fit(r) for r, p in ((runs, 1.0), (repeats, 2.0)))
    np.testing.assert_allclose(twice.explained, once.explained, atol=1e-4)
    np.testing.assert_allclose(twice.weights, once.weights, atol=1e-4)
    assert twice.stories == ("a", "b", "c")


def test_what_is_said_after_a_window_never_moves_its_expectation(tiny, fitted):
    run = planted(tiny, "z")
    rows = words_by_row(run)
    changed = [row if i < 20 else ["face", "he"] for i, row in enumerate(rows)]
    before, after = (fitted.expected(text, [5, 10, 15, 20]) for text in (rows, changed))
    np.testing.assert_array_equal(after[:3], before[:3])
    assert np.abs(after[3] - before[3]).max() > 0.1


def test_a_window_inside_a_run_is_expected_as_the_run_is(tiny, fitted):
    rows = words_by_row(planted(tiny, "z"))
    whole, window = fitted.predict(rows), fitted.expected(rows, [10])[0]
    # With a least delay of one row, the first row after the window is still known in full.
    np.testing.assert_allclose(window[:6], whole[10:16], atol=1e-4)
    assert np.abs(window[6] - whole[16]).max() > 0.05


def test_candidates_may_come_without_the_words_before_them(tiny, fitted):
    run = planted(tiny, "z")
    rows = words_by_row(run)
    alone = fitted.expected_alone([rows[start : start + 5] for start in STARTS])
    np.testing.assert_allclose(alone[0], fitted.expected(rows, [0])[0], atol=1e-4)
    assert np.abs(alone[1] - fitted.expected(rows, [5])[0]).max() > 0.1
    assert top1(fitted.log_likelihood(run, STARTS, alone)) > 0.5


def test_rows_that_were_not_recorded_are_not_judged(tiny, fitted):
    run = planted(tiny, "z", n_rows=81)
    cut = replace(run, responses=Responses(run.responses[:76]))
    # Six rows are left of the last window, seven of those before it.
    last, expected = fitted.observed(run, [70])[:, :6], fitted.expected(words_by_row(run), STARTS)
    white = [fitted.noise.first(6).whiten(part) for part in (last, expected[:, :6])]
    found = fitted.log_likelihood(cut, STARTS, expected)
    by_hand = -0.5 * ((white[0] - white[1]) ** 2).sum(axis=1)
    np.testing.assert_allclose(found[-1] - found[-1, 0], by_hand - by_hand[0], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(found[:-1], fitted.log_likelihood(run, STARTS, expected)[:-1])


def test_only_the_best_channels_are_kept_where_there_are_too_many(tiny, features):
    runs = [planted(tiny, story) for story in "abcd"]
    noisy = []
    for seed, run in enumerate(runs):
        noise = np.random.default_rng(seed).normal(size=(80, 20)).astype(np.float32)
        noisy.append(replace(run, responses=Responses(np.hstack([noise, run.responses[:]]))))
    fitted = EncodingModel(features, LAYOUT, penalties=(1.0,), max_channels=CHANNELS).fit(noisy)
    assert fitted.channels.tolist() == list(range(20, 20 + CHANNELS))
    assert top1(fitted.similarity(noisy[0], STARTS, 5)) == 1.0


def test_features_are_those_counted_by_hand():
    rows = [["queue", "a"], [], ["banana"]]
    found = RateSource(("a", "banana"))(rows)
    np.testing.assert_allclose(found[:, 0], [1, 1, 1])
    np.testing.assert_allclose(found[:, 1], [5, 1, 6])
    np.testing.assert_allclose(found[:, 2], [1, 1, 3])
    np.testing.assert_allclose(found[:, 3], np.log1p([2, 0, 1]), rtol=1e-6)
    np.testing.assert_allclose(found[:, 5], [0, 1, 0])
    plain = EncodingFeatures([Band(RateSource(("a", "banana")))])
    np.testing.assert_allclose(plain(rows)[:, 1], [6, 0, 6])
    assert isinstance(RateSource(()), WordSource)


def test_features_of_training_rows_have_mean_0_and_the_weight_as_spread(tiny, features):
    text = words_by_row(tiny.run(n_rows=300, seed=3))
    rows = features.fit([text])(text)
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-5)
    assert np.sqrt((rows[:, :-1] ** 2).mean()) == pytest.approx(1, rel=1e-4)
    assert rows[:, -1].std() == pytest.approx(2, rel=1e-4)


def test_words_lie_on_the_row_in_which_they_begin(tiny):
    words = [Word("A be", 0.0, 1.0), Word("Cab!", 35 * 2.0045, 71.0), Word("late", 500.0, 501.0)]
    rows = words_by_row(tiny.run(n_rows=40, words=words, repetition_time=2.0045))
    assert rows[0] == ["a", "be"]
    assert rows[35] == ["cab"]
    assert sum(map(len, rows)) == 3


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: Layout(delays=(1, 1)), WrongArgument, r"delays \(1, 1\) .*different delays of 0 rows or more"),
        (lambda: Layout(delays=(1,), reach=2), WrongArgument, "reach 2 .*from 0 to the longest delay"),
        (lambda: EncodingFeatures([]), WrongArgument, "no band, or a band without weight .*weights above 0"),
        (lambda: EncodingFeatures([Band(WordCount())]).fit([[[], []]]), MissingData, "no words in any training run"),
        (
            lambda: EncodingModel(EncodingFeatures([Band(WordCount())]), penalties=(0.0,)),
            WrongArgument,
            "penalties .*Give penalties above 0, and at least one channel and row",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_training_runs_that_cannot_be_fitted_are_refused(tiny, features):
    model = EncodingModel(features, LAYOUT)
    with pytest.raises(BrokenData, match=r"1 training stories .*one is left out at a time"):
        model.fit([planted(tiny, "a")])
    with pytest.raises(BrokenData, match="no training run has the 7 rows of a window"):
        model.fit([tiny.run(story=story, n_rows=6) for story in "ab"])
    with pytest.raises(BrokenData, match=r"runs have \[3, 7\] channels .*runs of one person"):
        model.fit([tiny.run(story="a", n_channels=3), tiny.run(story="b")])


def test_recordings_that_do_not_fit_the_model_are_refused(tiny, fitted):
    with pytest.raises(BrokenData, match="3 channels, but the model reads channel 7"):
        fitted.log_likelihood(tiny.run(n_channels=3), STARTS)
    with pytest.raises(WrongArgument, match=r"windows of 4 rows .*fitted for 5"):
        fitted.similarity(planted(tiny, "z"), STARTS, 4)
