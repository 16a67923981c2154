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
from plasticode.decoding.word_beam import WordBeam, WordWriter

LAYOUT = Layout(delays=(1, 2), rows=3, reach=1)
FEW = ("a", "cab", "dead")
COUNTS = np.array([1, 0, 2])


class Odds:
    """The first words of the list are likelier, whatever came before."""

    vocabulary = FEW

    def __call__(self, texts, k):
        odds = np.array([-0.5, -1.0, -1.5], np.float32)[:k]
        return np.tile(np.arange(3)[:k], (len(texts), 1)), np.tile(odds, (len(texts), 1))


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


def writes(model, beam, observed, **more):
    return [FEW[word] for word in WordWriter(model, Odds(), beam).window(observed, COUNTS, **more)]


def laid_out(words):
    return [[words[0]], [], [words[1], words[2]]]


@pytest.mark.parametrize("memory", [0.0, 0.5, 1.0])
def test_a_wide_beam_finds_the_best_of_all_texts(model, memory):
    observed = np.random.default_rng(3).normal(size=(4, 12)).astype(np.float32)
    texts, noise = list(itertools.product(FEW, repeat=3)), model.noise.with_memory(memory)
    likelihood = log_likelihood(observed[None], model.expected_alone([laid_out(text) for text in texts]), noise)
    prior = [sum({"a": -0.5, "cab": -1.0, "dead": -1.5}[word] for word in text) for text in texts]
    best = texts[int((0.1 * likelihood[0] + prior).argmax())]
    found = writes(model, WordBeam(27, 3, 0.1, memory), observed)
    # Neither side looks at the order of words within a row.
    assert (found[0], sorted(found[1:])) == (best[0], sorted(best[1:]))


def test_without_evidence_the_language_model_writes_alone(model):
    observed = np.random.default_rng(4).normal(size=(4, 12)).astype(np.float32)
    assert writes(model, WordBeam(5, 3, 0.0), observed) == ["a", "a", "a"]


def test_planted_words_are_written(model):
    rng, right = np.random.default_rng(5), 0
    for _ in range(20):
        words = rng.choice(FEW, 3).tolist()
        clean = model.expected_alone([laid_out(words)])[0]
        observed = (clean + 0.1 * rng.normal(size=clean.shape)).astype(np.float32)
        found = writes(model, WordBeam(), observed)
        right += found[0] == words[0] and sorted(found[1:]) == sorted(words[1:])
    assert right == 20


def test_responses_to_words_before_the_window_are_taken_off(model):
    words = ["dead", "a", "cab"]
    clean, other = (
        model.expected_alone([laid_out(words)])[0],
        model.expected_alone([laid_out(["a", "dead", "dead"])])[0],
    )
    assert writes(model, WordBeam(), clean + other, expected=other) == writes(model, WordBeam(), clean)


def test_the_language_model_is_told_what_was_written_before(model):
    told = []

    class Listening(Odds):
        def __call__(self, texts, k):
            told.extend(map(tuple, texts))
            return super().__call__(texts, k)

    WordWriter(model, Listening(), WordBeam(1, 1)).window(np.zeros((4, 12), np.float32), COUNTS, before=[2, 1])
    assert told == [(2, 1), (2, 1, 0), (2, 1, 0, 0)]


def test_features_with_context_are_refused(model):
    class States:
        n_features = 1

        def __call__(self, rows):
            return np.zeros((sum(map(len, rows)), 1), np.float32)

    with_states = replace(model, features=EncodingFeatures([Band(States())]))
    with pytest.raises(WrongArgument, match="States needs context"):
        WordWriter(with_states, Odds(), WordBeam())


def test_delays_with_gaps_are_refused(model):
    gaps = replace(model, layout=Layout(delays=(1, 3), rows=3, reach=1))
    with pytest.raises(WrongArgument, match=r"delays \(1, 3\)"):
        writes(gaps, WordBeam(), np.zeros((4, 12), np.float32))


def test_counts_of_other_rows_are_refused(model):
    with pytest.raises(WrongArgument, match="each of 3 rows"):
        WordWriter(model, Odds(), WordBeam()).window(np.zeros((4, 12), np.float32), np.array([1, 2]))


@pytest.mark.parametrize("wrong", [{"hypotheses": 0}, {"proposals": 0}, {"evidence": -1.0}, {"memory": 2.0}])
def test_impossible_beams_are_refused(wrong):
    with pytest.raises(WrongArgument, match="at least one of each"):
        WordBeam(**wrong)
