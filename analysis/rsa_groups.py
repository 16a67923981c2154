"""Networks that differ in their seed only are one group: a rule on a network at a resolution.

The layer by which a group is judged is chosen by leaving one subject out: for each subject the layer that is best for
the mean of the others, over all seeds. Chosen on the very data that score it, the best of many layers is too good.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int

FORWARD = "forward pass"  # of a source whose layers are read so
Key = tuple[Any, ...]
BY = ("rule", "network", "data", "inference", "baseline", "own_resolution")


@dataclass(frozen=True, eq=False)
class Group:
    """Places of its models (seed, layer) among all models; those of the same networks untrained, where there are any.

    `label` is the rule's name, with as much more as tells it from other groups at this resolution.
    """

    label: str
    facts: Mapping[str, Any]
    seeds: tuple[int, ...]
    layers: tuple[str, ...]
    places: Int[np.ndarray, "seed layer"]
    twins: Int[np.ndarray, "seed layer"] | None

    @property
    def resolution(self) -> float:
        """Pixels a side at which images were shown; NaN for what was shown none."""
        return float(self.facts["resolution"])

    @property
    def is_network(self) -> bool:
        """Not a baseline computed from the image, or from labels."""
        return not (self.facts["baseline"] and self.facts["rule"] == "none")

    @property
    def is_trained(self) -> bool:
        """Neither a baseline nor an untrained network."""
        return not self.facts["baseline"]


def groups(rows: Sequence[Mapping[str, Any]]) -> list[Group]:
    """All groups of the models: trained, untrained, baselines; layers that some seed lacks are left out."""
    by_key: dict[Key, list[int]] = {}
    for place, row in enumerate(rows):
        by_key.setdefault(_key(row), []).append(place)
    parts = [part for places in by_key.values() for part in _seeds_once(rows, places)]
    labels = _labels([rows[places[0]] for places in parts], [_own_name(rows, places) for places in parts])
    found = [_group(rows, places, label) for places, label in zip(parts, labels, strict=True)]
    return sorted(found, key=lambda group: (not group.is_trained, not group.is_network))


def chosen_layers(values: Float64[np.ndarray, "*draw layer subject"]) -> Int[np.ndarray, "*draw subject"]:
    """For each subject, the layer that is best for the mean of the other subjects.

    With one subject and several layers there is no choice that the score does not depend on: -1.
    """
    n_layers, n_subjects = values.shape[-2:]
    if n_layers > 1 and n_subjects < 2:
        return np.full((*values.shape[:-2], n_subjects), -1)
    others = values.sum(axis=-1, keepdims=True) - values
    return np.asarray(np.where(np.isnan(others), -np.inf, others).argmax(axis=-2))


def weights(
    places: Int[np.ndarray, "seed layer"], layer: Int[np.ndarray, " subject"], n_models: int
) -> Float64[np.ndarray, "model subject"]:
    """Contrast whose value is the mean over seeds and subjects, of each subject in its layer; NaN without a layer."""
    found = np.zeros((n_models, len(layer)))
    if (layer < 0).any():
        return np.full_like(found, math.nan)
    np.add.at(found, (places[:, layer], np.arange(len(layer))), 1 / (len(places) * len(layer)))
    return found


def _key(row: Mapping[str, Any]) -> Key:
    resolution = row["resolution"]
    return (*(row[name] for name in BY), None if math.isnan(resolution) else resolution)


def _seeds_once(rows: Sequence[Mapping[str, Any]], places: list[int]) -> list[list[int]]:
    """Networks of one seed and of different names differ in more than the seed: each is a group of its own."""
    by_source: dict[str, list[int]] = {}
    for place in places:
        by_source.setdefault(rows[place]["source"], []).append(place)
    seeds = [rows[some[0]]["seed"] for some in by_source.values()]
    return [places] if len(set(seeds)) == len(seeds) else list(by_source.values())


def _own_name(rows: Sequence[Mapping[str, Any]], places: list[int]) -> bool:
    """Whether the group is one source that another group has the rule, network, data and seed of."""
    mine = {rows[place]["source"] for place in places}
    same = {row["source"] for row in rows if _key(row) == _key(rows[places[0]])}
    return len(same) > len(mine)


def _group(rows: Sequence[Mapping[str, Any]], places: list[int], label: str) -> Group:
    seeds = tuple(dict.fromkeys(int(rows[place]["seed"]) for place in places))
    held = Counter(rows[place]["layer"] for place in places)
    layers = tuple(layer for layer, times in held.items() if times == len(seeds))
    at = {(int(rows[place]["seed"]), rows[place]["layer"]): place for place in places}
    grid = np.array([[at[seed, layer] for layer in layers] for seed in seeds]).reshape(len(seeds), len(layers))
    return Group(label, rows[places[0]], seeds, layers, grid, _twins(rows, grid))


def _twins(
    rows: Sequence[Mapping[str, Any]], grid: Int[np.ndarray, "seed layer"]
) -> Int[np.ndarray, "seed layer"] | None:
    where = {(row["source"], row["layer"], row["resolution"]): place for place, row in enumerate(rows)}
    found = [
        [where.get((rows[place]["twin"], rows[place]["layer"], rows[place]["resolution"]), -1) for place in line]
        for line in grid
    ]
    twins = np.array(found).reshape(grid.shape)
    return None if (twins < 0).any() else twins


def _labels(firsts: Sequence[Mapping[str, Any]], own_names: Sequence[bool]) -> list[str]:
    plain = [row["network"] if row["rule"] == "none" else row["rule"] for row in firsts]
    told = []
    for row, label, own in zip(firsts, plain, own_names, strict=True):
        namesakes = [other for other, name in zip(firsts, plain, strict=True) if name == label]
        more = [f"{row['network']} {row['data']}".strip()] if _differ(namesakes, "network", "data") else []
        alike = [other for other in namesakes if other["network"] == row["network"] and other["data"] == row["data"]]
        if _differ(alike, "inference") and row["inference"] != FORWARD:
            more.append(f"read as {row['inference']}")
        told.append(str(row["source"]) if own else ", ".join([str(label), *more]))
    return told


def _differ(rows: Sequence[Mapping[str, Any]], *names: str) -> bool:
    return len({tuple(row[name] for name in names) for row in rows}) > 1
