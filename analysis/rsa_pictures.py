"""Which figures the tables of an RSA give, each with a caption: what is seen, of how many, against which null."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from ..page_figure import Drawing, saved
from ..page_text import MINUS, interval, listed, number, plural
from .figures_layers import layer_lines
from .figures_map import layer_map
from .figures_matrices import rdm_panels, rule_matrix
from .figures_rules import resolution_points, rule_points
from .rsa import Rsa
from .rsa_table import ALL

MANY = 40  # rows that a figure can carry


@dataclass(frozen=True, eq=False)
class Drawn:
    """A figure, its name as a file, its title and what it says in words."""

    name: str
    title: str
    figure: Drawing
    caption: str
    alt: str

    @cached_property
    def png(self) -> bytes:
        """The figure's file, made once."""
        return saved(self.figure, "png")


def pictures(found: Rsa) -> list[Drawn]:
    """All that the tables have something for."""
    return list(_pictures(found))


def at_own_resolution(rules: pd.DataFrame) -> pd.DataFrame:
    """Networks at the resolution that each reads, and baselines at those, or at their own where there is no network."""
    networks = rules[rules["is_network"] & rules["own_resolution"]]
    sizes = networks["resolution"].dropna().unique()
    beside = rules["resolution"].isin(sizes) if len(sizes) else rules["own_resolution"]
    baselines = rules[~rules["is_network"] & (beside | rules["resolution"].isna())]
    several = baselines.groupby("label")["resolution"].transform("nunique") > 1
    shown = baselines["label"] + baselines["resolution"].map(lambda size: f", {size:g} px" if size == size else "")
    return pd.concat([networks, baselines.assign(label=baselines["label"].where(~several, shown))])


def chosen(found: Rsa) -> pd.DataFrame:
    """Rules in the layer chosen for each by leaving one subject out; the figures' measure."""
    rules = found.rules
    return rules[rules["is_choice"] & (rules["measure"] == found.config.measures[0])]


def _pictures(found: Rsa) -> Iterator[Drawn]:
    measure, rules = found.config.measures[0], chosen(found)
    own = at_own_resolution(rules)
    said = _sentences(found, own)
    spoken = _spoken(own)
    yield Drawn(
        "rules",
        "Rules and baselines against the noise ceiling",
        rule_points(own, measure),
        f"Grey dots: {measure} of each subject with a rule, averaged over seeds. Marks: their mean (circles: trained; "
        f"diamonds: untrained and baselines), bars its 95% interval; filled: p_fdr < .05. {said['layer']} "
        f"{said['interval']} {said['p']} "
        f"{said['ceiling']} {said['seeds']} {said['n']}",
        spoken,
    )
    yield Drawn(
        "matrix",
        "Rules by regions",
        rule_matrix(own, measure),
        f"{measure}, mean over subjects and seeds; colour and number say the same. {said['layer']} Bold: p_fdr < .05. "
        f"{said['p']} Columns have ceilings of their own ({said['ceilings']}) and are not to be compared with each "
        f"other. {said['n']}",
        spoken,
    )
    yield from _layer_pictures(found, said)
    yield from _resolution_pictures(found, rules, said)
    yield Drawn(
        "map",
        "Which rule's layers lie near which region",
        layer_map(found.map),
        f"Multidimensional scaling of 1 {MINUS} {measure} between RDMs, on two dimensions; stress-1 is "
        f"{number(float(found.map['stress'].iloc[0]), 2)} (below .1 is good, above .2 do not trust small distances). "
        "RDMs of layers are means over seeds, those of regions means over subjects, in which noise averages out: "
        "distances here are smaller than values with single subjects suggest, and no ceiling belongs to them. "
        f"Lines go from a network's first layer (small marks) to its last. {said['n']}",
        "Map of layers and regions.",
    )
    yield Drawn(
        "rdms",
        "Representational dissimilarity matrices",
        rdm_panels(found.matrices, found.images),
        "Ranks of dissimilarities (dark: alike; light: unlike), conditions in the order of their ids, thumbnails along "
        "both axes. Regions are means over subjects, networks means over seeds, each in the layer that is best for the "
        f"mean over regions: for looking at, not for testing. {said['n']}",
        f"RDMs of {listed(list(found.matrices))}.",
    )


