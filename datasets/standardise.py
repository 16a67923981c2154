"""z-scores the rows of one recording by that recording alone, lazily."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64

from .errors import BrokenData
from .study import Rows

BLOCK = 64  # rows: 64 x 100,000 voxels x 8 bytes = 51 MB


class Standardised:
    """Rows with mean 0 and standard deviation 1 per channel; nothing is read before the first slice is asked for.

    The first slice costs one pass over the recording in blocks of rows. No other recording is ever used, so nothing
    passes from a training run to a scored one. Missing values (NaN) count in no statistic and become 0, the mean; so
    do channels that never vary or hold no value at all.

    Parameters
    ----------
    rows
        A two-dimensional (time, channel) array-like of floats.
    where
        Names the recording in errors.

    Raises
    ------
    BrokenData
        At the first slice: a value is infinite, or a row holds no value at all.
    """

    def __init__(self, rows: Rows, where: str) -> None:
        self._rows, self._where = rows, where
        self._moments: tuple[Float32[np.ndarray, " channel"], Float32[np.ndarray, " channel"]] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self._rows.shape)

    def __getitem__(self, rows: slice) -> Float32[np.ndarray, "time channel"]:
        if self._moments is None:
            self._moments = self._mean_and_gain()
        mean, gain = self._moments
        out: Float32[np.ndarray, "time channel"] = (np.asarray(self._rows[rows], dtype=np.float32) - mean) * gain
        np.nan_to_num(out, copy=False, nan=0.0)
        return out

    def _mean_and_gain(self) -> tuple[Float32[np.ndarray, " channel"], Float32[np.ndarray, " channel"]]:
        """Mean and 1 / standard deviation (0 where it is 0), from sums shifted by the first block's mean."""
        n_rows, n_channels = self.shape
        count, total, square = np.zeros((3, n_channels))
        shift = np.zeros(n_channels)
        for start in range(0, n_rows, BLOCK):
            block, present = self._checked(start)
            if start == 0:
                shift = block.sum(0) / np.maximum(present.sum(0), 1)
            away = np.where(present, block - shift, 0.0)
            count += present.sum(0)
            total += away.sum(0)
            square += (away**2).sum(0)
        count = np.maximum(count, 1)
        deviation = np.sqrt(np.maximum(square / count - (total / count) ** 2, 0.0))
        varies = deviation > 1e-6 * np.maximum(np.abs(shift), 1e-3)
        gain = np.divide(1.0, deviation, out=np.zeros(n_channels), where=varies)
        return (shift + total / count).astype(np.float32), gain.astype(np.float32)

    def _checked(self, start: int) -> tuple[Float64[np.ndarray, "time channel"], np.ndarray]:
        """A block with its missing values as 0, and where values are present."""
        block = np.asarray(self._rows[start : start + BLOCK], dtype=np.float64)
        missing = np.isnan(block)
        if np.isinf(block).any():
            raise BrokenData("the responses hold infinite values", self._where, "Export the recording again.")
        empty = np.flatnonzero(missing.all(axis=1))
        if empty.size:
            raise BrokenData(
                f"row {start + int(empty[0])} of the responses holds no value at all",
                self._where,
                "A volume is lost: export the recording again or leave the run out.",
            )
        block[missing] = 0.0
        return block, ~missing
