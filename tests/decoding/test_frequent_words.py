"""Oracle: counted by hand."""

import pytest
from plasticode.datasets.errors import MissingData
from plasticode.decoding.frequent_words import frequent_words


def test_the_most_frequent_words_come_in_turn_at_the_right_length() -> None:
    texts = ["The cat, the dog", "the cat a"]
    assert frequent_words(texts, [5, 0, 2], n_frequent=3) == ["the cat a the cat", "", "the cat"]


def test_the_order_of_the_texts_does_not_matter() -> None:
    assert frequent_words(["b a", "c c"], [3]) == frequent_words(["c c", "a b"], [3]) == ["c a b"]


def test_texts_without_words_are_refused() -> None:
    with pytest.raises(MissingData, match="no words to count"):
        frequent_words(["...", ""], [3])
