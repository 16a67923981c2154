"""Oracles: the text itself, given back; its file's sha256; published counts of tinyshakespeare."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plasticode.datasets.character_text import CharacterText, read_character_text
from plasticode.datasets.errors import BrokenData, MissingData, WrongArgument

TEXT = "To be,\r\nor Not to be — 是 🙂.\n" * 20


def written(root: Path, text: str) -> CharacterText:
    (root / "a.txt").write_bytes(text.encode())
    return read_character_text(root / "a.txt")


def test_a_text_comes_back_as_it_is_and_has_the_hash_of_its_file(tmp_path: Path) -> None:
    text = written(tmp_path, TEXT)
    assert text.decode(text.ids) == TEXT
    assert text.alphabet == "".join(sorted(set(TEXT)))
    assert text.ids.dtype == np.int64
    assert text.content_hash == hashlib.sha256((tmp_path / "a.txt").read_bytes()).hexdigest()


def test_the_parts_follow_each_other_and_are_the_whole(tmp_path: Path) -> None:
    text = written(tmp_path, TEXT)
    parts = [text.part(name) for name in ("train", "validation", "test")]
    np.testing.assert_array_equal(np.concatenate(parts), text.ids)
    assert [len(part) / len(text) for part in parts] == pytest.approx([0.9, 0.05, 0.05], abs=1 / len(text))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_encoding_and_decoding_are_inverse(written: str) -> None:
    alphabet = "".join(sorted(set(written)))
    text = CharacterText(np.zeros(1, np.int64), alphabet, (1, 1, 1))
    assert text.decode(text.encode(written)) == written


def test_several_files_are_one_text_in_the_order_given(tmp_path: Path) -> None:
    for name, content in (("b", "second " * 10), ("a", "first " * 10)):
        (tmp_path / f"{name}.txt").write_text(content)
    text = read_character_text([tmp_path / "b.txt", tmp_path / "a.txt"], shares=(0.5, 0.25, 0.25))
    assert text.decode(text.ids) == "second " * 10 + "\n" + "first " * 10
    assert text.ends[:2] == (round(len(text) / 2), round(len(text) * 0.75))


def test_what_cannot_be_shared_out_says_why(tmp_path: Path) -> None:
    with pytest.raises(BrokenData, match=r"3 characters are too few for three parts \(.*a\.txt\)"):
        written(tmp_path, "abc")
    with pytest.raises(WrongArgument, match=r"shares \(0\.9, 0\.2, 0\.05\) of train"):
        read_character_text(tmp_path / "a.txt", (0.9, 0.2, 0.05))
    with pytest.raises(WrongArgument, match=r"shares \(1\.0, 0\.0, 0\.0\)"):
        read_character_text(tmp_path / "a.txt", (1.0, 0.0, 0.0))
    with pytest.raises(MissingData, match="no text file or folder"):
        read_character_text(tmp_path / "nothing.txt")


def test_unknown_parts_and_characters_are_named(tmp_path: Path) -> None:
    text = written(tmp_path, TEXT)
    with pytest.raises(WrongArgument, match=r"no part 'dev' of a text.*train, validation, test"):
        text.part("dev")
    with pytest.raises(WrongArgument, match=r"characters 'xz' are not in the alphabet"):
        text.encode("bezx")


def test_tinyshakespeare_has_its_published_counts(real_data: Path) -> None:
    text = read_character_text(real_data / "text" / "tinyshakespeare.txt")
    assert (len(text), len(text.alphabet)) == (1_115_394, 65)
    assert text.content_hash == "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
    assert set(text.part("test")) <= set(text.part("train"))
