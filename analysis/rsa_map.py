"""Which rule's layers lie near which region: multidimensional scaling of RDMs, on two dimensions.

A distance is 1 less the similarity of two RDMs: those of layers are means over seeds, those of regions means over
subjects (brought to one scale first, as `noise_ceiling` does). Means have less noise than subjects, so these distances
are not those of the tables' values. The configuration minimises the squared error of distances, by majorisation
(SMACOF, de Leeuw 1977) from the classical solution; stress-1 (Kruskal 1964) says how much of them two dimensions bend.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float64
from rsatoolbox.rdm import RDMs
from sklearn.manifold import smacof

from .comparison import similarities
from .id_order import in_id_order
from .noise_ceiling import SCALES
from .rsa_groups import Group

Rows = Float64[np.ndarray, "item pair"]


def items(
    models: RDMs, regions: Mapping[str, RDMs], groups: Sequence[Group], measure: str
) -> tuple[list[dict[str, Any]], Rows]:
    """Mean RDMs of every group's layers at its network's own resolution, then of every region, and what each is."""
    models, *data = in_id_order(models, *regions.values())
    scaled = SCALES[measure](np.asarray(models.dissimilarities, np.float64))
    told: list[dict[str, Any]] = []
    rows = []
    for group in groups:
        for depth, layer in enumerate(group.layers) if group.facts["own_resolution"] else ():
            told.append({"label": group.label, "layer": layer, "depth": depth, "baseline": group.facts["baseline"]})
            rows.append(scaled[group.places[:, depth]].mean(axis=0))
    for region, one in zip(regions, data, strict=True):
        told.append({"label": region, "layer": "", "depth": -1, "baseline": False})
        rows.append(SCALES[measure](np.asarray(one.dissimilarities, np.float64)).mean(axis=0))
    return [{**one, "is_region": one["depth"] < 0} for one in told], np.stack(rows)


def scaled_map(told: Sequence[Mapping[str, Any]], rows: Rows, measure: str) -> pd.DataFrame:
    """Coordinates `x`, `y` of each item, and the `stress` of all. Raises `WrongArgument` for an unknown measure."""
    distances = 1 - np.nan_to_num(similarities(rows, rows, measure))
    distances = (distances + distances.T) / 2
    np.fill_diagonal(distances, 0)
    places = np.zeros((len(rows), 2))
    stress = 0.0
    if len(rows) > 2:
        places, stress = smacof(distances, init=_classical(distances), n_init=1, normalized_stress=True)
    return pd.DataFrame(list(told)).assign(x=places[:, 0], y=places[:, 1], stress=stress)


def _classical(distances: Float64[np.ndarray, "item item"]) -> Float64[np.ndarray, "item 2"]:
    """Torgerson's solution, each axis with its largest loading positive."""
    squared = np.square(distances)
    centred = squared - squared.mean(axis=0) - squared.mean(axis=1, keepdims=True) + squared.mean()
    values, vectors = np.linalg.eigh(-centred / 2)
    found = vectors[:, -1:-3:-1] * np.sqrt(np.maximum(values[-1:-3:-1], 0))
    largest = np.take_along_axis(found, np.abs(found).argmax(axis=0)[None], axis=0)
    return np.asarray(found * np.where(largest < 0, -1, 1))
