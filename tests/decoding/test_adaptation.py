"""Oracles: a planted person whose responses are a mixture of two others', regressions written out, refusals."""

import math
from dataclasses import replace

import numpy as np
import pytest
from plasticode.datasets.errors import BrokenData, WrongArgument
from plasticode.datasets.study import Responses
from plasticode.decoding.adaptation import Adaptation, Donor
from plasticode.decoding.encoding_features import Band, EncodingFeatures, VectorSource, WordCount, words_by_row
from plasticode.decoding.encoding_model import EncodingModel
from plasticode.decoding.encoding_windows import Layout
from plasticode.decoding.identification import top_pairs
from plasticode.decoding.stretches import Stretch

LAYOUT = Layout(delays=(1, 2), rows=5, reach=1)
TRAINED, SCORED = "abcdefgh", "uvwxyz"
ROWS, CHANNELS = 80, 6
STARTS = tuple(range(0, 75, 5))


@pytest.fixture
def features(tiny):
    bands = [Band(VectorSource(tiny.vectors())), Band(WordCount(), 2.0, whole=False)]
    return EncodingFeatures(bands).fit([words_by_row(tiny.run(seed=99))])


def recording(tiny, features, who, story, noise=1.0):
    """Persons 0 and 1 hear through weights of their own, and feel what the text does not say; person 2 mixes them."""
    run = tiny.run(subject=f"p{who}", story=story, n_rows=ROWS, seed=ord(story))
    clean = [_clean(features, run, person) for person in (0, 1)]
    mixing = np.random.default_rng(5).normal(size=(2 * CHANNELS, CHANNELS)) / 2
    mine = np.concatenate(clean, axis=1) @ mixing if who == 2 else clean[who]
    own = np.random.default_rng(ord(story) * 10 + who).normal(size=mine.shape)
    return replace(run, responses=Responses((mine + noise * own).astype(np.float32)))


def _clean(features, run, person):
    x = LAYOUT.of_run(features(words_by_row(run)))
    weights = np.random.default_rng(person).normal(size=(x.shape[1], CHANNELS))
    felt = np.random.default_rng(ord(run.story)).normal(size=(ROWS, CHANNELS))
    return x @ weights + 2 * felt


@pytest.fixture
def donors(tiny, features):
    how = EncodingModel(features, LAYOUT, penalties=(1.0, 10.0))
    return {who: how.fit([recording(tiny, features, who, story) for story in TRAINED]) for who in (0, 1)}


def adapted(tiny, features, donors, stories, **settings):
    runs = [recording(tiny, features, 2, story) for story in stories]
    theirs = [Donor(m, [recording(tiny, features, who, story) for story in stories]) for who, m in donors.items()]
    return Adaptation(features, LAYOUT, **settings).fit(runs, theirs)


def top1(tiny, features, model):
    runs = [recording(tiny, features, 2, story) for story in SCORED]
    return np.mean([np.diag(top_pairs(model.log_likelihood(run, STARTS), 1)).mean() for run in runs])


def predicted(tiny, features, model):
    """Correlation of what is expected in new stories with what happens there."""
    runs = [recording(tiny, features, 2, story) for story in SCORED]
    expected = np.concatenate([model.expected(words_by_row(run), STARTS)[:, :5].ravel() for run in runs])
    return np.corrcoef(expected, np.concatenate([run.responses[:75].ravel() for run in runs]))[0, 1]


def test_others_help_where_there_is_little_of_ones_own(tiny, features, donors):
    little = [Stretch(story, "", 0, 12) for story in "ab"]
    of = {who: [part.of(recording(tiny, features, who, part.story)) for part in little] for who in (0, 1, 2)}
    alone = EncodingModel(features, LAYOUT, penalties=(1.0, 10.0, 100.0)).fit(of[2])
    theirs = [Donor(model, of[who]) for who, model in donors.items()]
    found = Adaptation(features, LAYOUT, (1.0, 10.0), (10.0, math.inf)).fit(of[2], theirs)
    assert predicted(tiny, features, found) > predicted(tiny, features, alone) + 0.1


