"""The report of an RSA: one HTML page that asks for nothing from outside, from verdict to command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ..page_figure import picture
from ..page_html import (
    Markup,
    definitions,
    details,
    document,
    element,
    head_row,
    image,
    joined,
    panels,
    row,
    scrolled,
    section,
)
from ..page_text import DASH, MINUS, interval, number, plural, probability
from .rsa import Rsa
from .rsa_pictures import Drawn
from .rsa_table import ALL, CHOSEN
from .rsa_verdict import lead, verdict

RULES = (
    "Value: mean over subjects and seeds. p: one-sided, by permuted stimulus labels, the layer chosen anew in each; "
    "p_fdr over the rules in a region at one resolution (baselines by themselves), p_max over all rows of a region. "
    "With the group mean: similarity with the mean RDM of the subjects, in the layer chosen most often; noise averages "
    "out of that RDM, so the number is higher, and not to be held against the ceiling. Bold: p_fdr < .05."
)
PAIRS = (
    f"Differences A {MINUS} B of the means over subjects and seeds, each in its own chosen layer; intervals and p "
    "(two-sided) by the two-factor bootstrap, p_fdr over all rows of a kind and measure. Bold: p_fdr < .05."
)


def page(found: Rsa, figures: Sequence[Drawn], versions: Mapping[str, Any]) -> str:
    """The whole page."""
    title = f"RSA report: {found.facts['study']}"
    sections = [
        _header(found, title),
        _verdict(found),
        *(section(one.title, _figure(one)) for one in figures),
        section("Rules and baselines", *_rules(found)),
        section("Paired differences", *_pairs(found)),
        section("How this was made", *_provenance(found, versions)),
    ]
    return document(title, sections)


def _header(found: Rsa, title: str) -> Markup:
    facts, config = found.facts, found.config
    line = (
        f"{plural(facts['n_conditions'], 'stimulus', 'stimuli')} · {', '.join(facts['regions'])} · "
        f"{config.measures[0]} · {facts['citation']}"
    )
    return element("header", element("h1", title) + element("p", line))


def _verdict(found: Rsa) -> Markup:
    blocks = [
        element("h3", heading) + joined([element("p", sentence) for sentence in sentences])
        for heading, sentences in verdict(found)
    ]
    return element("section", element("h2", "In short") + element("p", lead(found)) + joined(blocks), kind="verdict")


def _figure(drawn: Drawn) -> Markup:
    return panels([image(picture(drawn.figure, drawn.png), drawn.alt)], drawn.caption)


def _rules(found: Rsa) -> list[Markup]:
    mean = found.rules[found.rules["subject"] == ALL]
    first = mean[mean["is_choice"] & (mean["measure"] == found.config.measures[0])]
    layers = mean[~mean["is_choice"] & (mean["measure"] == found.config.measures[0]) & mean["is_network"]]
    parts = [scrolled(_rule_table(first), "Rules and baselines"), element("p", RULES, kind="caption")]
    if len(layers):
        parts.append(details(f"Every layer ({len(layers)} rows)", scrolled(_rule_table(layers), "Every layer")))
    for measure in found.config.measures[1:]:
        other = mean[mean["is_choice"] & (mean["measure"] == measure)]
        title = f"Second opinion: {measure} ({len(other)} rows)"
        parts.append(details(title, scrolled(_rule_table(other), title)))
    parts.append(element("p", "Every network, seed, layer and subject is in table.tsv.", kind="caption"))
    return parts


def _rule_table(rows: pd.DataFrame) -> Markup:
    heads = ("Rule", "Layer", "Shown at", "Value", "95% interval", "p", "p_fdr", "p_max", "Ceiling",
             "With the group mean", "Seeds", "Sd over seeds")  # fmt: skip
    bodies = []
    for region, some in rows.groupby("region", sort=False):
        n = int(some["n_subjects"].iloc[0])
        title = element("strong", str(region)) + Markup(" · ") + element("span", plural(n, "subject"))
        head = element("tr", element("th", title, scope="rowgroup", colspan=str(len(heads)), kind="group"))
        bodies.append(element("tbody", head + joined([_rule_row(one) for _, one in some.iterrows()])))
    return element("table", head_row(heads, 3) + joined(bodies), kind="scores")


def _rule_row(one: pd.Series) -> Markup:
    layer = one["chosen_layers"] if one["layer"] == CHOSEN else one["layer"]
    cells: list[str | Markup] = [
        one["label"],
        layer if one["is_network"] else DASH,
        _pixels(one["resolution"]),
        _strong(number(one["value"]), one["p_fdr"] < 0.05),
        interval(one["low"], one["high"]),
        _p(one["p"]),
        _p(one["p_fdr"]),
        _p(one["p_max"]),
        interval(one["ceiling_low"], one["ceiling_high"]),
        number(one["group_mean_value"]),
        str(int(one["n_seeds"])) if one["is_network"] else DASH,
        number(one["sd_seeds"]),
    ]
    return row(cells, 3)


def _pairs(found: Rsa) -> list[Markup]:
    pairs = found.comparisons
    if pairs.empty:
        return [element("p", "There is no trained network to compare.", kind="absent")]
    pairs = pairs[pairs["measure"] == found.config.measures[0]]
    chosen, layers = pairs[pairs["layer"] == CHOSEN], pairs[pairs["layer"] != CHOSEN]
    parts = [scrolled(_pair_table(chosen), "Paired differences"), element("p", PAIRS, kind="caption")]
    if len(layers):
        title = f"Trained less untrained, layer by layer ({len(layers)} rows)"
        parts.append(details(title, scrolled(_pair_table(layers), title)))
    return parts


def _pair_table(rows: pd.DataFrame) -> Markup:
    heads = ("A", "B", "Region", "Layer", "Shown at", f"A {MINUS} B", "95% interval", "p", "p_fdr", "Subjects", "Seeds")
    body = [
        row(
            [
                one["a"],
                one["b"],
                one["region"],
                one["layer"],
                " / ".join(dict.fromkeys((_pixels(one["resolution"]), _pixels(one["resolution_b"])))),
                number(one["difference"]),
                _strong(interval(one["low"], one["high"]), one["p_fdr"] < 0.05),
                _p(one["p"]),
                _p(one["p_fdr"]),
                str(int(one["n_subjects"])),
                " / ".join(dict.fromkeys((str(int(one["n_seeds_a"])), str(int(one["n_seeds_b"]))))),
            ],
            5,
        )
        for _, one in rows.iterrows()
    ]
    return element("table", head_row(heads, 5) + element("tbody", joined(body)))


def _provenance(found: Rsa, versions: Mapping[str, Any]) -> list[Markup]:
    told = [(str(name), str(value)) for name, value in versions.items() if name != "command"]
    study = [
        ("study", found.facts["study"]),
        ("citation", found.facts["citation"]),
        ("licence", found.facts["licence"]),
    ]
    return [
        element("pre", str(versions.get("command", "")), kind="wrapped"),
        definitions([*study, *told]),
        details("Configuration", element("pre", found.config.text())),
    ]


def _pixels(size: float) -> str:
    return f"{size:g} px" if size == size else DASH


def _p(value: float) -> str:
    return probability(value) if value == value else DASH


def _strong(value: str, condition: bool) -> str | Markup:
    return element("strong", value) if condition else value
