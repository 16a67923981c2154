"""Words in common are marked, as often as both sides have them."""

import re

import numpy as np
import pandas as pd
from plasticode.decoding.report_timeline import frequent_words, shared_words, timeline


def marked(text, other, frequent=()):
    return re.findall(r"<(mark|u)>([^<]*)<", shared_words(text, other, frequent).html)


def test_a_word_is_marked_as_often_as_the_other_text_has_it():
    assert marked("a boat and a boat and a boat", "boat boat") == [("mark", "boat")] * 2


def test_case_and_punctuation_do_not_matter():
    assert marked("The boat, then.", "boat THE") == [("mark", "The"), ("mark", "boat,")]


def test_frequent_words_are_marked_apart():
    assert marked("the boat", "boat the", {"the"}) == [("u", "the"), ("mark", "boat")]


def test_nothing_is_marked_between_texts_without_a_word_in_common():
    assert marked("one two", "three") == []
    assert shared_words("", "three", ()).html == "–"  # the dash of an empty cell


def test_words_are_escaped_marked_or_not():
    assert shared_words("<b> b&c", "b c", ()).html.count("&lt;b&gt;") == 1
    assert "<b>" not in shared_words("<b> <i>", "b", ()).html


def test_the_twelve_most_frequent_words_are_found():
    words = [chr(97 + index) * 3 for index in range(15)]
    texts = [" ".join([word] * (20 - index)) for index, word in enumerate(words)]
    assert frequent_words(texts) == frozenset(words[:12])


def test_ranks_are_shown_only_where_they_belong_to_the_rows():
    texts = pd.DataFrame({"start": [0.0, 80.0], "true": ["a", "b"], "decoded": ["a", "c"]})
    assert "2 / 2" in timeline(texts, (), np.array([1.0, 2.0])).html
    assert "Rank" not in timeline(texts, (), np.array([1.0])).html
    assert ">1:20<" in timeline(texts, ()).html
