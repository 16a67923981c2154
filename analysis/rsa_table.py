"""The tidy tables of an RSA: similarities of models and of rules, and their differences, each with what it needs.

- `models`: one row a model RDM, region, measure and subject; subject "all" is the mean over subjects with its interval,
  p and ceilings.
- `rules`: the same for rules, whose seeds are averaged; layer "chosen" is the one chosen by leaving one subject out.
- `comparisons`: paired differences of rules with their untrained twin, with pixels at the same resolution, with each
  other, and with themselves at another resolution.

`value` is a mean over subjects; `group_mean_value` is the similarity with the mean RDM of all subjects, another number
(noise averages out of it), and not to be held against the noise ceiling of subjects.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float64
from rsatoolbox.rdm import RDMs

from .comparison import compare
from .correction import fdr, max_statistic_p, permutation_p
from .noise_ceiling import NoiseCeiling, noise_ceiling
from .rsa_brain import group_mean
from .rsa_contrasts import Estimates, Evidence, estimates, model_estimates
from .rsa_groups import Group, chosen_layers, weights

ALL, CHOSEN = "all", "chosen"  # subject; layer
TWIN, PIXELS, RULE, RESOLUTION = "untrained twin", "pixels", "other rule", "other resolution"
Row = dict[str, Any]
Weights = Float64[np.ndarray, "model subject"]


@dataclass(frozen=True, eq=False)
class Place:
    """A region and a measure with what all its rows share."""

    region: str
    measure: str
    found: Evidence
    ceiling: NoiseCeiling
    with_mean: Float64[np.ndarray, " model"]

    def shared(self) -> Row:
        """Columns that are the same in all rows."""
        return {
            "region": self.region,
            "measure": self.measure,
            "ceiling_low": self.ceiling.lower,
            "ceiling_high": self.ceiling.upper,
            "split_half": self.ceiling.split_half,
            "n_conditions": self.found.n_conditions,
            "n_subjects": len(self.found.subjects),
        }


def place(region: str, measure: str, found: Evidence, models: RDMs, data: RDMs) -> Place:
    """The evidence of a region with its noise ceiling, NaN for one subject, and the similarities with the mean RDM."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="one subject has no noise ceiling")  # the tables say n_subjects 1
        warnings.filterwarnings("ignore", message="the split-half reliability")  # and split_half NaN
        ceiling = noise_ceiling(data, measure)
    return Place(region, measure, found, ceiling, compare(models, group_mean(data), measure)[:, 0])


