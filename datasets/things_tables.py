"""The tables of THINGS-fMRI's single-trial responses, in either of the two layouts in which they are published.

| | figshare (table format) | OpenNeuro ds004192 |
|---|---|---|
| folder | betas_csv | derivatives/ICA-betas/sub-01/voxel-metadata |
| responses | sub-01_ResponseData.h5 | sub-01_task-things_voxel-wise-responses.h5 |
| trials | sub-01_StimulusMetadata.csv | sub-01_task-things_stimulus-metadata.tsv |
| voxels | sub-01_VoxelMetadata.csv | sub-01_task-things_voxel-metadata.tsv |

Tables have commas between their columns, those called .tsv too; tabs are read as well. The responses are a pandas
table in its fixed HDF5 format: `ResponseData/block0_values` (voxel, trial) and `block1_values`, the voxel ids; trials
are in the order of the trials' table. Their labels are pickled Python objects and are not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float32, Int

from .annex import require_content
from .errors import BrokenData, MissingData
from .hdf5_arrays import own_array

VALUES, VOXEL_IDS = "ResponseData/block0_values", "ResponseData/block1_values"
FIGSHARE = ("", "betas_csv/", "derivatives/betas_csv/")
OPENNEURO = ("", *(f"{folder}sub-*/voxel-metadata/" for folder in ("", "ICA-betas/", "derivatives/ICA-betas/")))
ENDINGS = ("_ResponseData.h5", "_task-things_voxel-wise-responses.h5")
# What stands in place of the ending of the responses' name; the first that is there is taken.
TRIALS = ("_StimulusMetadata.csv", "_task-things_stimulus-metadata.tsv", "_task-things_stimulus-metadata.csv")
VOXELS = ("_VoxelMetadata.csv", "_task-things_voxel-metadata.tsv", "_task-things_voxel-metadata.csv")
BLOCK = 256  # rows of the responses that are read at once: 20 MB of 9,840 trials
GAP = 16  # rows that are read along rather than skipped


@dataclass(frozen=True, slots=True)
class ThingsTables:
    """The three files of a subject."""

    responses: Path
    trials: Path
    voxels: Path

    def read_trials(self) -> pd.DataFrame:
        """trial_type, session and run (whole numbers) and stimulus (a file name), one row per trial.

        Raises as `read_voxels`, and `BrokenData` for a session or run that is no number.
        """
        table = _read(self.trials, ("trial_type", "session", "run", "stimulus"))
        if any(table[name].dtype.kind not in "iu" for name in ("session", "run")):
            raise BrokenData("a session or run is not a whole number", self.trials, "Fetch the file again.")
        return table

    def voxel_columns(self) -> tuple[str, ...]:
        """Names of the columns of the voxels' table."""
        return tuple(_head(self.voxels)[1])

    def read_voxels(self, columns: Sequence[str]) -> pd.DataFrame:
        """voxel_id and these columns, one row per voxel. Raises `MissingData` for columns that are not there."""
        return _read(self.voxels, ("voxel_id", *columns))

    def read_responses(
        self, voxels: Int[np.ndarray, " voxel"], trials: Int[np.ndarray, " chosen"], shape: tuple[int, int]
    ) -> Float32[np.ndarray, "chosen voxel"]:
        """Responses of some voxels (rows, ascending) to some trials; `shape` is that of the whole (voxel, trial).

        Raises `BrokenData` when the file has another shape.
        """
        found = np.empty((len(trials), len(voxels)), np.float32)
        with own_array(self.responses, VALUES) as values:
            if values.shape != shape or values.dtype.kind != "f":
                what = f"responses are {values.dtype} {values.shape} instead of floats {shape} (voxel, trial)"
                raise BrokenData(what, self.responses, "Fetch the three files of the subject again.")
            for part in _parts(voxels):
                rows = voxels[part]
                block = values[int(rows[0]) : int(rows[-1]) + 1]
                found[:, part] = block[np.ix_(rows - rows[0], trials)].T
        return found

    def read_voxel_ids(self) -> Int[np.ndarray, " voxel"] | None:
        """The ids that the responses carry; None in a file without them."""
        try:
            with own_array(self.responses, VOXEL_IDS) as ids:
                return np.asarray(ids).ravel() if ids.dtype.kind in "iu" else None
        except MissingData:
            require_content(self.responses)
            return None


def find_tables(root: Path) -> dict[str, ThingsTables]:
    """The files of each subject ("01") below the root, in either layout.

    Raises `MissingData` when there are responses of nobody, or a subject without its tables.
    """
    patterns = [f"{folder}sub-*{ENDINGS[0]}" for folder in FIGSHARE]
    patterns += [f"{folder}sub-*{ENDINGS[1]}" for folder in OPENNEURO]
    found = sorted(path for pattern in patterns for path in root.glob(pattern))
    if not found:
        raise MissingData(
            "no sub-*_ResponseData.h5 and no sub-*_task-things_voxel-wise-responses.h5 here",
            root,
            "Give the folder that holds betas_csv or derivatives/ICA-betas, or bring it with "
            "`plasticode fetch things_fmri --subject 01`.",
        )
    return {path.name.partition("_")[0].removeprefix("sub-"): _tables(path) for path in found}


def _tables(responses: Path) -> ThingsTables:
    base = responses.name.partition("_")[0]
    return ThingsTables(responses, *(_beside(responses, [base + end for end in ends]) for ends in (TRIALS, VOXELS)))


def _beside(path: Path, names: Sequence[str]) -> Path:
    there = [path.with_name(name) for name in names if path.with_name(name).exists()]
    if not there:
        raise MissingData(f"none of {', '.join(names)} beside it", path, "Fetch all three files of the subject.")
    return there[0]


def _head(path: Path) -> tuple[str, list[str]]:
    """The sign between columns, and their names."""
    with require_content(path).open(encoding="utf-8", errors="replace") as file:
        line = file.readline().rstrip("\r\n")
    sign = "\t" if "\t" in line else ","
    return sign, [name.strip('"') for name in line.split(sign)]


def _read(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    sign, there = _head(path)
    absent = [name for name in columns if name not in there]
    if absent:
        raise MissingData(f"no column {', '.join(absent)}", path, "Take the file as it was published.")
    try:
        return pd.read_csv(path, sep=sign, usecols=list(dict.fromkeys(columns)))
    except (ValueError, OSError) as error:
        raise BrokenData(f"not a readable table: {error}", path, "Fetch the file again.") from error


def _parts(rows: Int[np.ndarray, " voxel"]) -> list[slice]:
    """Stretches of the ascending rows without a large gap, each within one block."""
    edges = np.flatnonzero((np.diff(rows) > GAP) | (np.diff(rows // BLOCK) > 0)) + 1
    bounds = [0, *edges.tolist(), len(rows)]
    return [slice(start, stop) for start, stop in pairwise(bounds) if stop > start]
