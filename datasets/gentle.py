"""Word timings from the forced aligner Gentle: `align.csv` or `align.json` of one audio file.

Layout from Gentle's own source (lowerquality/gentle, `transcription.py::to_csv`): a row holds the word of the
transcript, what the aligner took it for, start and end in s of the audio, without a header; the last three are empty
for a word that was not found. In the JSON such a word has the case "not-found-in-audio" and neither start nor end.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int

from .annex import absent_key, require_content
from .errors import BrokenData
from .study import Word

REMEDY = "Take the file as it was published, or remove it to do without words."
EARLY = 3.0  # s: when the speech begins is known to about a repetition
INSERTED = "not-found-in-transcript"  # Gentle heard a word there that nobody wrote down


@dataclass(frozen=True, slots=True)
class Aligned:
    """A word of the transcript, with `start` and `end` in s of the audio, both None where it was not found."""

    text: str
    start: float | None = None
    end: float | None = None


def alignment_file(folder: Path) -> Path | None:
    """The audio's alignment, the small table before the JSON; None when neither is there, be it as an annex key."""
    places = (folder / name for name in ("align.csv", "align.json"))
    return next((path for path in places if path.is_file() or absent_key(path) is not None), None)


def read_alignment(path: Path) -> list[Aligned]:
    """Words in the order of the transcript. Raises `MissingData` without content, `BrokenData` for another layout."""
    try:
        text = require_content(path).read_text(encoding="utf-8-sig")
        return list(_from_json(text, path) if path.suffix == ".json" else _from_csv(text, path))
    except (ValueError, csv.Error) as error:  # a UnicodeDecodeError and a JSONDecodeError are ValueErrors
        raise BrokenData(f"the alignment cannot be read: {error}", path, REMEDY) from error


def placed(words: Sequence[Aligned], audio: float, begin: float = -math.inf) -> tuple[Word, ...]:
    """Words on the run's clock, sorted by onset; the audio starts at `audio` s of the run, the speech at `begin` s.

    Words that were not found share the gap between their neighbours evenly. So do words that the aligner put more than
    `EARLY` s before `begin`, into music: the gap of the first words starts at `begin`. Words at either end without such
    a neighbour are left out.
    """
    times = np.array([(_or_nan(word.start), _or_nan(word.end)) for word in words]).reshape(-1, 2) + audio
    times[times[:, 0] < begin - EARLY] = np.nan
    known = np.flatnonzero(np.isfinite(times).all(axis=1))
    if not known.size:
        return ()
    times = _filled(times, known, begin)
    spoken = [
        Word(word.text, start, end)
        for word, (start, end) in zip(words, times.tolist(), strict=True)
        if math.isfinite(start) and math.isfinite(end)
    ]
    return tuple(sorted(spoken, key=lambda word: word.onset))


def _filled(
    times: Float64[np.ndarray, "word 2"], known: Int[np.ndarray, " known"], begin: float
) -> Float64[np.ndarray, "word 2"]:
    """Start and end of each word, where the k-th word lies between the marks k and k + 1 of one line of marks."""
    marks, values = np.stack([known, known + 1], axis=1).ravel(), times[known].ravel()
    if math.isfinite(begin) and known[0] > 0:
        marks, values = np.concatenate([[0], marks]), np.concatenate([[min(begin, values[0])], values])
    line = np.interp(np.arange(len(times) + 1), marks, values, left=np.nan, right=np.nan)
    shared = np.stack([line[:-1], np.maximum(line[1:], line[:-1])], axis=1)  # an aligner's overlap is no gap to share
    shared[known] = times[known]
    return shared


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _from_csv(text: str, path: Path) -> Iterator[Aligned]:
    for number, row in enumerate(csv.reader(io.StringIO(text, newline="")), 1):
        where = f"{path}, line {number}"
        if row and len(row) != 4:
            raise BrokenData(f"{len(row)} columns instead of word, aligned, start and end", where, REMEDY)
        if row and row[0].strip():
            yield _aligned(row[0], row[2] or None, row[3] or None, where)


def _from_json(text: str, path: Path) -> Iterator[Aligned]:
    content = json.loads(text)
    words = content.get("words") if isinstance(content, dict) else None
    if not isinstance(words, list) or not all(isinstance(word, dict) and "word" in word for word in words):
        raise BrokenData("no list of words with their text", path, REMEDY)
    for number, word in enumerate(words, 1):
        if word.get("case") != INSERTED:
            yield _aligned(str(word["word"]), word.get("start"), word.get("end"), f"{path}, word {number}")


def _aligned(text: str, start: Any, end: Any, where: str) -> Aligned:
    """Both times or none; `BrokenData` for anything else."""
    if start is None and end is None:
        return Aligned(text.strip())
    try:
        times = float(start), float(end)
    except (TypeError, ValueError):
        times = math.nan, math.nan
    if not (math.isfinite(times[0]) and times[0] <= times[1] < math.inf):
        raise BrokenData(f"a word from {start!r} to {end!r} s", where, REMEDY)
    return Aligned(text.strip(), *times)
