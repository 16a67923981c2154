"""Confounds of a run: fMRIPrep's through nilearn's `load_confounds`, or a plain table of regressors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int
from nilearn.interfaces.fmriprep import load_confounds

from .errors import BrokenData

Confounds = tuple[Float64[np.ndarray, "time confound"] | None, Int[np.ndarray, " kept"] | None]


def confounds_file(image: Path) -> Path | None:
    """The confounds table beside an image, by the names of fMRIPrep (new and before 20.2) or `_confounds.tsv`."""
    stem = image.name.removesuffix(".gz").removesuffix(".nii").removesuffix("_bold")
    stem = "_".join(part for part in stem.split("_") if not part.startswith(("space-", "res-", "desc-", "den-")))
    endings = "desc-confounds_timeseries.tsv", "desc-confounds_regressors.tsv", "confounds.tsv"
    there = (image.parent / f"{stem}_{ending}" for ending in endings)
    return next((path for path in there if path.is_file()), None)


def read_confounds(image: Path, n_volumes: int) -> Confounds:
    """Regressors, and the rows to keep (None for all).

    Of fMRIPrep's table: six motion parameters, white matter and cerebrospinal fluid; volumes before the steady state
    are not kept. Of a plain table: every column. Raises `BrokenData` when the table does not fit the image.
    """
    path = confounds_file(image)
    if path is None:
        return None, None
    _check(path, n_volumes)
    if "_desc-preproc_" not in image.name:
        return _plain(path), None
    try:
        table, kept = load_confounds(
            str(image), strategy=("motion", "wm_csf"), motion="basic", wm_csf="basic", demean=True
        )
    except (ValueError, OSError) as error:
        raise BrokenData(
            f"nilearn cannot load fMRIPrep's confounds: {' '.join(str(error).split())}",
            path,
            "Give the table as fMRIPrep wrote it, or remove it to do without confounds.",
        ) from error
    return table.to_numpy(np.float64), None if kept is None else np.asarray(kept)


def _check(path: Path, n_volumes: int) -> None:
    try:
        table = pd.read_csv(path, sep="\t", na_values="n/a")
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise BrokenData("the confounds cannot be read", path, "Give a tab-separated table with a header.") from error
    if len(table) != n_volumes:
        raise BrokenData(
            f"the confounds have {len(table)} rows but the image has {n_volumes} volumes",
            path,
            "Give the table that was made with this image.",
        )


def _plain(path: Path) -> Float64[np.ndarray, "time confound"]:
    """All columns; n/a (derivatives have none in the first row) becomes 0."""
    table = pd.read_csv(path, sep="\t", na_values="n/a")
    text = [str(column) for column in table.select_dtypes(exclude="number")]
    if text or not 0 < table.shape[1] < len(table):
        raise BrokenData(
            f"column(s) {', '.join(text)} are no numbers"
            if text
            else f"{table.shape[1]} confounds in {len(table)} rows",
            path,
            "Keep the columns of numbers that are to be regressed out, fewer than the rows.",
        )
    return table.fillna(0).to_numpy(np.float64)
