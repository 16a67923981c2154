"""Arrays of an .npz archive, checked: no pickles, the expected names, dimensions that agree."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .annex import require_content
from .errors import BrokenData


def read_arrays(path: Path, axes: Mapping[str, str]) -> dict[str, np.ndarray]:
    """The named arrays; `axes` gives each its axes, and an axis that occurs twice must have one length.

    `read_arrays(path, {"pcs": "time channel", "story": "story", "start": "story", "stop": "story"})`

    Raises `MissingData` without the file, `BrokenData` when it is no archive, lacks an array, holds Python objects, or
    the axes do not agree.
    """
    try:
        # Opened here: numpy leaves a damaged archive open.
        with require_content(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            absent = [name for name in axes if name not in archive]
            if absent:
                raise _broken(f"the archive has no array {', '.join(absent)}", path)
            arrays = {name: archive[name] for name in axes}
    except (ValueError, OSError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise _broken(f"this is not a readable .npz archive: {error}", path) from error
    lengths: dict[str, int] = {}
    for name, array in arrays.items():
        _check(name, array, axes[name].split(), lengths, path)
    return arrays


def _check(name: str, array: np.ndarray, axes: list[str], lengths: dict[str, int], path: Path) -> None:
    if array.ndim != len(axes):
        raise _broken(f"array {name!r} has {array.ndim} axes instead of ({' '.join(axes)})", path)
    for axis, length in zip(axes, array.shape, strict=True):
        if lengths.setdefault(axis, length) != length:
            raise _broken(f"array {name!r} has {length} entries along {axis!r}, others have {lengths[axis]}", path)


def _broken(what: str, path: Path) -> BrokenData:
    return BrokenData(what, path, "Write it with numpy.savez (no Python objects), or copy it again.")
