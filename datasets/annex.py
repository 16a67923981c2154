"""git-annex: files whose content was not brought along, and the size and checksum that their names promise.

A repository under git-annex (every OpenNeuro and DataLad clone) holds either a symbolic link into
`.git/annex/objects` or a text file that reads `/annex/objects/KEY` until the content is fetched. A key reads
`BACKEND-sSIZE--HASH.ext` (git-annex documentation, "key_format").
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from .errors import MissingData

POINTER = b"/annex/objects/"
LARGEST_POINTER = 32 * 1024  # bytes: git-annex itself reads no more of a file to tell whether it is a pointer
KEY = re.compile(r"(?P<backend>[A-Z0-9_]+)(?:-s(?P<size>\d+))?(?:-[mSC]\d+)*--(?P<name>[^\s/]+)")


@dataclass(frozen=True, slots=True)
class AnnexKey:
    """Names the content of a file: `size` in bytes, md5 or sha256 where the backend is one of these."""

    key: str
    size: int | None
    md5: str | None
    sha256: str | None


def parse_key(text: str) -> AnnexKey | None:
    """The key in the text of a pointer file or the target of a link; None when there is none."""
    match = KEY.fullmatch(text.strip().splitlines()[0].rsplit("/", 1)[-1]) if text.strip() else None
    if match is None:
        return None
    size, backend, digest = match["size"], match["backend"].removesuffix("E"), match["name"].split(".")[0]
    return AnnexKey(
        match.group(),
        int(size) if size else None,
        digest if backend == "MD5" and re.fullmatch("[0-9a-f]{32}", digest) else None,
        digest if backend == "SHA256" and re.fullmatch("[0-9a-f]{64}", digest) else None,
    )


def pointer_key(content: bytes) -> AnnexKey | None:
    """The key that a pointer file's content names; None for any other content."""
    if not content.startswith(POINTER) or len(content) > LARGEST_POINTER:
        return None
    return parse_key(content.decode("utf-8", "replace"))


def absent_key(path: Path) -> AnnexKey | None:
    """The key of a file whose content is not here: a dangling annex link or a pointer file; None otherwise."""
    if path.is_symlink() and not path.exists():
        target = os.readlink(path)
        return parse_key(target) if "annex/objects" in target else None
    if not path.is_file() or path.stat().st_size > LARGEST_POINTER:
        return None
    return pointer_key(path.read_bytes())


def require_content(path: Path) -> Path:
    """The path itself. Raises `MissingData` when git-annex has only its name here, or when there is no file."""
    key = absent_key(path)
    if key is not None:
        size = f", {key.size:,} bytes" if key.size is not None else ""
        raise MissingData(
            f"git-annex pointer instead of content (key {key.key}{size})",
            path,
            "Bring the content with `git annex get` (or `datalad get`) on this file, or with `plasticode fetch`.",
        )
    if not path.is_file():
        raise MissingData("no such file", path, "Check the path, or bring the file with `plasticode fetch`.")
    return path
