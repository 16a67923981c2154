"""A (time, channel) array in a temporary file, written by rows and worked on by columns in bounded memory."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32

BLOCK_BYTES = 16 * 2**20

_scratch: ContextVar[Path | None] = ContextVar("scratch", default=None)


@contextmanager
def scratch_folder(folder: Path) -> Iterator[None]:
    """Within it, temporary files (as large as one run in float32) are made in `folder`, not in the system's."""
    folder.mkdir(parents=True, exist_ok=True)
    token = _scratch.set(folder)
    try:
        yield
    finally:
        _scratch.reset(token)


class ColumnBlocks:
    """float32 (time, channel) on disk, stored as blocks of columns, each contiguous and at most `block_bytes` long.

    A memory map would be shorter, but the pages of a mapped file that were touched count as memory of the process
    until it is unmapped, so its size would grow with the recording. The file has no name and ends with the object.
    """

    def __init__(self, n_rows: int, n_channels: int, block_bytes: int = BLOCK_BYTES) -> None:
        self.shape = n_rows, n_channels
        self._width = max(1, block_bytes // (4 * n_rows))
        handle, name = tempfile.mkstemp(prefix="plasticode-", dir=_scratch.get())
        os.unlink(name)
        self._file = handle
        weakref.finalize(self, os.close, handle)

    @property
    def n_blocks(self) -> int:
        return -(-self.shape[1] // self._width)

    def columns(self, block: int) -> slice:
        """The channels of a block."""
        return slice(block * self._width, min((block + 1) * self._width, self.shape[1]))

    def write_rows(self, start: int, rows: Float[np.ndarray, "time channel"]) -> None:
        for block in range(self.n_blocks):
            self._write(block, start, rows[:, self.columns(block)])

    def write_block(self, block: int, values: Float[np.ndarray, "time column"]) -> None:
        self._write(block, 0, values)

    def read_block(self, block: int) -> Float32[np.ndarray, "time column"]:
        return self._read(block, 0, self.shape[0])

    def __getitem__(self, rows: slice) -> Float32[np.ndarray, "time channel"]:
        start, stop, step = rows.indices(self.shape[0])
        if step != 1:
            raise ValueError("rows are read in order: the step of the slice must be 1")
        parts = [self._read(block, start, max(start, stop)) for block in range(self.n_blocks)]
        return np.concatenate(parts, axis=1)

    def _read(self, block: int, start: int, stop: int) -> Float32[np.ndarray, "time column"]:
        width, offset = self._place(block, start)
        data = os.pread(self._file, 4 * width * (stop - start), offset)
        return np.frombuffer(data, np.float32).reshape(stop - start, width)

    def _write(self, block: int, start: int, values: np.ndarray) -> None:
        _, offset = self._place(block, start)
        data = memoryview(np.asarray(values, np.float32).tobytes())
        while data:
            written = os.pwrite(self._file, data, offset)
            data, offset = data[written:], offset + written

    def _place(self, block: int, row: int) -> tuple[int, int]:
        """Width of the block, and the byte at which its row begins."""
        columns = self.columns(block)
        width = columns.stop - columns.start
        return width, 4 * (columns.start * self.shape[0] + row * width)