def model_rows(at: Place, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Every model: the mean over subjects, then each subject."""
    found, null = model_estimates(at.found), at.found.permuted.mean(axis=2)
    p = permutation_p(found.value, null)
    corrected = {"p": p, "p_fdr": fdr(p), "p_max": max_statistic_p(found.value, null)}
    made = []
    for i, row in enumerate(rows):
        told = {**row, **at.shared(), "group_mean_value": at.with_mean[i]}
        made.append({**told, "subject": ALL, **_numbers(found, i), **{name: p[i] for name, p in corrected.items()}})
        made += [{**told, "subject": who, "value": at.found.observed[i, s]} for s, who in enumerate(at.found.subjects)]
    return made


def rule_rows(at: Place, groups: Sequence[Group]) -> list[Row]:
    """Every group in its chosen layer, then in each layer; p_max is over the groups in their chosen layers."""
    parts = [(group, layer) for group in groups for layer in (-1, *range(len(group.layers)))]
    layers = [_layers(at, group, layer) for group, layer in parts]
    contrasts = np.stack(
        [weights(group.places, own, len(at.found.observed)) for (group, _), own in zip(parts, layers, strict=True)]
    )
    found = estimates(at.found, np.nan_to_num(contrasts))
    unknown = np.isnan(contrasts).any(axis=(1, 2))
    null = np.stack([_null(at, group, layer) for group, layer in parts], axis=1)
    value = np.where(unknown, np.nan, found.value)
    p, p_max = permutation_p(value, null), np.full(len(parts), np.nan)
    heads = np.array([layer < 0 for _, layer in parts])
    p_max[heads] = max_statistic_p(value[heads], null[:, heads])
    made: list[Row] = []
    for i, (group, layer) in enumerate(parts):
        if not unknown[i]:
            row = {**_facts(at, group, layer, layers[i]), **_numbers(found, i), "p": p[i], "p_max": p_max[i]}
            made += [row, *_subject_rows(at, row, contrasts[i])]
    return made


def comparison_rows(at: Place, groups: Sequence[Group]) -> list[Row]:
    """Paired differences A - B, each group in its own chosen layer; with the untrained twin also layer by layer."""
    made, contrasts = [], []
    for a, b, facts, weight in _pairs(at, groups):
        made.append({**_facts_of_pair(a, b), **facts, **at.shared()})
        contrasts.append(weight)
    if not made:
        return []
    found = estimates(at.found, np.stack(contrasts))
    return [{**row, **_numbers(found, i, "difference"), "p": found.p[i]} for i, row in enumerate(made)]


def corrected(rows: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """With `p_fdr` over all rows that agree in the columns `by`."""
    adjusted = rows.groupby(list(by), dropna=False)["p"].transform(lambda p: pd.Series(fdr(p.to_numpy(float)), p.index))
    return rows.assign(p_fdr=adjusted)


def _numbers(found: Estimates, i: int, name: str = "value") -> Row:
    return {name: found.value[i], "low": found.low[i], "high": found.high[i]}


def _seed_mean(at: Place, group: Group) -> Float64[np.ndarray, "layer subject"]:
    return np.asarray(at.found.observed[group.places].mean(axis=0))


def _layers(at: Place, group: Group, layer: int) -> np.ndarray:
    """Of each subject; `layer` -1 lets them be chosen."""
    return chosen_layers(_seed_mean(at, group)) if layer < 0 else np.full(len(at.found.subjects), layer)


def _null(at: Place, group: Group, layer: int) -> Float64[np.ndarray, " permutation"]:
    """The statistic with permuted stimulus labels, the layer chosen anew in every permutation."""
    drawn = at.found.permuted[:, group.places].mean(axis=1)
    if layer >= 0:
        return np.asarray(drawn[:, layer].mean(axis=1))
    own = chosen_layers(drawn)
    return np.asarray(np.take_along_axis(drawn, np.maximum(own, 0)[:, None], axis=1)[:, 0].mean(axis=1))


def _facts(at: Place, group: Group, layer: int, own: np.ndarray) -> Row:
    modal = int(np.bincount(own).argmax()) if (own >= 0).all() else 0
    by_seed = at.found.observed[group.places[:, own], np.arange(len(own))].mean(axis=1)
    names, times = np.unique([group.layers[i] for i in own], return_counts=True)
    told = {name: group.facts[name] for name in ("rule", "network", "data", "inference", "baseline", "own_resolution")}
    return {
        "label": group.label,
        **told,
        "is_network": group.is_network,
        "layer": CHOSEN if layer < 0 else group.layers[layer],
        "is_choice": layer < 0,
        "depth": layer,
        "chosen_layers": ", ".join(f"{name} ({n})" for name, n in zip(names, times, strict=True)) if layer < 0 else "",
        "resolution": group.resolution,
        **at.shared(),
        "subject": ALL,
        "n_seeds": len(group.seeds),
        "sd_seeds": by_seed.std(ddof=1) if len(group.seeds) > 1 else math.nan,
        "group_mean_value": at.with_mean[group.places[:, modal]].mean(),
    }


def _subject_rows(at: Place, row: Row, contrast: Weights) -> list[Row]:
    values = (contrast * at.found.observed).sum(axis=0) * len(at.found.subjects)
    return [
        {
            **row,
            "subject": who,
            "value": value,
            **dict.fromkeys(("low", "high", "p", "p_max", "sd_seeds", "group_mean_value"), math.nan),
        }
        for who, value in zip(at.found.subjects, values, strict=True)
    ]


Pair = tuple[Group, Group | None, Row, Weights]


def _pairs(at: Place, groups: Sequence[Group]) -> Iterator[Pair]:
    trained = [group for group in groups if group.is_trained]
    for group in trained:
        yield from _with_twin(at, group)
        for other in groups:
            if other.facts["network"] == "pixels" and other.resolution == group.resolution:
                yield from _chosen_pair(at, group, other, PIXELS)
    for i, group in enumerate(trained):
        for other in trained[i + 1 :]:
            same = group.label == other.label
            if not same and group.facts["own_resolution"] and other.facts["own_resolution"]:
                yield from _chosen_pair(at, group, other, RULE)
            elif same and group.facts["own_resolution"] != other.facts["own_resolution"]:
                pair = (group, other) if group.facts["own_resolution"] else (other, group)
                yield from _chosen_pair(at, *pair, RESOLUTION)


def _with_twin(at: Place, group: Group) -> Iterator[Pair]:
    """The same networks before training: each in the layer chosen for it, then layer by layer."""
    if group.twins is None:
        return
    n = len(at.found.observed)
    own = [chosen_layers(at.found.observed[places].mean(axis=0)) for places in (group.places, group.twins)]
    if (own[0] >= 0).all():
        difference = weights(group.places, own[0], n) - weights(group.twins, own[1], n)
        yield group, None, {"kind": TWIN, "layer": CHOSEN}, difference
    for i, layer in enumerate(group.layers):
        same = np.full(len(at.found.subjects), i)
        yield (
            group,
            None,
            {"kind": TWIN, "layer": layer},
            weights(group.places, same, n) - weights(group.twins, same, n),
        )


def _chosen_pair(at: Place, a: Group, b: Group, kind: str) -> Iterator[Pair]:
    own = [_layers(at, group, -1) for group in (a, b)]
    if all((one >= 0).all() for one in own):
        n = len(at.found.observed)
        yield a, b, {"kind": kind, "layer": CHOSEN}, weights(a.places, own[0], n) - weights(b.places, own[1], n)


def _facts_of_pair(a: Group, b: Group | None) -> Row:
    return {
        "a": a.label,
        "b": f"{a.label}, untrained" if b is None else b.label,
        "n_seeds_a": len(a.seeds),
        "n_seeds_b": len(a.seeds) if b is None else len(b.seeds),
        "resolution": a.resolution,
        "resolution_b": a.resolution if b is None else b.resolution,
        "own_resolution": a.facts["own_resolution"],
    }
