"""One model RDM for each network, layer and resolution, with what it is of; untrained twins that are one are one.

A layer without RDM (a stimulus that excites no unit of it has no correlation) is left out and named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs

from ..datasets.errors import BrokenData, MissingData, WrongArgument
from ..datasets.image_study import Stimuli
from ..datasets.prepare import default_cache
from .activations import activations
from .baselines import category_rdms
from .feature_source import FeatureSource
from .rdm import dataset, rdms
from .rsa_brain import condition_mean
from .rsa_config import Resolution, RsaConfig
from .rsa_sources import Compared

# What a row says of its model, and what stands there where a source does not.
DESCRIBED = {"source": "", "network": "", "data": "", "rule": "none", "seed": 0, "inference": "", "baseline": False}
DESCRIBED |= {"layer": "", "depth": 0, "resolution": np.nan, "own_resolution": True, "twin": "", "dissimilarity": ""}


@dataclass
class Models:
    """RDMs over the conditions, a dict that describes each, its patterns, and what was left out and why."""

    conditions: list[str]
    rows: list[dict[str, Any]] = field(default_factory=list)
    vectors: list[Float64[np.ndarray, " pair"]] = field(default_factory=list)
    patterns: list[Dataset | None] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def add(self, found: RDMs, facts: Mapping[str, Any], patterns: Dataset | None = None) -> None:
        """One RDM and its description; its name is "source layer resolution"."""
        row = {key: facts.get(key, default) for key, default in DESCRIBED.items()}
        row["dissimilarity"] = found.dissimilarity_measure
        shown = "" if np.isnan(row["resolution"]) else f"{row['resolution']:g} px"
        row["name"] = " ".join(dict.fromkeys(filter(None, (row["source"], row["layer"], shown))))
        self.rows.append(row)
        self.vectors.append(found.dissimilarities[0])
        self.patterns.append(patterns)

    def rdms(self) -> RDMs:
        """All of them."""
        told = {key: [row[key] for row in self.rows] for key in ("name", *DESCRIBED)}
        return RDMs(np.stack(self.vectors), None, {}, told, {"stimulus": self.conditions})


def model_rdms(
    sources: Sequence[Compared], stimuli: Stimuli | None, conditions: Sequence[str], config: RsaConfig
) -> Models:
    """All sources at all resolutions, then arrays and category models.

    Parameters
    ----------
    stimuli
        The study's; None for a study without images, which is compared with arrays only.
    conditions
        Ids of the brain's RDMs.

    Raises `MissingData` for conditions without stimuli, for unknown layers and for absent arrays; `WrongArgument`
    where nothing is to be compared.
    """
    models = Models(list(conditions))
    own: set[int] = set()
    for one in sources if stimuli is not None else ():
        for resolution in _resolutions(one, config, own):
            assert stimuli is not None
            _add_source(models, one, stimuli, resolution, config)
        if not _is_baseline(one.source):
            own |= set(_own(one.source))
    for path in config.arrays:
        _add_arrays(models, Path(path), config)
    if stimuli is not None and config.categories:
        _add_categories(models, stimuli, config)
    if not models.rows:
        said = f": {'; '.join(models.left_out)}" if models.left_out else ""
        raise WrongArgument(
            f"there is nothing to compare{said}", "sources", "Give --run, sources, arrays or baselines."
        )
    return models


def _resolutions(one: Compared, config: RsaConfig, own: set[int]) -> list[Resolution]:
    """At which a source is shown the stimuli; baselines at those of the networks too, to stand beside each."""
    wanted = dict.fromkeys([*config.resolutions, *(sorted(own) if _is_baseline(one.source) else ())])
    return [size for size in wanted if size == "own" or size not in _own(one.source) or "own" not in wanted]


def _own(source: FeatureSource) -> list[int]:
    shape = source.input_shape()
    return [] if shape is None else [shape[1]]


def _is_baseline(source: FeatureSource) -> bool:
    return bool(getattr(source, "method", "")) and bool(source.descriptors().get("baseline"))


def _add_source(models: Models, one: Compared, stimuli: Stimuli, resolution: Resolution, config: RsaConfig) -> None:
    twin = "" if one.twin is None else _add_layers(models, one, one.twin, stimuli, resolution, config, "")
    _add_layers(models, one, one.source, stimuli, resolution, config, twin)


def _add_layers(
    models: Models,
    one: Compared,
    source: FeatureSource,
    stimuli: Stimuli,
    resolution: Resolution,
    config: RsaConfig,
    twin: str,
) -> str:
    """Add a source's layers; the name under which they stand, which for a twin may be another's."""
    folder = Path(config.cache) if config.cache else default_cache() / "activations"
    size = None if resolution == "own" else resolution
    found = activations(source, stimuli.images, stimuli.ids, folder=folder, resolution=size)
    facts = {**found.descriptors, "source": found.descriptors["name"], "twin": twin, "own_resolution": size is None}
    made = Models(models.conditions)
    for depth, layer in enumerate(found.layers):
        if config.layers is None or layer in config.layers or _is_baseline(source):
            patterns = _by_condition(found.dataset(layer), stimuli, models.conditions, config)
            _add_layer(made, patterns, one.method, {**facts, "layer": layer, "depth": depth})
    if not made.rows and not made.left_out:
        what = f"{facts['source']} has no layer {', '.join(config.layers or [])}"
        raise MissingData(what, "layers", f"There are: {', '.join(found.layers)}.")
    return _merge(models, made, one)


def _add_layer(models: Models, patterns: Dataset, method: str, facts: Mapping[str, Any]) -> None:
    try:
        models.add(rdms(patterns, method), facts, patterns)
    except BrokenData as error:
        models.left_out.append(f"{facts['source']}, {facts['layer']}: {error.what}")


def _merge(models: Models, made: Models, one: Compared) -> str:
    """Add what is new. Twins of one name are one network if their RDMs are the same; or else each has its own name."""
    name = str(made.rows[0]["source"]) if made.rows else ""
    for suffix in ("", *(f" (read as {made.rows[0]['inference']})" for _ in made.rows[:1]), f" ({one.name})"):
        there = {row["name"]: vector for row, vector in zip(models.rows, models.vectors, strict=True)}
        _rename(made, name + suffix)
        same = [there.get(row["name"]) for row in made.rows]
        if all(known is None for known in same):
            models.rows += made.rows
            models.vectors += made.vectors
            models.patterns += made.patterns
            break
        if _equal(made.vectors, same):
            break
    models.left_out += [text for text in made.left_out if text not in models.left_out]
    return str(made.rows[0]["source"]) if made.rows else ""


def _rename(made: Models, source: str) -> None:
    for row in made.rows:
        row["name"] = row["name"].replace(row["source"], source, 1)
        row["source"] = source


def _equal(vectors: Sequence[np.ndarray], known: Sequence[np.ndarray | None]) -> bool:
    return all(b is not None and np.allclose(a, b, rtol=1e-5, atol=1e-7) for a, b in zip(vectors, known, strict=True))


def _by_condition(found: Dataset, stimuli: Stimuli, conditions: Sequence[str], config: RsaConfig) -> Dataset:
    """Rows of the conditions, in their order; means over stimuli where conditions are groups of them."""
    if config.average_by is None:
        groups = list(stimuli.ids)
    else:
        groups = [str(label) for label in _descriptor(stimuli, config.average_by)]
        found = condition_mean(Dataset(found.measurements, found.descriptors, {"stimulus": groups}))
        groups = list(found.obs_descriptors["stimulus"])
    place = {name: i for i, name in enumerate(groups)}
    absent = [condition for condition in conditions if condition not in place]
    if absent:
        what = f"{len(absent)} conditions of the brain have no stimulus: {', '.join(absent[:5])}"
        raise MissingData(
            what, "stimuli", "Give the stimuli that people saw; or average_by, where conditions are groups."
        )
    rows = [place[condition] for condition in conditions]
    return Dataset(found.measurements[rows], found.descriptors, {"stimulus": list(conditions)})


def _descriptor(stimuli: Stimuli, name: str) -> np.ndarray:
    if name not in stimuli.descriptors:
        raise MissingData(f"stimuli have no {name!r}", "stimuli", f"There are: {', '.join(stimuli.descriptors)}.")
    return stimuli.descriptors[name]


def _add_categories(models: Models, stimuli: Stimuli, config: RsaConfig) -> None:
    for name, descriptor in config.categories.items():
        labels = dict(zip(stimuli.ids, _descriptor(stimuli, descriptor), strict=True))
        found = category_rdms(models.conditions, {name: [labels[one] for one in models.conditions]})
        models.add(found, {"source": name, "network": name, "layer": name, "baseline": True})


def _add_arrays(models: Models, path: Path, config: RsaConfig) -> None:
    for layer, values, facts in _arrays(path):
        ids = [str(one) for one in facts.pop("stimulus")]
        absent = sorted(set(models.conditions) - set(ids))
        if absent:
            raise MissingData(f"no features of {', '.join(absent[:5])}", path, "Give a row for every condition.")
        place = {name: i for i, name in enumerate(ids)}
        rows = values.reshape(len(values), -1)[[place[one] for one in models.conditions]]
        told = {"source": path.stem, "network": path.stem, "layer": layer, **facts}
        _add_layer(models, dataset(rows, models.conditions, name=path.stem), config.distance, told)


def _arrays(path: Path) -> Iterator[tuple[str, np.ndarray, dict[str, Any]]]:
    """Each layer of a file with what the file says of itself."""
    if not path.is_file():
        raise MissingData("there are no such arrays", path, "Give an .npz file.")
    with np.load(path, allow_pickle=False) as held:
        arrays = {name: held[name] for name in held.files}
    if "stimulus" not in arrays:
        raise BrokenData("there is no array `stimulus` with the ids", path, "Add it: one id for each row.")
    facts = {name: value.item() for name, value in arrays.items() if value.ndim == 0}
    layers = [name for name, value in arrays.items() if value.ndim > 0 and name != "stimulus"]
    for depth, layer in enumerate(layers):
        if len(arrays[layer]) != len(arrays["stimulus"]):
            raise BrokenData(
                f"{layer} has {len(arrays[layer])} rows for {len(arrays['stimulus'])} ids", path, "Match them."
            )
        yield layer, arrays[layer], {**facts, "stimulus": arrays["stimulus"], "depth": depth}
