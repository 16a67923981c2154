"""Words of a run from a BIDS events.tsv with the columns onset, duration and word."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float64

from .errors import BrokenData, MissingData
from .study import Word

NOT_AVAILABLE = "n/a"


def read_words(path: Path, recording: float = float("inf")) -> tuple[Word, ...]:
    """Words in the order of their onsets; rows whose word is n/a are other events, a duration n/a counts as 0.

    Parameters
    ----------
    path
        Tab-separated file; onset and duration in s.
    recording
        Length of the recording in s, to recognise onsets in another unit.

    Raises `MissingData` without a column, `BrokenData` for a file without words, onsets that are n/a, no number or
    negative, negative durations, and when most words begin after the end of the recording.
    """
    table = _table(path)
    table = table[~table["word"].str.strip().isin(["", NOT_AVAILABLE])]
    if table.empty:
        raise BrokenData("the events hold no words", path, "Add one row per word, or remove the file to do without.")
    onset = _seconds(table, "onset", path)
    duration = _seconds(table.replace({"duration": {NOT_AVAILABLE: "0"}}), "duration", path)
    if np.mean(onset >= recording) > 0.5:
        raise BrokenData(
            f"most words begin after the end of the recording ({recording:.0f} s)", path, "Give onsets in seconds."
        )
    words = zip(table["word"].str.strip(), onset.tolist(), (onset + duration).tolist(), strict=True)
    return tuple(sorted((Word(*word) for word in words), key=lambda word: word.onset))


def _table(path: Path) -> pd.DataFrame:
    """All columns as text: pandas would take the words "null" and "nan" for missing."""
    try:
        table = pd.read_csv(
            path, sep="\t", dtype=str, keep_default_na=False, quoting=csv.QUOTE_NONE, encoding="utf-8-sig"
        )
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise BrokenData("the events cannot be read", path, "Give a tab-separated UTF-8 file with a header.") from error
    absent = [column for column in ("onset", "duration", "word") if column not in table]
    if absent:
        raise MissingData(
            f"the events have no column {', '.join(absent)}",
            path,
            "Add one row per heard word with onset and duration in seconds, or remove the file to do without words.",
        )
    return table.fillna(NOT_AVAILABLE)  # a row that is too short


def _seconds(table: pd.DataFrame, column: str, path: Path) -> Float64[np.ndarray, " word"]:
    values = pd.to_numeric(table[column], errors="coerce").to_numpy(np.float64)
    wrong = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
    if wrong.size:
        row = wrong[0]
        raise BrokenData(
            f"{column} of a word is {table[column].iloc[row]!r}, not a time from 0 s on",
            f"{path}, line {table.index[row] + 2}",
            "Give onset and duration in seconds after the first volume.",
        )
    return values
