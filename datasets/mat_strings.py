"""Text in a MATLAB file of version 5: the rows of a char matrix, or the cells of a cell array of strings.

The values are read by scipy, which runs nothing that a file holds. Files of version 7.3 are HDF5, where text lies
behind references: it is refused rather than followed.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from .annex import require_content
from .errors import BrokenData, MissingData
from .mat_arrays import UNREADABLE

REMEDY = "Take the file as it was published."


def mat_strings(path: Path, key: str) -> list[str]:
    """The strings of the variable `key`, in MATLAB's order, without the blanks that pad them.

    Raises `MissingData` without the file or the variable, `BrokenData` when it cannot be read or is not text.
    """
    if h5py.is_hdf5(require_content(path)):
        raise BrokenData("text in a MATLAB 7.3 file is not read", path, "Save the file as version 7 or older.")
    try:
        found = loadmat(path, variable_names=[key]).get(key)
    except (*UNREADABLE, MatReadError) as error:
        raise BrokenData(f"not a readable MATLAB file: {error}", path, REMEDY) from error
    if found is None:
        raise MissingData(f"no text {key!r}", path, REMEDY)
    texts = [_text(value) for value in np.asarray(found).ravel(order="F")]
    if None in texts:
        raise BrokenData(f"{key!r} is not text", path, REMEDY)
    return [text.strip() for text in texts if text is not None]


def _text(value: object) -> str | None:
    """A row of a char matrix, or a cell with at most one string in it; None for anything else."""
    if isinstance(value, np.ndarray):
        if value.size == 0:
            return ""
        value = value.item() if value.size == 1 else None
    return str(value) if isinstance(value, str) else None
