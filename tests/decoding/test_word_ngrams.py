"""Oracles: counts by the definition, and sums that must be one."""

import numpy as np
import pytest
from plasticode.datasets.errors import MissingData, WrongArgument
from plasticode.decoding.word_ngrams import DISCOUNT, WordNgrams

VOCABULARY = ["a", "be", "cab", "dead"]
TEXT = "a be a be cab a be cab dead a zebra be a"


def by_definition(words, order, context, vocabulary=VOCABULARY):
    """p of every word, by counting as the papers write it."""
    unknown = len(vocabulary)
    ids = [unknown] * (order - 1) + [vocabulary.index(w) if w in vocabulary else unknown for w in words]
    ids += [unknown] * (order - 1)
    grams = {}
    for i in range(len(ids) - order + 1):
        gram = tuple(ids[i : i + order])
        if gram[-1] != unknown:
            grams[gram] = grams.get(gram, 0) + 1
    levels = {order: grams}
    for n in range(order - 1, 0, -1):
        lower = {}
        for gram in levels[n + 1]:
            lower[gram[1:]] = lower.get(gram[1:], 0) + 1
        levels[n] = lower
    total = sum(levels[1].values()) + 0.5 * len(vocabulary)
    chances = np.array([(levels[1].get((w,), 0) + 0.5) / total for w in range(len(vocabulary))])
    for n in range(2, order + 1):
        followers = {gram[-1]: count for gram, count in levels[n].items() if gram[:-1] == tuple(context[-(n - 1) :])}
        if followers:
            seen = sum(followers.values())
            lower = chances * DISCOUNT * len(followers) / seen
            chances = lower + np.array([max(followers.get(w, 0) - DISCOUNT, 0) / seen for w in range(len(vocabulary))])
    return chances


@pytest.mark.parametrize("order", [2, 3, 4])
@pytest.mark.parametrize("context", [(), (0,), (0, 1), (1, 2, 0), (3, 3, 3), (4, 0)])
def test_odds_are_those_of_the_definition(order, context):
    model = WordNgrams.fit(VOCABULARY, [TEXT], order=order)
    padded = ((len(VOCABULARY),) * order + context)[-(order - 1) :]
    np.testing.assert_allclose(np.exp(model.log_odds(context)), by_definition(TEXT.split(), order, padded), rtol=1e-5)


def test_probabilities_sum_to_one():
    model = WordNgrams.fit(VOCABULARY, [TEXT], ["cab dead dead be", "a a a"], share=0.3)
    for context in ((), (0, 1), (3, 3)):
        assert np.exp(model.log_odds(context)).sum() == pytest.approx(1, abs=1e-5)


def test_two_bodies_are_mixed_by_their_share():
    both = WordNgrams.fit(VOCABULARY, [TEXT], ["cab dead"], share=0.3)
    stories, prose = WordNgrams.fit(VOCABULARY, [TEXT]), WordNgrams.fit(VOCABULARY, [], ["cab dead"])
    mixed = 0.3 * np.exp(stories.log_odds((0,))) + 0.7 * np.exp(prose.log_odds((0,)))
    np.testing.assert_allclose(np.exp(both.log_odds((0,))), mixed, rtol=1e-5)


def test_proposals_are_the_likeliest_words_in_order():
    model = WordNgrams.fit(VOCABULARY, [TEXT])
    words, odds = model([(0,), (0, 1)], 3)
    for row, context in enumerate([(0,), (0, 1)]):
        whole = model.log_odds(context)
        np.testing.assert_array_equal(words[row], np.argsort(-whole, kind="stable")[:3])
        np.testing.assert_array_equal(odds[row], whole[words[row]])


def test_texts_do_not_run_into_each_other():
    apart, joined = WordNgrams.fit(VOCABULARY, ["a be", "cab a"]), WordNgrams.fit(VOCABULARY, ["a be cab a"])
    assert np.exp(apart.log_odds((1,)))[2] < np.exp(joined.log_odds((1,)))[2]


def test_it_comes_back_from_its_arrays():
    model = WordNgrams.fit(VOCABULARY, [TEXT], ["cab dead"])
    again = WordNgrams.of(VOCABULARY, model.arrays())
    np.testing.assert_array_equal(model.log_odds((0, 1)), again.log_odds((0, 1)))


def test_what_cannot_be_counted_is_refused():
    with pytest.raises(MissingData, match="no text to count"):
        WordNgrams.fit(VOCABULARY, [])
    with pytest.raises(WrongArgument, match="order 7"):
        WordNgrams.fit(VOCABULARY, [TEXT], order=7)
    with pytest.raises(WrongArgument, match="share 1"):
        WordNgrams.fit(VOCABULARY, [TEXT], share=1.0)
