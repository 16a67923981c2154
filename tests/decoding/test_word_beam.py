"""Oracles: all texts one by one, the model's own expectation, a planted brain, a language model of known odds."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from plasticode.datasets.errors import WrongArgument
from plasticode.datasets.study import Responses
from plasticode.decoding.encoding_features import Band, EncodingFeatures, VectorSource, WordCount, words_by_row
from plasticode.decoding.encoding_model import EncodingModel
from plasticode.decoding.encoding_windows import Layout
from plasticode.decoding.likelihood import log_likelihood
from plasticode.decoding.word_beam import WordBeam, _Effects

LAYOUT = Layout(delays=(1, 2), rows=3, reach=1)
FEW = ("a", "cab", "dead")
COUNTS = np.array([1, 0, 2])


def odds(texts, k):
    """The first words of the list are likelier, whatever came before."""
    return [list(FEW)[:k] for _ in texts], [[-0.5, -1.0, -1.5][:k] for _ in texts]


def planted(tiny, story, noise=0.3):
    run = tiny.run(story=story, n_rows=80, seed=sum(map(ord, story)))
    bands = [Band(VectorSource(tiny.vectors())), Band(WordCount())]
    laid = EncodingFeatures(bands).fit([words_by_row(tiny.run(seed=99))])(words_by_row(run))
    rng = np.random.default_rng(0)
    clean = LAYOUT.of_run(laid) @ rng.normal(size=(2 * laid.shape[1], 12))
    noisy = clean + noise * np.random.default_rng(ord(story[0])).normal(size=clean.shape)
    return replace(run, responses=Responses(noisy.astype(np.float32)))


@pytest.fixture
def model(tiny):
    bands = [Band(VectorSource(tiny.vectors())), Band(WordCount(), 2.0, whole=False)]
    return EncodingModel(EncodingFeatures(bands), LAYOUT, penalties=(0.1,)).fit([planted(tiny, s) for s in "abcdef"])


def laid_out(words):
    return [[words[0]], [], [words[1], words[2]]]


def test_effects_of_words_add_up_to_what_the_model_expects(model):
    effects, words = _Effects(model), ("cab", "a", "dead")
    total = sum(effects.silence(row) for row in range(3))
    for row, word in ((0, words[0]), (2, words[1]), (2, words[2])):
        total = total + effects.words(row, [word])[0]
    expected = model.noise.whiten(model.expected_alone([laid_out(words)]).astype(np.float64))[0]
    np.testing.assert_allclose(total, expected, atol=1e-4)


def test_a_wide_beam_finds_the_best_of_all_texts(model):
    observed = np.random.default_rng(3).normal(size=(4, 12)).astype(np.float32)
    texts = list(itertools.product(FEW, repeat=3))
    likelihood = log_likelihood(observed[None], model.expected_alone([laid_out(text) for text in texts]), model.noise)
    prior = [sum({"a": -0.5, "cab": -1.0, "dead": -1.5}[word] for word in text) for text in texts]
    best = texts[int((0.1 * likelihood[0] + prior).argmax())]
    found = WordBeam(27, 3, 0.1).write(model, odds, observed, COUNTS)
    # Neither side looks at the order of words within a row.
    assert (found[0], sorted(found[1:])) == (best[0], sorted(best[1:]))


def test_without_evidence_the_language_model_writes_alone(model):
    observed = np.random.default_rng(4).normal(size=(4, 12)).astype(np.float32)
    assert WordBeam(5, 3, 0.0).write(model, odds, observed, COUNTS) == ["a", "a", "a"]


def test_planted_words_are_written(model):
    rng, right = np.random.default_rng(5), 0
    for _ in range(20):
        words = rng.choice(FEW, 3).tolist()
        clean = model.expected_alone([laid_out(words)])[0]
        observed = (clean + 0.1 * rng.normal(size=clean.shape)).astype(np.float32)
        found = WordBeam().write(model, odds, observed, COUNTS)
        right += found[0] == words[0] and sorted(found[1:]) == sorted(words[1:])
    assert right == 20


def test_the_language_model_is_told_what_was_written_before(model):
    told = []

    def listening(texts, k):
        told.extend(map(tuple, texts))
        return odds(texts, k)

    WordBeam(1, 1).write(model, listening, np.zeros((4, 12), np.float32), COUNTS, before=["he", "had"])
    assert told == [("he", "had"), ("he", "had", "a"), ("he", "had", "a", "a")]


def test_what_cannot_be_written_is_refused(model):
    observed = np.zeros((4, 12), np.float32)
    with pytest.raises(WrongArgument, match=r"2 counts .*one for each of 3 rows"):
        WordBeam().write(model, odds, observed, np.array([1, 1]))
    with pytest.raises(WrongArgument, match=r"hypotheses 0, .*at least one of each"):
        WordBeam(hypotheses=0)
    needy = replace(model, features=EncodingFeatures([Band(Looks())]))
    with pytest.raises(WrongArgument, match=r"Looks needs context .*word vectors and rate alone"):
        WordBeam().write(needy, odds, observed, COUNTS)


class Looks:
    """A source that is not known to look at one word at a time."""

    n_features = 1

    def __call__(self, rows):
        return np.ones((sum(map(len, rows)), 1), np.float32)