def _layer_pictures(found: Rsa, said: dict[str, str]) -> Iterator[Drawn]:
    rules = found.rules
    lines = rules[~rules["is_choice"] & (rules["measure"] == found.config.measures[0]) & rules["own_resolution"]]
    trained = lines[lines["is_network"] & ~lines["baseline"]]
    for region in trained["region"].unique():
        here = trained[trained["region"] == region]
        yield Drawn(
            f"layers_{_file(region)}",
            f"From layer to layer: {region}",
            layer_lines(here, _untrained(lines[lines["region"] == region], here), found.config.measures[0]),
            f"Grey dots: subjects; blue: their mean, averaged over seeds, with 95% interval; dashed: the same networks "
            f"untrained. {said['interval']} Filled: p_fdr < .05, by {found.config.permutations} permuted stimulus "
            f"labels, corrected over all rules and layers of the region. {said['ceiling']} {said['n']}",
            f"Similarity with {region} by layer.",
        )


def _untrained(lines: pd.DataFrame, trained: pd.DataFrame) -> pd.DataFrame:
    """Rows of the untrained networks under the labels of the rules whose networks they are."""
    by = ["network", "data", "inference", "resolution"]
    rows = lines[lines["rule"] == "untrained"].drop(columns="label")
    rules = trained[["label", *by]].drop_duplicates()
    return rows.merge(rules, on=by)


def _resolution_pictures(found: Rsa, rules: pd.DataFrame, said: dict[str, str]) -> Iterator[Drawn]:
    several = rules.groupby("label")["resolution"].transform("nunique") > 1
    shown = rules[several & (rules["is_network"] | rules["resolution"].isin(rules[rules["is_network"]]["resolution"]))]
    if shown["resolution"].nunique() < 2:
        return
    yield Drawn(
        "resolution",
        "Effect of the resolution at which images are shown",
        resolution_points(shown, found.config.measures[0]),
        "Every network reads images of its own size; at another resolution they are first reduced (or enlarged) to it. "
        f"Baselines beside them see the same images. {said['layer']} {said['interval']} {said['ceiling']} {said['n']}",
        "Similarity at each resolution.",
    )


def _sentences(found: Rsa, rules: pd.DataFrame) -> dict[str, str]:
    """What captions share."""
    config, mean = found.config, rules[rules["subject"] == ALL]
    regions = mean.drop_duplicates("region").to_dict("records")
    n = [f"{row['region']} {plural(int(row['n_subjects']), 'subject')}" for row in regions]
    bands = [
        f"{row['region']} {interval(row['ceiling_low'], row['ceiling_high'])}"
        for row in regions
        if not math.isnan(row["ceiling_low"])
    ]
    seeds = mean[mean["is_network"]].drop_duplicates("label")["n_seeds"]
    few = (
        ""
        if not len(seeds) or seeds.min() >= 5
        else " With one seed nothing is known of other seeds; below five, little."
    )
    return {
        "n": f"{found.facts['n_conditions']} conditions; {', '.join(n)}.",
        "layer": "The layer of a network is chosen by leaving one subject out: the layer that is best for the other "
        "subjects is scored on the one left out, so no subject's score chose its own layer.",
        "interval": f"Intervals: {config.samples} two-factor bootstraps of subjects and stimuli, t-distributed, "
        "with the layers as chosen; for one subject, of stimuli only.",
        "p": f"Null: {config.permutations} permutations of the stimulus labels, the layer chosen anew in each; p is "
        "one-sided, corrected (false discovery rate) over the rules of a region, baselines by themselves (p_fdr).",
        "ceiling": f"Grey band: noise ceiling of the mean over subjects ({'; '.join(bands)})."
        if bands
        else "No ceiling.",
        "ceilings": "; ".join(bands) or "none",
        "seeds": f"Networks are means over as many seeds as their names say; their spread is in the table.{few}",
    }


def _spoken(rules: pd.DataFrame) -> str:
    mean = rules[rules["subject"] == ALL]
    said = [f"{row['label']} in {row['region']} {number(row['value'])}" for row in mean.head(MANY).to_dict("records")]
    return "; ".join(said)


def _file(region: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in region)
