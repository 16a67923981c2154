"""How much of a new person is needed: identification over minutes of the person's recordings, one panel a person."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..page_figure import BAND, BLUE, GREEN, INK, ORANGE, short, styled

LOOKS = {"within": (ORANGE, "s", "this person's own minutes"), "adapt": (BLUE, "o", "other people, aligned to them")}
PANEL = (2.5, 2.6)


@styled
def minutes_figure(rows: pd.DataFrame, ylabel: str) -> Figure:
    """Value and 95% interval of each way over minutes (logarithmic; "all" at the right), null (grey) and chance (dots).

    `rows` are those of one metric: subject, way, minutes, value, ci_low, ci_high, null_mean, null_sd, chance.
    """
    people = list(dict.fromkeys(rows["subject"]))
    figure = Figure(figsize=(PANEL[0] * len(people) + 0.3, PANEL[1]))
    panels = np.atleast_1d(figure.subplots(1, len(people), sharey=True))
    places = _places(rows.loc[rows["way"] != "cross", "minutes"].unique().tolist())
    for axes, person in zip(panels, people, strict=True):
        _person(axes, rows[rows["subject"] == person], places)
        axes.set_title(short(str(person), 24))
    panels[0].set_ylabel(ylabel)
    panels[0].set_ylim(0, 1)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=3, handlelength=1.6)
    figure.supxlabel("minutes of the new person", fontsize=8)
    return figure


def _places(minutes: Sequence[float]) -> dict[float, float]:
    """Where a number of minutes is drawn: its logarithm; all of them, one step beyond the last."""
    finite = sorted(value for value in minutes if math.isfinite(value))
    found = {value: math.log10(value) for value in finite}
    if len(finite) < len(minutes):
        found[math.inf] = (max(found.values()) if found else 0) + 0.4
    return found


def _person(axes: Axes, rows: pd.DataFrame, places: dict[float, float]) -> None:
    for way, (colour, marker, name) in LOOKS.items():
        part = rows[rows["way"] == way].sort_values("minutes")
        if part.empty:
            continue
        x = np.array([places[value] for value in part["minutes"]]) + (0.012 if way == "adapt" else -0.012)
        axes.vlines(x, part["ci_low"], part["ci_high"], color=colour, lw=1.0, alpha=0.6)
        axes.plot(x, part["value"], color=colour, marker=marker, ms=4.2, lw=1.3, label=name)
    for _, row in rows[rows["way"] == "cross"].iterrows():
        axes.axhline(row["value"], color=GREEN, lw=1.2, ls="--", label="other people, no minutes")
    null = rows[["null_mean", "null_sd"]].mean()
    reach = 1.96 * null["null_sd"]
    axes.axhspan(null["null_mean"] - reach, null["null_mean"] + reach, color=BAND, lw=0, zorder=0)
    axes.axhline(rows["chance"].mean(), color=INK, lw=0.8, ls=(0, (1, 1.5)), zorder=1)
    axes.set_xticks(list(places.values()), ["all" if math.isinf(value) else f"{value:g}" for value in places])
