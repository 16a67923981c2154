"""One cache entry: the responses of a run in float16, its mask, and its facts and words.

An entry is three files that share a stem: `.npy` (time, channel), `.mask.npz` where there is a mask, and `.json`,
written last: where it is, the entry is whole. Each file is written under another name and then renamed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock
from jaxtyping import Float16, Float32

from .errors import BrokenData
from .fingerprint import facts, row_blocks
from .study import Responses, Run, VoxelMask, Word

LARGEST = float(np.finfo(np.float16).max)


class MappedRows:
    """A .npy file (time, channel), memory-mapped. It is sent to other processes as its path, not as its content."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows = np.load(path, mmap_mode="r", allow_pickle=False)
        self.shape: tuple[int, ...] = self._rows.shape

    def __getitem__(self, rows: slice) -> Float16[np.ndarray, "time channel"]:
        return np.asarray(self._rows[rows])

    def __reduce__(self) -> tuple[type[MappedRows], tuple[Path]]:
        return MappedRows, (self.path,)


class Entry:
    """The cache entry with the given stem (folder and name without suffix)."""

    def __init__(self, stem: Path) -> None:
        self.stem = stem

    def is_whole(self) -> bool:
        return self._path(".json").is_file()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time builds an entry; the others wait here and then find it whole."""
        self.stem.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._path(".lock")):
            yield

    def write(self, run: Run) -> None:
        """Write all files; call it under the lock. Raises `BrokenData` for responses that float16 cannot hold."""
        with _replacing(self._path(".npy")) as file:
            _write_rows(file, run)
        if (mask := run.responses.mask) is not None:
            with _replacing(self._path(".mask.npz")) as file:
                packed = np.packbits(mask.volume)
                np.savez_compressed(file, packed=packed, shape=mask.volume.shape, affine=mask.affine)
        with _replacing(self._path(".json")) as file:
            file.write(json.dumps(facts(run) | {"masked": mask is not None}, ensure_ascii=False).encode())

    def read(self) -> Run:
        """The run with memory-mapped responses; `BrokenData` when the entry was damaged."""
        try:
            record = json.loads(self._path(".json").read_text(encoding="utf-8"))
            words = tuple(Word(*word) for word in record.pop("words"))
            mask = self._read_mask() if record.pop("masked") else None
            responses = Responses(MappedRows(self._path(".npy")), mask)
            return Run(**record, words=words, responses=responses)
        except (OSError, ValueError, TypeError, KeyError, EOFError) as error:
            raise BrokenData(
                "a cache entry is damaged", self._path(".json"), "Remove this file and prepare again."
            ) from error

    def _read_mask(self) -> VoxelMask:
        with np.load(self._path(".mask.npz"), allow_pickle=False) as file:
            shape = tuple(file["shape"].tolist())
            volume = np.unpackbits(file["packed"], count=int(np.prod(shape))).astype(bool).reshape(shape)
            return VoxelMask(volume, file["affine"])

    def _path(self, suffix: str) -> Path:
        return self.stem.with_name(self.stem.name + suffix)


def _write_rows(file: BinaryIO, run: Run) -> None:
    """A .npy file row block by row block, not through a memory map, whose touched pages would count as memory."""
    header: dict[str, Any] = {"descr": "<f2", "fortran_order": False, "shape": run.responses.shape}
    np.lib.format.write_array_header_1_0(file, header)
    start = 0
    for rows in row_blocks(run.responses):
        file.write(_halved(rows, start, run.key).tobytes())
        start += len(rows)


def _halved(rows: Float32[np.ndarray, "time channel"], start: int, key: str) -> Float16[np.ndarray, "time channel"]:
    bad = ~(np.abs(rows) <= LARGEST)  # not-a-number compares false
    if bad.any():
        row, channel = np.argwhere(bad)[0]
        raise BrokenData(
            f"the response {rows[row, channel]:g} at row {start + row}, channel {channel} does not fit into float16",
            key,
            f"Responses must be finite and at most {LARGEST:g} in size: z-score each run.",
        )
    return rows.astype("<f2")


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` only when it is written and on the disk.

    Its name is always the same, unlike `whole_file`'s: entries are large and written under a lock, so what a killed
    process left is written over and never heaps up.
    """
    draft = path.with_name(path.name + ".partial")
    try:
        with draft.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
