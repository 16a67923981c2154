"""The grammar's text: its alphabet, its topics, its timing."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from plasticode.datasets.grammar import LEAD_IN, RATES, corpus, story
from plasticode.datasets.lexicon import FUNCTION_WORDS, TOPICS, lexical_class

ALPHABET = set("abcdefghijklmnopqrstuvwxyz '")


def test_text_holds_only_letters_space_and_apostrophe() -> None:
    assert set(corpus(0, 20_000)) <= ALPHABET
    assert set("".join(word.text for word in story(0, 300.0))) <= ALPHABET


def test_the_same_seed_gives_the_same_story_and_another_seed_or_index_another() -> None:
    assert story(3, 100.0) == story(3, 100.0)
    texts = [[word.text for word in heard] for heard in (story(3, 100.0), story(4, 100.0), story(3, 100.0, index=1))]
    assert texts[0] != texts[1]
    assert texts[0] != texts[2]


def test_a_longer_story_begins_with_the_shorter_one() -> None:
    short = story(0, 100.0)
    assert story(0, 200.0)[: len(short)] == short


def test_words_follow_each_other_within_the_duration() -> None:
    words = story(1, 380.0)
    assert words[0].onset == LEAD_IN
    assert all(one.offset <= next_one.onset for one, next_one in pairwise(words))
    assert 370 < words[-1].offset <= 380


def test_the_speaking_rate_stays_in_its_range_and_varies() -> None:
    onsets = np.array([word.onset for word in story(2, 2000.0)])
    rates = np.histogram(onsets, np.arange(0, 2000, 10.0))[0] / 10
    assert RATES[0] * 0.7 < rates.min() < rates.max() < RATES[1] * 1.2
    assert rates.std() > 0.3


def test_longer_words_take_longer() -> None:
    words = story(0, 400.0)
    letters = [len(word.text) for word in words]
    assert np.corrcoef(letters, [word.offset - word.onset for word in words])[0, 1] > 0.7


def test_topics_share_no_word_and_no_function_word() -> None:
    content = [word for topic in TOPICS for word in topic.words]
    assert len(content) == len(set(content))
    assert not set(content) & FUNCTION_WORDS


def test_every_word_of_the_grammar_is_a_function_word_or_of_a_topic() -> None:
    content = {word for topic in TOPICS for word in topic.words}
    assert {word.text for word in story(0, 2000.0)} <= content | FUNCTION_WORDS


def test_a_topic_persists_and_then_gives_way() -> None:
    classes = [lexical_class(word.text, len(TOPICS)) for word in story(0, 2000.0)]
    topics = np.array([index for index in classes if index is not None])
    same = (topics[1:] == topics[:-1]).mean()
    assert 0.75 < same < 0.97
    assert np.bincount(topics, minlength=len(TOPICS)).min() > 0


def test_no_stretch_of_a_story_is_in_the_corpus() -> None:
    text, words = corpus(0, 200_000), [word.text for word in story(0, 300.0)]
    passages = [" ".join(words[start : start + 40]) for start in range(0, len(words) - 40, 20)]
    assert not any(passage in text for passage in passages)


def test_the_corpus_has_the_length_that_was_asked_for() -> None:
    assert len(corpus(0, 1234)) == 1234


def test_an_unknown_content_word_has_a_class_and_a_function_word_none() -> None:
    assert lexical_class("wonderland", 4) in range(4)
    assert lexical_class("wonderland", 4) == lexical_class("wonderland", 4)
    assert lexical_class("the", 4) is None
    assert lexical_class("with", 4) is None
