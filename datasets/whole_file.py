"""A file that appears whole or not at all, whoever else writes it at the same time."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A path beside `path` to write to; what is there at the end of the block takes the place of `path` at once.

    The name is of this block alone (threads of one process write at once, too) and ends like `path`'s, so that writers
    which go by the suffix do as they would. Folders are made. If the block raises, `path` stays as it was and nothing
    is left beside it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{uuid.uuid4().hex[:12]}.{path.name}")
    try:
        yield draft
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> Path:
    """Write text in UTF-8, whole or not at all; returns the path."""
    with whole_file(path) as draft:
        draft.write_text(text, encoding="utf-8")
    return Path(path)
