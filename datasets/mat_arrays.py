"""One array of a MATLAB file, of version 5 (scipy reads it) or 7.3 (an HDF5 file with its axes reversed)."""

from __future__ import annotations

import zlib
from pathlib import Path

import h5py
import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from .annex import require_content
from .errors import BrokenData, MissingData
from .hdf5_arrays import own_array

UNREADABLE = (ValueError, TypeError, KeyError, IndexError, NotImplementedError, OSError, EOFError, zlib.error)


def mat_array(path: Path, key: str) -> np.ndarray:
    """The array of numbers called `key`, with its axes in MATLAB's order.

    Raises `MissingData` without the file or the array, `BrokenData` when it cannot be read, is not of numbers, or lies
    in another file.
    """
    if h5py.is_hdf5(require_content(path)):
        with own_array(path, key) as array:
            return np.asarray(array).T
    try:
        found = loadmat(path, variable_names=[key]).get(key)
    except (*UNREADABLE, MatReadError) as error:
        raise BrokenData(f"not a readable MATLAB file: {error}", path, "Take it as it was published.") from error
    if found is None:
        raise MissingData(f"no array {key!r}", path, "Take the file as it was published.")
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiu":
        raise BrokenData(f"{key!r} is not an array of numbers", path, "Take the file as it was published.")
    return found
