"""Oracles: all ways of parting a short stretch, tried one by one; parts that can be read off."""

import math
from collections import Counter
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plasticode.decoding.segmentation import Segmentation

COUNTS = {"山": 3, "山羊": 4, "羊": 1, "羊河": 2, "河": 5, "山羊河": 1, "山河山河": 2}


def score(words: list[str], counts: dict[str, int]) -> float:
    """Log probability by the module's docstring."""
    total = sum(counts.values())
    if any(word not in counts and len(word) > 1 for word in words):
        return -math.inf
    return sum(math.log(counts.get(word, 0.5) / total) for word in words)


def best_by_hand(stretch: str, counts: dict[str, int]) -> float:
    """Of every choice of places to cut."""
    cuts = product(["", " "], repeat=len(stretch) - 1)
    ways = ("".join(map("".join, zip(stretch, (*cut, ""), strict=True))).split() for cut in cuts)
    return max(score(words, counts) for words in ways)


@settings(deadline=None, max_examples=80, database=None)
@given(st.text(alphabet="山羊河天", min_size=1, max_size=8))
def test_no_other_way_of_parting_is_likelier(stretch: str) -> None:
    words = Segmentation(COUNTS).split(stretch)
    assert "".join(words) == stretch
    assert score(words, COUNTS) == pytest.approx(best_by_hand(stretch, COUNTS))


@settings(deadline=None, max_examples=50, database=None)
@given(st.text(alphabet="山羊河天ab ", max_size=12))
def test_parting_twice_is_parting_once_and_changes_no_character(text: str) -> None:
    segmentation = Segmentation(COUNTS)
    parted = segmentation(text)
    assert segmentation(parted) == parted
    assert parted.replace(" ", "") == text.replace(" ", "")


def test_prose_is_parted_as_the_transcripts_are() -> None:
    segmentation = Segmentation.of(["今天 天气 很 好", "今天 很 冷"])
    assert segmentation("今天天气很冷 今天好") == "今天 天气 很 冷 今天 好"


def test_unknown_characters_are_words_by_themselves() -> None:
    assert Segmentation.of(["今天 好"])("今天猫好狗") == "今天 猫 好 狗"
    assert Segmentation.of([])("今天好") == "今 天 好"
    assert Segmentation(Counter())("") == ""


def test_other_scripts_stay_as_they_are() -> None:
    text = "the cat's 9 lives wo die zitronen blühn 한국어 는"
    assert Segmentation.of(["今天 the cat"])(text) == text
    assert Segmentation.of(["今天 cat"])("他说cat今天") == "他 说 cat 今天"
