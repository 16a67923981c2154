"""Oracles: shingles as tuples of words, compared one by one; text that was copied by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from plasticode.datasets.errors import BrokenData
from plasticode.datasets.study import Word
from plasticode.decoding import split_audit_corpus, split_audit_overlap, split_audit_shingles
from plasticode.decoding.characters import Characters
from plasticode.decoding.split_audit_corpus import STORED, Sketch, corpus_at_hand, spelled
from plasticode.decoding.split_audit_overlap import ALIKE, COPIED, Library, WindowedText, threshold
from plasticode.decoding.split_audit_shingles import shingles, streamed, words_of

WORDS = ["the", "cat", "saw", "the", "dog", "and", "the", "cat", "saw", "the", "dog", "again"]


def drawn(seed, n, vocabulary=500):
    return [f"w{i}" for i in np.random.default_rng(seed).integers(vocabulary, size=n)]


@pytest.mark.parametrize("n", [1, 3, 13])
def test_shingles_are_equal_where_the_words_are(n):
    found = shingles(WORDS, n)
    tuples = [tuple(WORDS[i : i + n]) for i in range(len(WORDS) - n + 1)]
    assert len(found) == len(tuples)
    assert (found[:, None] == found).tolist() == [[a == b for b in tuples] for a in tuples]


def test_the_order_of_words_counts():
    assert shingles(["a", "b"], 2) != shingles(["b", "a"], 2)


def test_case_and_punctuation_change_no_number():
    assert shingles(words_of("One, TWO!"), 2).tolist() == shingles(["one", "two"], 2).tolist()


def test_chinese_is_taken_character_by_character():
    assert words_of("我看见了 the cat。") == ["我", "看", "见", "了", "the", "cat"]


def test_streams_of_any_block_give_all_shingles_and_none_across_texts(monkeypatch):
    texts = [" ".join(drawn(seed, 57)) for seed in (1, 2)]
    whole = np.concatenate([shingles(text.split(), 5) for text in texts])
    for block in (5, 13, 1000):
        monkeypatch.setattr(split_audit_shingles, "BLOCK", block)
        np.testing.assert_array_equal(np.concatenate(list(streamed(texts, 5))), whole)


@pytest.fixture
def windowed(tiny):
    """A text of so many words, one each 0.5 s, in windows of 20 words."""

    def make(words):
        run = tiny.run(n_rows=len(words) // 4, words=[Word(word, i / 2, i / 2) for i, word in enumerate(words)])
        return WindowedText.of(run, tiny.window)

    return make


def test_a_windows_share_is_that_of_its_own_shingles_in_one_passage(windowed):
    source, words = drawn(1, 200), drawn(2, 80)
    words[20:40] = source[100:120]  # window 1 whole
    words[40:50] = source[10:20]  # ten words: 6 of the 16 shingles of window 2
    found = Library({"other": drawn(3, 200), "source": source}).overlap(windowed(words))
    np.testing.assert_allclose(found.share, [0, 1, 6 / 16, 0])
    assert found.story[1:3] == ["source", "source"]


def test_words_from_all_over_a_story_are_no_passage(windowed):
    source, words = drawn(1, 400), drawn(2, 40)
    words[0:7], words[7:14], words[14:20] = source[0:7], source[200:207], source[300:306]
    assert Library({"source": source}).overlap(windowed(words)).share[0] == 0


def test_the_story_itself_can_be_left_out(windowed):
    text = windowed(drawn(1, 80))
    assert Library({"own": text.words}).overlap(text).share.tolist() == [1, 1, 1, 1]
    assert Library({"own": text.words}).overlap(text, but="own").share.tolist() == [0, 0, 0, 0]


def test_the_limit_is_low_only_where_enough_training_text_is_known_to_be_distinct(windowed, monkeypatch):
    monkeypatch.setattr(split_audit_overlap, "ENOUGH", 50)

    def limit(texts):
        return threshold(Library({name: text.words for name, text in texts.items()}), texts)

    many = {str(seed): windowed(drawn(seed, 200)) for seed in range(5)}
    assert limit(many) == ALIKE
    assert limit({name: many[name] for name in ("0", "1")}) == COPIED
    assert limit({**many, "5": many["0"]}) == COPIED


def test_a_sample_and_the_whole_corpus_see_the_same_windows(windowed, tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("PLASTICODE_CACHE", str(tmp_path / "cache"))
    words = drawn(2, 400)
    text, run = windowed(words), tiny.run()
    book = tmp_path / "book.txt"
    book.write_text(" ".join([*drawn(7, 3000), *words[100:260], *drawn(8, 3000)]))
    whole, sample = corpus_at_hand([str(book)], [text]), Sketch.sample([book.read_text()])
    starts = [finding.start for finding in whole.found(run, text)]
    assert starts == [10.0 * window for window in range(5, 13)]
    assert len(sample.numbers) < 0.3 * 6160
    assert {finding.start for finding in sample.found(run, text)} <= set(starts)
    sampled = len(sample.found(run, text))
    assert sampled >= 1


def test_a_corpus_is_read_once(windowed, tmp_path, monkeypatch):
    monkeypatch.setenv("PLASTICODE_CACHE", str(tmp_path / "cache"))
    book, text = tmp_path / "book.txt", windowed(drawn(2, 80))
    book.write_text(" ".join(text.words))
    first = corpus_at_hand([str(book)], [text])
    monkeypatch.setattr(split_audit_corpus, "read_documents", None)
    np.testing.assert_array_equal(corpus_at_hand([str(book)], [text]).numbers, first.numbers)


def test_stored_numbers_are_read_back_and_damage_is_named(tmp_path):
    sketch = Sketch.sample([" ".join(drawn(1, 500))])
    assert Sketch.load(tmp_path) is None
    sketch.save(tmp_path)
    held = Sketch.load(tmp_path)
    np.testing.assert_array_equal(held.numbers, sketch.numbers)
    assert held.one_in == sketch.one_in
    (tmp_path / STORED).write_bytes((tmp_path / STORED).read_bytes()[:-9])
    with pytest.raises(BrokenData, match="hashes of the read text cannot be read"):
        Sketch.load(tmp_path)


def test_ids_are_spelled_as_the_alphabet_has_them(monkeypatch):
    characters = Characters(" abcdefgh")
    ids = torch.tensor(characters.encode("a bad cafe feed"), dtype=torch.int16).numpy()
    monkeypatch.setattr(split_audit_corpus, "CHARACTERS", 6)
    assert "".join(spelled(ids, characters.symbols)) == "a bad cafe feed"
