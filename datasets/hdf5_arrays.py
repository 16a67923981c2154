"""One array of an HDF5 file, opened for slicing and never followed into any other file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from .annex import require_content
from .errors import BrokenData, MissingData


@contextmanager
def own_array(path: Path, key: str) -> Iterator[Any]:
    """The h5py data set of numbers at `key` ("group/name"), open for as long as the context lasts.

    Links of any kind but plain ones, on the way too, external storage and virtual data sets are refused: a downloaded
    file must not decide which of the user's files are read.

    Raises
    ------
    MissingData
        No file, a git-annex pointer instead of content, or nothing at `key`.
    BrokenData
        Not an HDF5 file, truncated, not numbers, or kept in another file.
    """
    require_content(path)
    try:
        with h5py.File(path, "r") as file:
            yield _checked(file, path, key)
    except OSError as error:  # h5py's error for a damaged or truncated file
        reason = str(error).splitlines()[0]
        raise BrokenData(f"the HDF5 file cannot be read: {reason}", path, "Fetch the file again.") from error


def _checked(file: Any, path: Path, key: str) -> Any:
    node = file
    for part in key.split("/"):
        link = node.get(part, getlink=True) if isinstance(node, h5py.Group) else None
        if link is None:
            raise MissingData(f"no array {key!r}; there are: {', '.join(file)}", path, "Fetch the file again.")
        if not isinstance(link, h5py.HardLink):
            raise _refused(path, key, "is reached through a link to another place")
        node = node[part]
    if not isinstance(node, h5py.Dataset) or node.dtype.kind not in "fiu":
        raise _refused(path, key, "is not an array of numbers")
    if node.external or node.is_virtual:
        raise _refused(path, key, "keeps its values in another file")
    return node


def _refused(path: Path, key: str, what: str) -> BrokenData:
    return BrokenData(f"{key!r} {what}", path, "Take the file as it was published.")
