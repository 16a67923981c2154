"""Rows of an HDF5 data set, read by slices and never from any other file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .annex import require_content
from .errors import BrokenData, MissingData


class HdfRows:
    """A two-dimensional data set of floats in a file that is opened anew for each slice.

    Nothing stays open, so the rows can be handed to another process. Links to other files, external storage and
    virtual data sets are refused: a downloaded file must not decide which of the user's files are read.

    Raises
    ------
    MissingData
        No file, a git-annex pointer instead of content, or no data set of that name.
    BrokenData
        Not an HDF5 file, truncated, not (time, channel) of floats, or kept in another file.
    """

    def __init__(self, path: Path, key: str = "data") -> None:
        self._path, self._key = path, key
        with self._opened() as data:
            self.shape: tuple[int, ...] = tuple(data.shape)

    def __getitem__(self, rows: slice) -> np.ndarray:
        with self._opened() as data:
            return np.asarray(data[rows])

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        require_content(self._path)
        try:
            with h5py.File(self._path, "r") as file:
                yield self._checked(file)
        except OSError as error:  # h5py's error for a damaged or truncated file
            reason = str(error).splitlines()[0]
            raise BrokenData(f"the HDF5 file cannot be read: {reason}", self._path, "Fetch the file again.") from error

    def _checked(self, file: Any) -> Any:
        link = file.get(self._key, getlink=True)
        if link is None:
            raise MissingData(f"no data set {self._key!r}; there are: {', '.join(file)}", self._path, "Fetch it again.")
        if not isinstance(link, h5py.HardLink):
            raise self._refused("is a link to another place")
        data = file[self._key]
        if not isinstance(data, h5py.Dataset) or data.ndim != 2 or data.dtype.kind != "f":
            raise self._refused("is not a (time, channel) array of floats")
        if data.external or data.is_virtual:
            raise self._refused("keeps its values in another file")
        return data

    def _refused(self, what: str) -> BrokenData:
        return BrokenData(f"data set {self._key!r} {what}", self._path, "Take the file as it was published.")
