"""Oracles: one text at a time through a tiny GPT-2, and sums that must be one."""

import numpy as np
import pytest
import torch
from plasticode.datasets.errors import BrokenData, MissingData, WrongArgument
from plasticode.decoding.causal_words import CausalWords

transformers = pytest.importorskip("transformers")
WORDS = ["the", "cat", "sat", "on", "mat"]  # pieces 2 to 6 of the tiny model


@pytest.fixture
def folder(tiny_gpt):
    return tiny_gpt


@pytest.fixture
def words(folder):
    return CausalWords.of(folder, [*WORDS, "unseen"], fewest=3)


def by_hand(folder, text):
    """Log odds of the five words after one text, among them."""
    network = transformers.GPT2LMHeadModel.from_pretrained(folder).eval()
    with torch.no_grad():
        logits = network(torch.tensor([[0, *(2 + word for word in text)]])).logits[0, -1, 2:7]
    return torch.log_softmax(logits, dim=0).numpy()


def test_only_whole_pieces_are_words(words):
    assert list(words.vocabulary) == WORDS


def test_odds_of_texts_of_any_length_are_those_of_one_at_a_time(words, folder):
    texts = [[], [0, 1], [0, 1, 2, 3, 0], [4]]
    found = words.log_odds(texts)
    for row, text in zip(found, texts, strict=True):
        np.testing.assert_allclose(row, by_hand(folder, text), atol=1e-5)
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, atol=1e-5)


def test_proposals_are_the_likeliest_in_order_whatever_was_asked_before(words, folder):
    for texts in ([[0], [0, 1]], [[0, 1], [2]], [[0]]):
        proposed, odds = words(texts, 3)
        for row, text in enumerate(texts):
            whole = by_hand(folder, text)
            np.testing.assert_array_equal(proposed[row], np.argsort(-whole)[:3])
            np.testing.assert_allclose(odds[row], np.sort(whole)[::-1][:3], atol=1e-5)


def test_only_the_last_words_are_shown(folder):
    words = CausalWords(folder, WORDS, np.arange(2, 7), words=2)
    np.testing.assert_array_equal(words([[3, 3, 0, 1]], 5)[1], words([[0, 1]], 5)[1])


def test_other_weights_and_models_without_words_are_refused(words, folder):
    words.require(words.fingerprint)
    with pytest.raises(BrokenData, match="not the weights"):
        words.require("0" * 64)
    with pytest.raises(WrongArgument, match="5 of 6 words are one piece"):
        CausalWords.of(folder, [*WORDS, "unseen"])
    with pytest.raises(MissingData, match="no such language model"):
        CausalWords.of("nobody/nothing", WORDS)
