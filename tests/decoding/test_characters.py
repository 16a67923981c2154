"""Oracles: hand-made folds, round trips, and any text that hypothesis can think of."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plasticode.decoding.characters import (
    Characters,
    closed,
    ends_unspaced,
    fold,
    mostly_unspaced,
    padded,
    words_are_parted,
)

TRICKY = "aAb\u03a3\u03c3éßİŉﬁ한글中文'\u2019`\u00b4-_.,!? \t\n0५\u00ad\u200d\u0301\u1100\u1161\u0130\u0307"


@settings(deadline=None, max_examples=150, database=None)
@given(st.text() | st.text(alphabet=TRICKY))
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("The CAT,  didn't\tsit!", "the cat didn't sit"),
        ("\u2018rock\u2019 `n` roll", "'rock' 'n' roll"),
        ("a -- ' -- b", "a b"),
        ("naïve Straße", "naïve straße"),
        ("中文\uff0c字", "中文 字"),
        ("hel\u00adlo", "hello"),
        ("e\u00ad\u0301", "é"),
        ("well-known", "well known"),
        ("...", ""),
    ],
)
def test_folding_keeps_letters_of_every_script_and_the_apostrophe(text: str, folded: str) -> None:
    assert fold(text) == folded


def test_encoding_and_decoding_give_the_folded_text_back() -> None:
    characters = Characters.of(["The quick brown fox, isn't it"])
    assert characters.decode(characters.encode("Isn't the FOX quick?")) == "isn't the fox quick"


def test_the_beginning_and_padding_write_nothing() -> None:
    characters = Characters("ab ")
    assert characters.decode([Characters.BEGIN, 1, 2, Characters.BEGIN]) == "ab"
    assert Characters.BEGIN not in characters.encode("ab ba")
    assert len(characters) == 4


def test_characters_outside_the_alphabet_are_left_out() -> None:
    assert Characters("ab ").decode(Characters("ab ").encode("axb ya")) == "ab a"


def test_the_alphabet_comes_from_the_data_without_rare_characters() -> None:
    texts = ["abba " * 100, "z"]
    assert Characters.of(texts, share=0.01).symbols == " ab"
    assert Characters.of(texts).symbols == " abz"
    assert Characters.of(["中"]).symbols == " 中"


def test_the_space_is_its_own_character() -> None:
    characters = Characters("b a")
    assert characters.decode([characters.space]) == " "


def test_repeated_symbols_are_refused() -> None:
    with pytest.raises(ValueError, match="repeat"):
        Characters("aba")


def test_padding_fills_short_texts_with_the_beginning() -> None:
    assert torch.equal(padded([[1, 2, 3], [], [4]]), torch.tensor([[1, 2, 3], [0, 0, 0], [4, 0, 0]]))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("今天 天气 很 好", "今天天气很好"),
        ("他 说 hello world 三 次", "他说 hello world 三次"),
        ("これ は ペン です", "これはペンです"),
        ("ฉัน รัก แมว", "ฉันรักแมว"),
        ("한국어 는 띄어", "한국어 는 띄어"),
        ("the cat sat", "the cat sat"),
        ("𠀀 𠀁", "𠀀𠀁"),
        ("", ""),
    ],
)
def test_a_text_is_written_as_its_script_writes_it(text: str, written: str) -> None:
    assert closed(text) == written
    assert closed(written) == written


@settings(deadline=None, max_examples=100, database=None)
@given(st.text(alphabet="今天a b한ー。'"))
def test_only_blanks_are_ever_taken_away(text: str) -> None:
    assert closed(text).replace(" ", "") == text.replace(" ", "")


def test_a_character_of_a_script_without_blanks_is_whole() -> None:
    assert [ends_unspaced(text) for text in ("今天", "cat", "说cat", "cat说", "한", "天 ", "")] == [
        *(True, False, False, True),
        *(False, False, False),
    ]


def test_texts_tell_whether_blanks_part_their_words() -> None:
    assert words_are_parted(["今天 天气 很 好", "we say 你好"])
    assert words_are_parted(["a cat"])
    assert words_are_parted([])
    assert not words_are_parted(["今天天气很好，我们去看山上的羊。"])
    assert mostly_unspaced(["今天 天气 very 好"])
    assert not mostly_unspaced(["a cat says 你好"])


def test_thousands_of_characters_are_an_alphabet_like_any_other() -> None:
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 6000)))
    characters = Characters.of([text])
    assert len(characters) == 6000 + 2
    assert characters.decode(characters.encode(text)) == text
