"""Every rule as a row: its subjects, mean and interval against the noise ceiling; and at several resolutions."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..page_figure import BLUE, GREY, INK, ORANGE, PALE, PURPLE, short, styled
from .figures_style import ceiling_band, significant, spread

KEY = "circles: trained; diamonds: untrained and baselines; filled: p_fdr < .05; dots: subjects; band: noise ceiling"
ROW, PANEL = 0.25, 2.3  # inches: a row's height, a panel's width
MARKS = ("o", "s", "^", "D", "v", "P", "X")


@styled
def rule_points(rules: pd.DataFrame, measure: str) -> Figure:
    """One panel a region, one row a rule or baseline: dots are subjects, marks their mean with its 95% interval.

    Parameters
    ----------
    rules
        Of `rsa_table.rule_rows`: those to be drawn, one per label, region and subject.

    Filled marks are above 0 with p_fdr < .05. The grey band is the noise ceiling.
    """
    regions, labels = list(rules["region"].unique()), list(rules["label"].unique())
    figure = Figure(figsize=(1.9 + PANEL * len(regions), 1.0 + ROW * len(labels)))
    panels = np.atleast_1d(figure.subplots(1, len(regions), sharex=True, sharey=True))
    for axes, region in zip(panels, regions, strict=True):
        here = rules[rules["region"] == region]
        ceiling_band(axes, here, upright=True)
        for y, label in enumerate(labels):
            _row(axes, y, here[here["label"] == label])
        _say_what_is_not_there(axes, here, labels)
        n = int(here["n_subjects"].iloc[0])
        axes.set(title=f"{short(region)} ({n} subject{'s' if n > 1 else ''})", xlabel=measure)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
    _name_rows(panels[0], rules, labels)
    figure.supxlabel(KEY, fontsize=7, color=GREY)
    return figure


@styled
def resolution_points(rules: pd.DataFrame, measure: str) -> Figure:
    """One panel a region, one row a rule, one mark a resolution, with 95% intervals.

    Parameters
    ----------
    rules
        As for `rule_points`, at several resolutions.
    """
    regions, labels = list(rules["region"].unique()), list(rules["label"].unique())
    sizes = sorted(rules["resolution"].unique(), reverse=True)
    figure = Figure(figsize=(1.9 + PANEL * len(regions), 1.1 + ROW * len(labels)))
    panels = np.atleast_1d(figure.subplots(1, len(regions), sharex=True, sharey=True))
    for axes, region in zip(panels, regions, strict=True):
        here = rules[(rules["region"] == region) & (rules["subject"] == "all")]
        ceiling_band(axes, here, upright=True)
        for i, size in enumerate(sizes):
            some = here[here["resolution"] == size]
            y = np.array([labels.index(label) for label in some["label"]]) + (i - (len(sizes) - 1) / 2) * 0.28
            colour = (BLUE, ORANGE, PURPLE, GREY)[i % 4]
            axes.hlines(y, some["low"], some["high"], color=colour, lw=1.1)
            axes.plot(some["value"], y, MARKS[i % 7], color=colour, ms=4, label=f"shown at {size:g} px")
        _say_what_is_not_there(axes, here, labels)
        axes.set(title=short(region), xlabel=measure)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
    _name_rows(panels[0], rules, labels)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=len(sizes))
    return figure


def _row(axes: Axes, y: int, rows: pd.DataFrame) -> None:
    mean, each = rows[rows["subject"] == "all"], rows[rows["subject"] != "all"]
    axes.plot(each["value"], y + spread(len(each), 0.42), "o", color=PALE, ms=2.2, mew=0, zorder=2)
    if not len(mean):
        return
    colour = GREY if mean["baseline"].iloc[0] else BLUE
    axes.hlines(y, mean["low"], mean["high"], color=colour, lw=1.5, zorder=3)
    filled = colour if significant(mean)[0] else "white"
    mark = "D" if mean["baseline"].iloc[0] else "o"
    axes.plot(mean["value"], [y], mark, mfc=filled, mec=colour, ms=5 - (mark == "D"), mew=1.1, zorder=4)


def _say_what_is_not_there(axes: Axes, rows: pd.DataFrame, labels: Sequence[str]) -> None:
    absent = [y for y, label in enumerate(labels) if label not in set(rows["label"])]
    if absent:
        place = (0.5, sum(absent) / len(absent))
        words = "one subject:\nno layer can be chosen\nwithout it"
        across = axes.get_yaxis_transform()
        axes.text(*place, words, color=GREY, ha="center", va="center", fontsize=7, transform=across)


def _name_rows(axes: Axes, rules: pd.DataFrame, labels: Sequence[str]) -> None:
    """Labels, and beside the networks how many seeds each is the mean of."""
    first = {row["label"]: row for row in rules.drop_duplicates("label").to_dict("records")}
    axes.set_yticks(range(len(labels)), [short(label, 40) + _seeds(first[label]) for label in labels], color=INK)
    axes.set_ylim(len(labels) - 0.4, -0.6)


def _seeds(row: Mapping[Hashable, Any]) -> str:
    if not row["is_network"]:
        return ""
    n = int(row["n_seeds"])
    return f" ({n} seed{'s' if n > 1 else ''})"