def test_it_is_two_regressions_one_after_the_other(tiny, features, donors):
    found = adapted(tiny, features, donors, "abc", transfer_penalties=(3.0,), own_penalties=(7.0,))
    runs = {who: [recording(tiny, features, who, story) for story in "abc"] for who in (0, 1, 2)}
    stacked = {who: np.concatenate([run.responses[:] for run in part]).astype(float) for who, part in runs.items()}
    rows = [words_by_row(run) for run in runs[2]]
    a = np.concatenate([stacked[who][:, donors[who].channels] for who in (0, 1)], axis=1)
    f = np.concatenate([np.concatenate([donors[who].predict(text) for text in rows]) for who in (0, 1)], axis=1)
    x = np.concatenate([LAYOUT.of_run(features(text)) for text in rows]).astype(float)
    transfer = np.linalg.solve(a.T @ a + 3 * np.eye(a.shape[1]), a.T @ stacked[2])
    own = np.linalg.solve(x.T @ x + 7 * np.eye(x.shape[1]), x.T @ (stacked[2] - f @ transfer))
    np.testing.assert_allclose(found.transfer, transfer, atol=1e-4)
    np.testing.assert_allclose(found.own.weights, own, atol=1e-4)


def test_an_infinite_penalty_leaves_the_persons_own_regression_out(tiny, features, donors):
    found = adapted(tiny, features, donors, "abc", own_penalties=(math.inf,))
    assert not found.own.weights.any()
    assert found.penalties[1] == math.inf


def test_a_wrong_pairing_of_stretches_is_of_no_use(tiny, features, donors):
    right = adapted(tiny, features, donors, "abcd", own_penalties=(math.inf,))
    runs = [recording(tiny, features, 2, story) for story in "abcd"]
    theirs = [Donor(m, [recording(tiny, features, who, story) for story in "bcda"]) for who, m in donors.items()]
    wrong = Adaptation(features, LAYOUT, own_penalties=(math.inf,)).fit(runs, theirs)
    assert wrong.own.explained.mean() < 0.05 < right.own.explained.mean()
    assert top1(tiny, features, wrong) < top1(tiny, features, right) / 2


def test_one_stretch_or_no_donor_is_refused(tiny, features, donors):
    with pytest.raises(WrongArgument, match="2 donors and 1 stretches"):
        adapted(tiny, features, donors, "a")
    with pytest.raises(WrongArgument, match="0 donors and 2 stretches"):
        adapted(tiny, features, {}, "ab")


def test_a_donors_recording_of_other_rows_is_refused(tiny, features, donors):
    runs = [recording(tiny, features, 2, story) for story in "ab"]
    short = [replace(run, responses=Responses(run.responses[:50])) for run in runs]
    with pytest.raises(BrokenData, match="50 rows, but"):
        Adaptation(features, LAYOUT).fit(runs, [Donor(donors[0], short)])


def test_folded_into_one_regression_it_expects_the_same(tiny, features, donors):
    model = adapted(tiny, donors[0].features, donors, TRAINED[:4])
    run = recording(tiny, features, 2, SCORED[0])
    np.testing.assert_allclose(
        model.folded().expected(words_by_row(run), STARTS), model.expected(words_by_row(run), STARTS), atol=1e-4
    )
    np.testing.assert_allclose(
        model.folded().log_likelihood(run, STARTS), model.log_likelihood(run, STARTS), rtol=1e-4, atol=1e-2
    )


def test_donors_of_other_features_cannot_be_folded(tiny, features, donors):
    model = adapted(tiny, features, donors, TRAINED[:4])
    other = replace(model.donors[0], features=EncodingFeatures(features.bands, features.mean + 1, features.scale))
    with pytest.raises(WrongArgument, match="standardised otherwise"):
        replace(model, donors=[other, model.donors[1]]).folded()
