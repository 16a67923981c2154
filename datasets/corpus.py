"""Text files for a language model: plain files and tar archives, read in memory and never unpacked."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import BrokenData, MissingData


@dataclass(frozen=True)
class Document:
    """One text and where it came from."""

    source: str
    text: str


def read_documents(paths: Sequence[str | Path]) -> list[Document]:
    """Documents of .txt files, of .txt members of tar archives, and of all .txt files below folders, sorted by name.

    Raises `MissingData` for a path that is not there or holds no text, `BrokenData` for what is not UTF-8 or not a tar.
    """
    documents = [document for path in paths for document in _documents(Path(path))]
    if paths and not documents:
        raise MissingData(
            "no .txt file", ", ".join(map(str, paths)), "Name files, folders or archives with .txt files."
        )
    return documents


def _documents(path: Path) -> list[Document]:
    if path.is_dir():
        return [_plain(file) for file in sorted(path.rglob("*.txt"))]
    if not path.is_file():
        raise MissingData("no text file or folder", path, "Check the path in the config.")
    return [_plain(path)] if path.suffix == ".txt" else _members(path)


def _plain(path: Path) -> Document:
    return Document(path.name, _decoded(path.read_bytes(), path.name))


def _members(path: Path) -> list[Document]:
    try:
        with tarfile.open(path) as archive:
            # Only regular files are read, and only into memory: links and paths in the archive lead nowhere.
            members = sorted((m for m in archive if m.isfile() and m.name.endswith(".txt")), key=lambda m: m.name)
            streams = [(member.name, archive.extractfile(member)) for member in members]
            return [Document(name, _decoded(stream.read(), name)) for name, stream in streams if stream is not None]
    except tarfile.TarError as error:
        raise BrokenData(
            f"not a readable tar archive: {error}", path, "Give a .txt file or a .tar(.gz|.xz)."
        ) from error


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BrokenData(f"not UTF-8 at byte {error.start}", name, "Convert the text to UTF-8.") from error
