"""A finished extraction on disk: a folder with one .npy a layer, and `activations.json` that names ids and layers.

It is written under another name and renamed when complete, so a folder that is there is whole. Processes that want the
same one wait for each other: the first makes it, the others read it.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from filelock import FileLock
from jaxtyping import Float32

from ..datasets.errors import PlasticodeError, WrongArgument
from ..datasets.whole_file import write_text

Rows = dict[str, Float32[np.ndarray, "_stimulus _channel"]]  # by layer
Batches = Callable[[int], Iterator[Rows]]  # of the stimuli from a place on
DESCRIPTION, PROGRESS = "activations.json", "progress.json"
EVERY = 5.0  # s between two notes of how far it got
CLOSE = 1e-3  # of a layer's largest feature: rounding on another device, or in a batch of another size, stays below


def kept(entry: Path, probe: Rows) -> Rows | None:
    """What is in the folder, memory-mapped for reading; None where nothing is, or not this.

    Parameters
    ----------
    probe
        The first stimulus's features, computed anew.
    """
    try:
        files = json.loads((entry / DESCRIPTION).read_text(encoding="utf-8"))["layers"]
        found = {layer: np.load(entry / file, mmap_mode="r") for layer, file in files.items()}
    except (OSError, ValueError, KeyError):
        return None
    same = list(found) == list(probe) and all(_close(found[layer][:1], row) for layer, row in probe.items())
    return found if same else None


def write(entry: Path, batches: Batches, probe: Rows, ids: Sequence[str]) -> Rows:
    """Stream batches into the folder, in place of what is there; the layers, memory-mapped for reading.

    What an interrupted call had written is kept, and the next goes on after it. Errors of the batches leave nothing.
    """
    entry.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(entry.with_name(f".{entry.name}.lock")):
        found = kept(entry, probe)  # another process may have been faster
        if found is not None:
            return found
        shutil.rmtree(entry, ignore_errors=True)
        draft = entry.with_name(f".{entry.name}.part")
        try:
            _stream(draft, batches, probe, ids)
        except PlasticodeError:
            shutil.rmtree(draft)
            raise
        os.replace(draft, entry)
    return {layer: np.load(entry / file, mmap_mode="r") for layer, file in _files(probe).items()}


def _stream(draft: Path, batches: Batches, probe: Rows, ids: Sequence[str]) -> None:
    arrays, done = _begun(draft, probe, len(ids))
    written, saved = done, time.monotonic()
    try:
        for written in fill(arrays, batches(done), done):
            if time.monotonic() > saved + EVERY:
                _save(draft, arrays, written)
                saved = time.monotonic()
    finally:
        _save(draft, arrays, written)
    described = {"ids": list(ids), "layers": _files(probe)}
    write_text(draft / DESCRIPTION, json.dumps(described, indent=1, ensure_ascii=False))
    (draft / PROGRESS).unlink()


def _begun(draft: Path, probe: Rows, n_stimuli: int) -> tuple[dict[str, np.memmap], int]:
    """Arrays to write to, and how many of their rows are there: those of an interrupted call, if they are of these."""
    try:
        told = json.loads((draft / PROGRESS).read_text(encoding="utf-8"))
        arrays = {layer: np.load(draft / file, mmap_mode="r+") for layer, file in _files(probe).items()}
        if told["layers"] == list(probe) and all(
            len(array) == n_stimuli and _close(array[:1], probe[layer]) for layer, array in arrays.items()
        ):
            return arrays, int(told["rows"])
    except (OSError, ValueError, KeyError):
        pass
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    return {layer: _empty(draft / file, n_stimuli, probe[layer]) for layer, file in _files(probe).items()}, 0


def _save(draft: Path, arrays: Mapping[str, np.memmap], rows: int) -> None:
    """Rows first, then their number: a number that is there is never too large."""
    for array in arrays.values():
        array.flush()
    write_text(draft / PROGRESS, json.dumps({"layers": list(arrays), "rows": rows}))


def fill(
    arrays: Mapping[str, Float32[np.ndarray, "_stimulus _channel"]], batches: Iterator[Rows], first: int = 0
) -> Iterator[int]:
    """Write batches into arrays, one after the other from a row on; after each, how many rows are there.

    Raises `WrongArgument` where layers or their widths change.
    """
    widths = {layer: array.shape[1] for layer, array in arrays.items()}
    for batch in batches:
        found = {layer: values.shape[1] for layer, values in batch.items()}
        if found != widths:
            what = f"stimulus {first} and those that follow give layers of other sizes than stimulus 0"
            raise WrongArgument(what, "images", "Show images of one size to a network that is the same for all.")
        for layer, values in batch.items():
            arrays[layer][first : first + len(values)] = values
        first += len(next(iter(batch.values())))
        yield first


def _files(probe: Rows) -> dict[str, str]:
    return {layer: f"{i:03d}.npy" for i, layer in enumerate(probe)}


def _empty(path: Path, n_stimuli: int, row: Float32[np.ndarray, "one channel"]) -> np.memmap:
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n_stimuli, row.shape[1]))


def _close(a: Float32[np.ndarray, "one channel"], b: Float32[np.ndarray, "one _channel"]) -> bool:
    return a.shape == b.shape and bool(np.abs(a - b).max(initial=0) <= CLOSE * np.abs(b).max(initial=0))
