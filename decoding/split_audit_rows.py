"""Rows of responses that were trained on, under whatever name they come back.

Three ways to meet them again: identical rows (by a 64-bit number of each row's float16 values, as the cache holds
them), a whole recording that follows a trained one in time, rescaled or with noise on top, and windows of a recording
that was cut in time so close to a training window that they share rows of the haemodynamic reach.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt64

from ..datasets.fingerprint import row_blocks
from ..datasets.study import Run
from ..datasets.windows import WindowShape
from .split_audit_findings import Finding

SAME = 0.9  # correlation in time, mean over channels. Two people who hear the same: about .1 to .3 in the best regions
FEWEST = 3  # identical rows in a row; a single one could be a volume of zeros
CHANNELS, ROWS = 64, 512  # of a recording that are correlated


@dataclass(frozen=True)
class Place:
    """Rows start..stop of one acquisition: where a recording, or the part of it that was used, lies in the scanner."""

    acquisition: str
    start: int
    stop: int


def place_of(run: Run, places: Mapping[str, Sequence[object]]) -> Place:
    """As recorded under the run's `subject/story[/session]`, otherwise an acquisition of its own, used whole."""
    recorded = places.get(run.key.split("/", 1)[1])
    if recorded is None:
        return Place(run.key, 0, run.responses.n_rows)
    return Place(str(recorded[0]), int(str(recorded[1])), int(str(recorded[2])))


def row_numbers(run: Run) -> UInt64[np.ndarray, " time"]:
    """A number for each row's values, rounded to float16; 0 for rows that are the same in all channels."""
    width = run.responses.n_channels
    factors = np.random.default_rng(20261121).integers(1, 2**63, width, dtype=np.uint64) | np.uint64(1)
    parts = [np.zeros(0, np.uint64)]
    for rows in row_blocks(run.responses):
        halves = rows.astype("<f2")
        number = (halves.view("<u2").astype(np.uint64) * factors).sum(axis=1, dtype=np.uint64)
        parts.append(np.where((halves == halves[:, :1]).all(axis=1), np.uint64(0), number))
    return np.concatenate(parts)


def returned(
    training: Sequence[Run],
    scored: Sequence[Run],
    shape: WindowShape,
    known: Mapping[str, UInt64[np.ndarray, " time"]],
) -> list[Finding]:
    """Scored windows with rows that were trained on, or within the reach of such rows, by the values themselves.

    `known` are the `row_numbers` of all of them, by key.
    """
    numbers = [known[run.key] for run in training]
    library = np.concatenate([np.zeros(0, np.uint64), *numbers])
    whose = np.repeat(np.arange(len(numbers)), [len(part) for part in numbers])
    at = np.concatenate([np.zeros(0, np.int64), *(np.arange(len(part)) for part in numbers)])
    order = np.argsort(library, kind="stable")
    found = []
    for run in scored:
        own = known[run.key]
        place = np.minimum(np.searchsorted(library[order], own), max(0, len(library) - 1))
        met = np.flatnonzero((library[order][place] == own) & (own != 0)) if len(library) else np.zeros(0, np.int64)
        stretches = np.stack([whose[order][place[met]], met - at[order][place[met]]], axis=1)
        for (index, slip), count in zip(*np.unique(stretches, axis=0, return_counts=True), strict=True):
            if count >= FEWEST:
                source = training[index]
                trained = Place(run.key, int(slip), int(slip) + source.responses.n_rows)
                found += _twin(run, source, f"{count} of {len(own)} rows are identical to rows of {source.key}")
                found += near(run, Place(run.key, 0, len(own)), trained, shape, source.key)
    return found


def followed(training: Sequence[Run], scored: Sequence[Run]) -> list[Finding]:
    """Scored recordings that follow a trained one of the same shape in time: rescaled, or with noise on top."""
    sketches: dict[tuple[int, int], list[tuple[Run, Float32[np.ndarray, " value"]]]] = {}
    wanted = {run.responses.shape for run in scored}
    for run in training:
        if run.responses.shape in wanted:
            sketches.setdefault(run.responses.shape, []).append((run, _sketch(run)))
    found = []
    for run in scored:
        group = sketches.get(run.responses.shape, [])
        if group:
            similarity = np.stack([sketch for _, sketch in group]) @ _sketch(run)
            best = int(similarity.argmax())
            if similarity[best] >= SAME:
                source = group[best][0]
                found += _twin(run, source, f"follows {source.key} in time, r = {similarity[best]:.2f}")
    return found


def neighbours(
    training: Sequence[Run],
    scored: Sequence[Run],
    rows: Mapping[str, Mapping[str, Sequence[object]]],
    shape: WindowShape,
) -> list[Finding]:
    """Scored windows of an acquisition, part of which was trained on, within the haemodynamic reach of that part.

    `rows` is what the split records: per part ("train", "test") and recording its acquisition, first and last row.
    """
    trained = [(run, place_of(run, rows.get("train", {}))) for run in training]
    found = []
    for run in scored:
        place = place_of(run, rows.get("test", {}))
        for source, used in trained:
            if used.acquisition == place.acquisition:
                found += near(run, place, used, shape, source.key)
    return found


def near(run: Run, place: Place, used: Place, shape: WindowShape, source: str) -> list[Finding]:
    """Windows of the run, whose row 0 is row `place.start`, that share rows with the windows of the part used."""
    length, reach = shape.rows(run.repetition_time), shape.reach_rows(run.repetition_time)
    starts = np.arange(0, min(run.responses.n_rows, place.stop - place.start) - length + 1, length)
    first = place.start + starts
    touching = (first < used.stop + reach) & (first + length + reach > used.start)
    gaps = np.maximum(first - used.stop, used.start - first - length)
    return [
        Finding.of("neighbouring rows", run, _gap(int(gap), source, reach), round(start * run.repetition_time, 3))
        for start, gap in zip(starts[touching].tolist(), gaps[touching].tolist(), strict=True)
    ]


def _gap(gap: int, source: str, reach: int) -> str:
    how = f"{gap} rows from" if gap > 0 else "next to" if gap == 0 else "inside"
    return f"{how} rows of {source} that were trained on; the reach is {reach} rows"


def _twin(run: Run, source: Run, detail: str) -> list[Finding]:
    name = "subject under another name" if run.subject != source.subject else "recording trained on"
    return [Finding.of(name, run, detail)]


def _sketch(run: Run) -> Float32[np.ndarray, " value"]:
    """Some channels over time as one vector of length 1, such that a product is the channels' mean correlation."""
    columns = np.unique(np.linspace(0, run.responses.n_channels - 1, CHANNELS).astype(int))
    values = run.responses[0:ROWS][:, columns]
    values = values - values.mean(axis=0)
    size = np.sqrt((values**2).sum(axis=0))
    vector = (values / np.maximum(size, 1e-6)).ravel()
    return np.asarray(vector / np.sqrt(max(1, (size > 1e-6).sum())), np.float32)
