"""A finished extraction on disk: a folder with one .npy a layer, and `activations.json` that names ids and layers.

It is written under a name of its own and renamed when complete, so a folder that is there is whole, and processes that
write the same one at once do not meet: the first to finish is kept.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from ..datasets.errors import WrongArgument

Rows = dict[str, Float32[np.ndarray, "_stimulus _channel"]]  # by layer
DESCRIPTION = "activations.json"
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


def write(entry: Path, batches: Iterator[Rows], probe: Rows, ids: Sequence[str]) -> Rows:
    """Stream batches into the folder, in place of what is there; the layers, memory-mapped for reading."""
    shutil.rmtree(entry, ignore_errors=True)
    draft = entry.with_name(f".{entry.name}.{uuid.uuid4().hex[:8]}")
    draft.mkdir(parents=True)
    try:
        files = {layer: f"{i:03d}.npy" for i, layer in enumerate(probe)}
        arrays = {layer: _empty(draft / file, len(ids), probe[layer]) for layer, file in files.items()}
        fill(arrays, batches)
        for array in arrays.values():
            array.flush()
        described = json.dumps({"ids": list(ids), "layers": files}, indent=1, ensure_ascii=False)
        (draft / DESCRIPTION).write_text(described, encoding="utf-8")
        _publish(draft, entry)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return {layer: np.load(entry / file, mmap_mode="r") for layer, file in files.items()}


def fill(arrays: Mapping[str, Float32[np.ndarray, "_stimulus _channel"]], batches: Iterator[Rows]) -> None:
    """Write batches into arrays, one after the other. Raises `WrongArgument` where layers or their widths change."""
    widths, first = {layer: array.shape[1] for layer, array in arrays.items()}, 0
    for batch in batches:
        found = {layer: values.shape[1] for layer, values in batch.items()}
        if found != widths:
            what = f"stimulus {first} and those that follow give layers of other sizes than stimulus 0"
            raise WrongArgument(what, "images", "Show images of one size to a network that is the same for all.")
        for layer, values in batch.items():
            arrays[layer][first : first + len(values)] = values
        first += len(values)


def _empty(path: Path, n_stimuli: int, row: Float32[np.ndarray, "one channel"]) -> np.memmap:
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n_stimuli, row.shape[1]))


def _publish(draft: Path, entry: Path) -> None:
    try:
        os.replace(draft, entry)
    except OSError:
        # Another process was faster, with the same content.
        if not (entry / DESCRIPTION).is_file():
            raise


def _close(a: Float32[np.ndarray, "one channel"], b: Float32[np.ndarray, "one _channel"]) -> bool:
    return a.shape == b.shape and bool(np.abs(a - b).max(initial=0) <= CLOSE * np.abs(b).max(initial=0))
