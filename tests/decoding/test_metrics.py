"""Oracles: jiwer and sacrebleu on the diagonal, brute-force edit distance everywhere."""

import sys
from collections.abc import Sequence
from types import ModuleType

import jiwer
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plasticode.datasets.errors import BrokenData
from plasticode.decoding.characters import closed, fold
from plasticode.decoding.metrics import (
    bleu1_pairs,
    cer_pairs,
    inapplicable,
    meteor_pairs,
    meteor_unavailable,
    wer_pairs,
)
from sacrebleu.metrics import BLEU

TRUE = ["the cat sat on the mat", "it's 9 o'clock and the the end", "wo die zitronen blühn", "他 说 你好"]
DECODED = ["a cat sat on on the mat", "the the the the", "", "他 你好 吗"]
WORDS = st.lists(st.sampled_from(["a", "the", "it's", "cat", "sat", "你好"]), min_size=1, max_size=9).map(" ".join)


def edits_by_hand(first: Sequence[str], second: Sequence[str]) -> int:
    """The textbook recursion over a full table."""
    table = np.zeros((len(first) + 1, len(second) + 1), int)
    table[:, 0], table[0] = np.arange(len(first) + 1), np.arange(len(second) + 1)
    for i, left in enumerate(first, 1):
        for j, right in enumerate(second, 1):
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (left != right))
    return int(table[-1, -1])


def test_folding_keeps_letters_digits_and_apostrophes_of_every_script() -> None:
    assert fold("  Don\u2019t STOP -- it\u2019s 9:30!\n") == "don't stop it's 9 30"
    assert fold("他说:“你好”。") == "他说 你好"
    assert fold("Où BLÜHN") == "où blühn"
    assert fold("हिन्दी") == "हिन्दी"
    assert fold("co\u00adoperate ' '") == "cooperate"


@given(st.text(max_size=30))
@settings(max_examples=100, deadline=None)
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize(("pairs", "split"), [(cer_pairs, lambda text: list(closed(text))), (wer_pairs, str.split)])
def test_error_rates_equal_brute_force_edit_distance(pairs, split) -> None:
    expected = [[edits_by_hand(split(d), split(t)) / len(split(t)) for t in TRUE] for d in DECODED]
    np.testing.assert_allclose(pairs(DECODED, TRUE), expected, rtol=1e-15)


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_the_diagonal_equals_jiwer_and_sacrebleu(windows: list[tuple[str, str]]) -> None:
    decoded, true = [d for d, _ in windows], [t for _, t in windows]
    bleu = BLEU(max_ngram_order=1, effective_order=True, tokenize="none")
    written = [(closed(d), closed(t)) for d, t in windows]
    np.testing.assert_allclose(np.diag(cer_pairs(decoded, true)), [jiwer.cer(t, d) for d, t in written])
    np.testing.assert_allclose(np.diag(wer_pairs(decoded, true)), [jiwer.wer(t, d) for d, t in windows])
    np.testing.assert_allclose(
        np.diag(bleu1_pairs(decoded, true)), [bleu.sentence_score(d, [t]).score / 100 for d, t in windows], atol=1e-12
    )


def test_bleu1_off_the_diagonal_equals_sacrebleu() -> None:
    bleu = BLEU(max_ngram_order=1, effective_order=True, tokenize="none")
    expected = [[bleu.sentence_score(d, [t]).score / 100 for t in TRUE] for d in DECODED]
    np.testing.assert_allclose(bleu1_pairs(DECODED, TRUE), expected, atol=1e-12)


def test_how_chinese_is_segmented_counts_in_words_and_not_in_characters() -> None:
    true, same, other = "今天 天气 很 好", "今 天天 气很好", "今天 天气 不 好"
    assert cer_pairs([true, same, "今天天气很好", other], [true]).ravel().tolist() == [0, 0, 0, 1 / 6]
    assert wer_pairs([true, same, other], [true]).ravel().tolist() == [0, 1, 0.25]
    assert bleu1_pairs([true, same, other], [true]).ravel().tolist() == [1, 0, 0.75]


def test_blanks_beside_other_scripts_are_characters() -> None:
    assert cer_pairs(["他说hello"], ["他 说 hello"]).item() == 1 / len("他说 hello")
    assert cer_pairs(["ab"], ["a b"]).item() == 1 / 3


def test_word_metrics_are_said_to_be_inapplicable_where_no_blanks_part_words() -> None:
    assert inapplicable(["the cat sat", "wo die zitronen blühn"]) == {}
    assert inapplicable(["今天 天气 很 好"]) == {"meteor": "its word lists are English"}
    unparted = inapplicable(["今天天气很好", "我们去看山上的羊"])
    assert sorted(unparted) == ["bleu1", "meteor", "wer"]
    assert unparted["wer"] == "no blanks part the words of these texts: score characters"
    assert inapplicable([]) == {}


def test_an_empty_decoded_text_is_all_deletions() -> None:
    assert cer_pairs([""], ["abc def"]).item() == 1
    assert wer_pairs(["?!"], ["abc def"]).item() == 1
    assert bleu1_pairs([""], ["abc def"]).item() == 0


@pytest.mark.parametrize("pairs", [cer_pairs, wer_pairs, bleu1_pairs])
def test_an_empty_truth_is_refused(pairs) -> None:
    with pytest.raises(BrokenData, match=r"1 window\(s\) have no true text.*window 1.*Leave out windows"):
        pairs(["a", "b"], ["a", " ... "])


@pytest.mark.parametrize("pairs", [cer_pairs, wer_pairs, bleu1_pairs])
def test_case_and_punctuation_count_on_neither_side(pairs) -> None:
    np.testing.assert_array_equal(pairs(["The CAT, sat!"], ["it sat."]), pairs(["the cat sat"], ["It... sat"]))


def test_meteor_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plasticode.decoding.metrics.find_spec", lambda name: None)
    assert meteor_unavailable() == "nltk is not installed"


def test_meteor_scores_every_decoded_text_against_every_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = ModuleType("nltk.translate.meteor_score")
    fake.single_meteor_score = lambda reference, hypothesis: len(reference) + 100 * len(hypothesis)  # type: ignore[attr-defined]
    for name in ("nltk", "nltk.translate"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "nltk.translate.meteor_score", fake)
    np.testing.assert_array_equal(meteor_pairs(["a b", "c"], ["x", "x y z"]), [[201, 203], [101, 103]])
