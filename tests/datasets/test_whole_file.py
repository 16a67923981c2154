"""Oracle: a promise (whole or not at all, whoever else writes)."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from plasticode.datasets.whole_file import whole_file, write_text


def test_the_file_is_there_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.nii.gz"
    with whole_file(path) as draft:
        assert draft.name.endswith(".a.nii.gz")
        assert draft.parent == path.parent
        draft.write_bytes(b"one")
        assert not path.exists()
    assert path.read_bytes() == b"one"
    assert list(path.parent.iterdir()) == [path]


def test_what_was_there_stays_when_the_writer_breaks(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.txt", "old é")

    def broken() -> None:
        with whole_file(path) as draft:
            draft.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        broken()
    assert path.read_text(encoding="utf-8") == "old é"
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "a"):
        pass


def test_threads_that_write_the_same_file_do_not_take_each_others_draft(tmp_path: Path) -> None:
    path, together, found = tmp_path / "a", threading.Barrier(4, timeout=30), []

    def write(letter: str) -> None:
        with whole_file(path) as draft:
            draft.write_text(letter * 1000)
            together.wait()  # all drafts are there before the first takes its place
        found.append(letter)

    writers = [threading.Thread(target=write, args=(letter,)) for letter in "abcd"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(found) == list("abcd")
    assert len(set(path.read_text())) == 1
    assert len(path.read_text()) == 1000
