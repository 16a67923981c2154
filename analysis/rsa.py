"""From checkpoints, modules or arrays and a study to tidy tables: representational similarity analysis as one function.

Which rule learns like a brain? Every layer of every network has an RDM over the stimuli that people saw, and is held
against the RDM of every person in every region, beside the same network untrained, pixels and edges, with interval,
permutation p and noise ceiling (`rsa_table`). The folder with figures and report is made by `rsa_folder`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float64, UInt8
from torch import nn

from ..datasets.errors import MissingData, WrongArgument
from ..datasets.image_study import ImageStudy, Stimuli, open_image_study
from .feature_source import FeatureSource
from .pattern_comparison import compare_patterns
from .ranks import midranks
from .rsa_brain import Region, brain_regions
from .rsa_config import RsaConfig
from .rsa_contrasts import evidence
from .rsa_groups import groups
from .rsa_map import items, scaled_map
from .rsa_models import Models, model_rdms
from .rsa_sources import compared
from .rsa_table import ALL, Place, comparison_rows, corrected, model_rows, place, rule_rows

Say = Callable[[str], None]
# One family of tests: the trained rules (or else the untrained and baselines) in a region, at one resolution.
FAMILY = ["measure", "region", "subject", "is_choice", "baseline", "own_resolution"]


@dataclass(frozen=True, eq=False)
class Rsa:
    """The tables (see `rsa_table` and `rsa_map`), ranked RDMs for heat maps, and facts of study and method.

    `matrices` holds by title the ranks of an RDM's dissimilarities, from 0 to 1; `images` the stimuli in that order.
    """

    config: RsaConfig
    models: pd.DataFrame
    rules: pd.DataFrame
    comparisons: pd.DataFrame
    map: pd.DataFrame
    matrices: dict[str, Float64[np.ndarray, "condition condition"]]
    images: UInt8[np.ndarray, "condition channel height width"] | None
    facts: dict[str, Any]


def _quiet(_: str) -> None:
    pass


def rsa(
    config: RsaConfig,
    sources: Sequence[FeatureSource | nn.Module] = (),
    study: ImageStudy | None = None,
    say: Say = _quiet,
) -> Rsa:
    """Hold networks against a study.

    Parameters
    ----------
    sources
        More than the config names, made in code.
    study
        Instead of the config's.
    say
        Told what is being done.

    Raises `MissingData` for an unknown study, region, layer or run, and for conditions without stimuli; `WrongArgument`
    where nothing is to be compared; and what reading the study and running the networks raise.
    """
    found = compared(config, sources)  # first: a run that is not there is said at once
    study = study or _opened(config)
    regions = brain_regions(study, config.regions, config.brain_distance)
    stimuli = _stimuli(study, bool(found))
    say(f"{len(found)} sources of features")
    models = model_rdms(found, stimuli, _conditions(regions), config)
    say(f"{len(models.rows)} model RDMs in {', '.join(regions)}")
    places = [one for measure in config.measures for one in _places(models, regions, measure, config)]
    say("tables")
    together = groups(models.rows)
    tables = [row for at in places for row in model_rows(at, models.rows)]
    seconds = _pattern_rows(models, regions, config)
    rules = corrected(pd.DataFrame([row for at in places for row in rule_rows(at, together)]), FAMILY)
    differences = pd.DataFrame([row for at in places for row in comparison_rows(at, together)])
    rdms, brains = models.rdms(), {name: region.rdms for name, region in regions.items()}
    told, rows = items(rdms, brains, together, config.measures[0])
    return Rsa(
        config,
        pd.DataFrame(tables + seconds),
        rules,
        corrected(differences, ["kind", "measure"]) if len(differences) else differences,
        scaled_map(told, rows, config.measures[0]),
        _matrices(told, rows, rules, config.measures[0]),
        _images(stimuli, sorted(models.conditions)),
        _facts(study, regions, models),
    )


def _opened(config: RsaConfig) -> ImageStudy:
    if config.root is None:
        raise WrongArgument("the study has no folder", "root", "Give it with --root DIR.")
    return open_image_study(config.study, config.root, config.options)


def _stimuli(study: ImageStudy, needed: bool) -> Stimuli | None:
    """Images, unless the study has none and nothing that was asked for needs them."""
    try:
        return study.stimuli()
    except MissingData:
        if needed:
            raise
        return None


def _conditions(regions: Mapping[str, Region]) -> list[str]:
    return [str(one) for one in next(iter(regions.values())).rdms.pattern_descriptors["stimulus"]]


def _places(models: Models, regions: Mapping[str, Region], measure: str, config: RsaConfig) -> list[Place]:
    rdms, brains = models.rdms(), {name: region.rdms for name, region in regions.items()}
    given = {"samples": config.samples, "permutations": config.permutations, "seed": config.seed}
    found = evidence(rdms, brains, measure, **given)
    return [place(name, measure, found[name], rdms, brains[name]) for name in regions]


def _pattern_rows(models: Models, regions: Mapping[str, Region], config: RsaConfig) -> list[dict[str, Any]]:
    """Second opinions on patterns, where there are patterns: values, without interval, p or ceiling."""
    known = [i for i, patterns in enumerate(models.patterns) if patterns is not None]
    rows = []
    for name, region in regions.items() if known else ():
        for measure in config.pattern_measures if region.patterns else ():
            found = compare_patterns([models.patterns[i] for i in known], region.patterns, measure)
            who = [str(one.descriptors["subject"]) for one in region.patterns]
            shared = {
                "region": name,
                "measure": measure,
                "n_conditions": len(models.conditions),
                "n_subjects": len(who),
            }
            for i, values in zip(known, found, strict=True):
                told = zip((ALL, *who), (values.mean(), *values), strict=True)
                rows += [{**models.rows[i], **shared, "subject": one, "value": value} for one, value in told]
    return rows


def _matrices(
    told: Sequence[Mapping[str, Any]], rows: Float64[np.ndarray, "item pair"], rules: pd.DataFrame, measure: str
) -> dict[str, Float64[np.ndarray, "condition condition"]]:
    """Of every region, and of every group in the layer that is best for the mean over regions."""
    here = rules[
        (rules["subject"] == ALL) & (rules["measure"] == measure) & ~rules["is_choice"] & rules["own_resolution"]
    ]
    means = here.groupby(["label", "layer"])["value"].mean()
    best = {label: means[label].idxmax() for label in here["label"].unique()}
    shown = [i for i, one in enumerate(told) if one["is_region"]]
    shown += [i for i, one in enumerate(told) if not one["is_region"] and best.get(one["label"]) == one["layer"]]
    found = {}
    for i in shown:
        title = ", ".join(dict.fromkeys(filter(None, (told[i]["label"], told[i]["layer"]))))
        ranks = midranks(rows[i : i + 1])[0]
        n = int(np.sqrt(2 * len(ranks))) + 1
        square = np.zeros((n, n))
        square[np.triu_indices(n, 1)] = (ranks - ranks.min()) / np.ptp(ranks)
        found[title] = square + square.T
    return found


def _images(
    stimuli: Stimuli | None, conditions: Sequence[str]
) -> UInt8[np.ndarray, "condition channel height width"] | None:
    if stimuli is None or not set(conditions) <= set(stimuli.ids):
        return None
    return stimuli.images[[stimuli.ids.index(one) for one in conditions]]


def _facts(study: ImageStudy, regions: Mapping[str, Region], models: Models) -> dict[str, Any]:
    return {
        "study": study.study,
        "citation": study.citation,
        "licence": study.licence,
        "regions": {name: len(region.rdms.dissimilarities) for name, region in regions.items()},
        "n_conditions": len(models.conditions),
        "left_out": models.left_out,
    }
