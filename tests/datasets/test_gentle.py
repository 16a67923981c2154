"""Oracles: alignments written by hand in Gentle's two layouts; places that can be counted out."""

import json
from pathlib import Path

import pytest
from plasticode.datasets.errors import BrokenData, MissingData
from plasticode.datasets.gentle import Aligned, alignment_file, placed, read_alignment

WORDS = [Aligned("Once", 1.0, 1.5), Aligned("oh"), Aligned("nan", 2.5, 3.0)]
TABLE = "Once,once,1.0,1.5\noh,,,\n\nnan,<unk>,2.5,3.0\n"
CASES = [
    {"case": "success", "word": "Once", "alignedWord": "once", "start": 1.0, "end": 1.5},
    {"case": "not-found-in-transcript", "word": "uh", "start": 1.6, "end": 1.7},
    {"case": "not-found-in-audio", "word": "oh"},
    {"case": "success", "word": "nan", "alignedWord": "<unk>", "start": 2.5, "end": 3.0},
]


def test_table_and_json_hold_the_same_words(tmp_path: Path) -> None:
    (tmp_path / "align.csv").write_text(TABLE)
    (tmp_path / "align.json").write_text(json.dumps({"transcript": "Once oh nan", "words": CASES}))
    assert read_alignment(tmp_path / "align.csv") == WORDS
    assert read_alignment(tmp_path / "align.json") == WORDS


def test_the_table_comes_before_the_json_and_an_annex_key_counts_as_being_there(tmp_path: Path) -> None:
    assert alignment_file(tmp_path) is None
    (tmp_path / "align.json").write_text("{}")
    assert alignment_file(tmp_path) == tmp_path / "align.json"
    (tmp_path / "align.csv").symlink_to("../.git/annex/objects/Ab/Cd/MD5E-s12--0/MD5E-s12--0.csv")
    path = alignment_file(tmp_path)
    assert path == tmp_path / "align.csv"
    with pytest.raises(MissingData, match=r"git-annex pointer instead of content \(key MD5E-s12--0\.csv, 12 bytes"):
        read_alignment(path)


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("align.csv", "one,two\n", r"2 columns instead of word, aligned, start and end .*line 1"),
        ("align.csv", "a,a,1.0,2.0\nb,b,soon,2.0\n", r"a word from 'soon' to '2\.0' s .*line 2"),
        ("align.csv", "a,a,2.0,1.0\n", r"a word from '2\.0' to '1\.0' s"),
        ("align.csv", "a,a,1.0,\n", r"a word from '1\.0' to None s"),
        ("align.csv", "a,a,1.0,inf\n", r"a word from '1\.0' to 'inf' s"),
        ("align.json", "{", "the alignment cannot be read"),
        ("align.json", "[]", "no list of words with their text"),
        ("align.json", '{"words": [{"case": "success"}]}', "no list of words with their text"),
        ("align.json", '{"words": [{"word": "a", "start": [], "end": 1}]}', r"a word from \[\] to 1 s .*word 1"),
    ],
)
def test_another_layout_is_named(tmp_path: Path, name: str, content: str, what: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(BrokenData, match=what):
        read_alignment(tmp_path / name)


def test_text_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "align.csv").write_bytes(b"caf\xe9,cafe,1,2\n")
    with pytest.raises(BrokenData, match="the alignment cannot be read: 'utf-8' codec"):
        read_alignment(tmp_path / "align.csv")


def spoken(words: list[Aligned], *args: float) -> list[tuple[str, float, float]]:
    return [(word.text, word.onset, word.offset) for word in placed(words, *args)]


def test_words_move_to_the_clock_of_the_run() -> None:
    assert spoken([Aligned("a", 1.0, 1.5), Aligned("b", 2.0, 2.25)], 4.5) == [("a", 5.5, 6.0), ("b", 6.5, 6.75)]


def test_words_that_were_not_found_share_the_gap_evenly() -> None:
    words = [Aligned("a", 0.0, 1.0), Aligned("b"), Aligned("c"), Aligned("d", 4.0, 5.0), Aligned("e", 5.0, 6.0)]
    assert spoken(words, 10.0) == [
        ("a", 10.0, 11.0),
        ("b", 11.0, 12.5),
        ("c", 12.5, 14.0),
        ("d", 14.0, 15.0),
        ("e", 15.0, 16.0),
    ]


def test_a_gap_that_overlaps_leaves_words_without_duration() -> None:
    assert spoken([Aligned("a", 0.0, 3.0), Aligned("b"), Aligned("c", 2.0, 4.0)], 0.0)[1:] == [
        ("c", 2.0, 4.0),
        ("b", 3.0, 3.0),
    ]


def test_words_in_the_music_are_taken_to_the_story() -> None:
    words = [Aligned("a", 2.0, 3.0), Aligned("b"), Aligned("c", 23.0, 24.0), Aligned("d", 24.0, 25.0)]
    assert spoken(words, 0.0, 21.0)[:2] == [("a", 21.0, 22.0), ("b", 22.0, 23.0)]
    assert spoken(words, 0.0, 5.0)[0] == ("a", 2.0, 3.0)  # the story's onset is known to about a repetition


def test_a_story_that_begins_before_its_onset_is_not_turned_around() -> None:
    assert spoken([Aligned("a"), Aligned("b", 20.0, 20.5)], 0.0, 21.0) == [("a", 20.0, 20.0), ("b", 20.0, 20.5)]


def test_words_without_a_neighbour_are_left_out() -> None:
    assert spoken([Aligned("a"), Aligned("b", 1.0, 2.0), Aligned("c")], 0.0) == [("b", 1.0, 2.0)]
    assert spoken([Aligned("a"), Aligned("b")], 0.0) == []
    assert spoken([], 0.0) == []
