"""NIfTI run -> cleaned, z-scored responses (time, channel), in memory that does not grow with the recording.

The image is read a few volumes at a time into a temporary file, which is then cleaned by `nilearn.signal.clean`, some
voxels at a time. The result is that of `nilearn.maskers.NiftiMasker(detrend=True, standardize="zscore_sample", ...)`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int
from nilearn.signal import clean

from .column_blocks import ColumnBlocks
from .errors import BrokenData
from .nifti import BoldImage
from .study import VoxelMask


@dataclass(frozen=True, eq=False)
class Cleaning:
    """What is taken out of a run besides its mean and linear trend.

    Parameters
    ----------
    repetition_time
        s.
    high_pass
        Hz: slower fluctuations are drift (Butterworth filter); None for no filter.
    confounds
        Signals that are regressed out, filtered like the data (Lindquist et al. 2018).
    kept
        Rows that are used; the others (volumes before the steady state) become 0, the mean. None keeps all.
    """

    repetition_time: float
    high_pass: float | None = 0.01
    confounds: Float[np.ndarray, "time confound"] | None = None
    kept: Int[np.ndarray, " kept"] | None = None

    def __call__(self, signals: Float[np.ndarray, "time channel"]) -> Float32[np.ndarray, "time channel"]:
        """Cleaned signals of mean 0 and sample standard deviation 1; a channel without variation becomes 0.

        Raises `ValueError` when there are too few rows for the filter.
        """
        cleaned = clean(
            signals.astype(np.float64),
            detrend=True,
            standardize=None,
            confounds=self.confounds,
            sample_mask=self.kept,
            high_pass=self.high_pass,
            t_r=self.repetition_time,
            extrapolate=False,
            butterworth__copy=True,  # filters all channels together; without it nilearn takes them one by one
        )
        out = np.zeros(signals.shape, np.float32)
        out[slice(None) if self.kept is None else self.kept] = _zscore(cleaned, np.abs(signals).max(axis=0))
        return out


class CleanedBold:
    """Rows (time, channel) of a masked and cleaned image; the work is done when the first row is asked for.

    Raises `BrokenData` at that time for a truncated image, volumes that are not finite inside the mask, and a run too
    short for the filter.
    """

    def __init__(self, image: BoldImage, mask: VoxelMask, cleaning: Cleaning) -> None:
        self.shape = image.n_volumes, mask.n_voxels
        self._image, self._mask, self._cleaning = image, mask, cleaning
        self._blocks: ColumnBlocks | None = None

    def __getitem__(self, rows: slice) -> Float32[np.ndarray, "time channel"]:
        if self._blocks is None:
            self._blocks = self._cleaned(self._masked())
        return self._blocks[rows]

    def _masked(self) -> ColumnBlocks:
        """All voxels of the mask, as they are in the image."""
        blocks = ColumnBlocks(*self.shape)
        broken: list[int] = []
        for start, volumes in self._image.chunks():
            rows = volumes[self._mask.volume].T
            broken += (start + np.flatnonzero(~np.isfinite(rows).all(axis=1))).tolist()
            blocks.write_rows(start, rows)
        if broken:
            raise BrokenData(
                f"voxels inside the mask are not finite in volume(s) {_ranges(broken)}",
                self._image.path,
                "Repair or drop these volumes, or give a mask without the broken voxels.",
            )
        return blocks

    def _cleaned(self, blocks: ColumnBlocks) -> ColumnBlocks:
        for block in range(blocks.n_blocks):
            try:
                blocks.write_block(block, self._cleaning(blocks.read_block(block)))
            except ValueError as error:
                raise BrokenData(
                    f"a recording of {self.shape[0]} volumes cannot be cleaned: {' '.join(str(error).split())}",
                    self._image.path,
                    "Leave the run out, or choose no high-pass filter.",
                ) from error
        return blocks


def _zscore(
    cleaned: Float[np.ndarray, "time channel"], scale: Float[np.ndarray, " channel"]
) -> Float32[np.ndarray, "time channel"]:
    """z-score; what remains of a constant voxel of value `scale` is rounding error, and becomes 0."""
    centred = cleaned - cleaned.mean(axis=0)
    spread = centred.std(axis=0, ddof=1)
    still = spread <= 1e-6 * scale
    return np.where(still, 0, centred / np.where(still, 1, spread)).astype(np.float32)


def _ranges(indices: list[int]) -> str:
    """3, 4, 5, 9 -> '3-5, 9'."""
    runs = np.split(np.asarray(indices), np.flatnonzero(np.diff(indices) != 1) + 1)
    return ", ".join(f"{run[0]}" if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
