"""Features of all layers for a stimulus set, a batch at a time, each row under its stimulus's id.

With a folder they are streamed to disk, one .npy a layer, and read memory-mapped: memory holds one batch. A finished
extraction is used again where images, ids, resolution and the source's fingerprint are the same, and the first
stimulus, computed anew, gives the same features (what no fingerprint sees: a forward pass that was rewritten). One that
was interrupted goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Shaped
from rsatoolbox.data import Dataset
from torch import Tensor, nn

from ..datasets.errors import BrokenData, MissingData, WrongArgument
from .activation_files import Rows, fill, kept, write
from .feature_source import FeatureSource
from .module_features import ModuleFeatures
from .resize import shown

FORMAT = 1


@dataclass(frozen=True, eq=False)
class Activations:
    """Features (stimulus channel) of each layer, the stimuli's ids in the order of the rows, and what RDMs carry."""

    ids: tuple[str, ...]
    layers: Rows
    descriptors: dict[str, Any]

    def dataset(self, layer: str, conditions: Sequence[str] | None = None) -> Dataset:
        """One layer as rsatoolbox has it, its rows those of `conditions`, found by id; all by default.

        Raises `WrongArgument` for an unknown layer, `MissingData` that names conditions without activations.
        """
        if layer not in self.layers:
            raise WrongArgument(f"no layer {layer!r}", "layer", f"One of: {', '.join(self.layers)}.")
        rows = self.layers[layer] if conditions is None else self.layers[layer][self._places(conditions)]
        stimuli = list(self.ids if conditions is None else conditions)
        return Dataset(rows, {**self.descriptors, "layer": layer, "name": self._name(layer)}, {"stimulus": stimuli})

    def datasets(self, conditions: Sequence[str] | None = None) -> list[Dataset]:
        """All layers, from the first on."""
        return [self.dataset(layer, conditions) for layer in self.layers]

    def _name(self, layer: str) -> str:
        shown_at = [f"{self.descriptors['resolution']} px"] if "resolution" in self.descriptors else []
        return " ".join([*dict.fromkeys([str(self.descriptors["name"]), layer]), *shown_at])

    def _places(self, conditions: Sequence[str]) -> list[int]:
        places = {stimulus: i for i, stimulus in enumerate(self.ids)}
        absent = [condition for condition in conditions if condition not in places]
        if absent:
            raise MissingData(
                f"no activations for {', '.join(absent)}",
                str(self.descriptors["name"]),
                "Extract these stimuli too, or leave the conditions out.",
            )
        return [places[condition] for condition in conditions]


def activations(
    source: FeatureSource | nn.Module,
    images: Shaped[np.ndarray, "stimulus ..."],
    ids: Sequence[str],
    *,
    folder: Path | None = None,
    resolution: int | None = None,
    batch_size: int = 64,
) -> Activations:
    """Extract, or find extracted.

    Parameters
    ----------
    source
        A bare torch module stands for its `ModuleFeatures`: all layers, images in the size that they have.
    images
        Bytes (stimulus channel height width) of any size; other arrays (stimulus ...) for sources that read others.
    ids
        One for each stimulus, each once.
    folder
        Where extractions are kept; None keeps this one in memory.
    resolution
        Pixels a side at which images are shown before they take the source's size (see `resize.shown`).
    batch_size
        Stimuli a pass. Features do not depend on it but by rounding.

    Raises `WrongArgument` for ids that repeat or do not count as many as the images, and for a layer whose output has
    no row for each stimulus; `BrokenData` that names layer and stimulus for activations that are not finite.
    """
    _check(images, ids, batch_size)
    source = ModuleFeatures(source) if isinstance(source, nn.Module) else source

    def rows(places: slice) -> Rows:
        found = source.features(shown(images[places], source.input_shape(), resolution))
        return _finite({layer: _flat(layer, value, ids[places]) for layer, value in found.items()}, ids[places])

    probe = rows(slice(0, 1))
    if not probe:
        raise WrongArgument("the source gives no layer", str(source.descriptors()["name"]), "Choose layers.")

    def batches(first: int) -> Iterator[Rows]:
        return (rows(slice(i, i + batch_size)) for i in range(first, len(ids), batch_size))

    facts = {**source.descriptors(), **_resolution(source, images, resolution)}
    if folder is None:
        return Activations(tuple(ids), _gathered(batches(0), probe, len(ids)), facts)
    entry = folder / _key(source, images, ids, resolution)
    found = kept(entry, probe)
    return Activations(tuple(ids), found or write(entry, batches, probe, list(ids)), facts)


def _check(images: Shaped[np.ndarray, "stimulus ..."], ids: Sequence[str], batch_size: int) -> None:
    if batch_size < 1:
        raise WrongArgument(f"batch size {batch_size}", "batch_size", "Give 1 or more.")
    if not len(ids) or len(ids) != len(images):
        raise WrongArgument(f"{len(ids)} ids for {len(images)} stimuli", "ids", "Give one for each stimulus.")
    repeated = [stimulus for stimulus, times in Counter(ids).items() if times > 1]
    if repeated:
        raise WrongArgument(f"ids repeat: {', '.join(repeated)}", "ids", "Give each stimulus an id of its own.")


def _flat(layer: str, value: Tensor, ids: Sequence[str]) -> Float32[np.ndarray, "stimulus channel"]:
    if value.ndim == 0 or len(value) != len(ids):
        what = f"layer {layer} gives shape {tuple(value.shape)} for {len(ids)} stimuli"
        raise WrongArgument(what, "layers", "Choose layers whose first axis is the stimulus.")
    if value.is_complex():
        raise WrongArgument(f"layer {layer} gives complex numbers", "layers", "Give their modulus, or both parts.")
    return value.detach().reshape(len(ids), -1).to("cpu", torch.float32).numpy()


def _finite(rows: Rows, ids: Sequence[str]) -> Rows:
    for layer, values in rows.items():
        bad = ~np.isfinite(values).all(axis=1)
        if bad.any():
            what = f"layer {layer} is not finite for stimulus {ids[int(bad.argmax())]}"
            raise BrokenData(what, f"{bad.sum()} of {len(ids)} stimuli of a batch", "Look for diverged weights.")
    return rows


def _gathered(batches: Iterator[Rows], probe: Rows, n_stimuli: int) -> Rows:
    found = {layer: np.empty((n_stimuli, row.shape[1]), np.float32) for layer, row in probe.items()}
    for _ in fill(found, batches):
        pass
    return found


def _resolution(
    source: FeatureSource, images: Shaped[np.ndarray, "stimulus ..."], resolution: int | None
) -> dict[str, int]:
    """Rows of pixels that the source is shown; nothing for what are no images."""
    shape = source.input_shape() or images.shape[1:]
    if resolution is None and len(shape) != 3:
        return {}
    return {"resolution": int(shape[1]) if resolution is None else resolution}


def _key(
    source: FeatureSource, images: Shaped[np.ndarray, "stimulus ..."], ids: Sequence[str], resolution: int | None
) -> str:
    described = [FORMAT, source.fingerprint(), list(ids), resolution, str(images.dtype), images.shape]
    digest = hashlib.sha256(json.dumps(described).encode())
    digest.update(np.ascontiguousarray(images).data)
    return digest.hexdigest()[:16]
