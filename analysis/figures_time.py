"""Similarity over time, with the stretches that a cluster test finds above chance."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..page_figure import BAND, BLUE, GREEN, INK, ORANGE, PURPLE, SKY, short, styled
from .figures_style import LEVEL

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY)
STYLES = ("-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (5, 1, 1, 1)))


@styled
def time_curves(times: pd.DataFrame, event: float = 0.0) -> Figure:
    """Lines are means over subjects, shaded one standard error; bars below, times in clusters with p < .05.

    Parameters
    ----------
    times
        Of `time_table.time_table`.
    event
        Time of the stimulus, in s.
    """
    figure = Figure(figsize=(6.6, 3.2))
    axes = figure.add_subplot()
    models, first = list(times["model"].unique()), times[times["model"] == times["model"].iloc[0]]
    if np.isfinite(first["ceiling_low"]).any():
        axes.fill_between(first["time"], first["ceiling_low"], first["ceiling_high"], color=BAND, lw=0, zorder=0,
                          label="noise ceiling")  # fmt: skip
    axes.axhline(0, color=INK, lw=0.6)
    axes.axvline(event, color=INK, lw=0.6, ls=(0, (1, 1.2)))
    for i, model in enumerate(models):
        some, colour = times[times["model"] == model], COLOURS[i % 5]
        axes.plot(
            some["time"], some["value"], color=colour, lw=1.3, ls=STYLES[i // 5 % 4], label=short(model), zorder=3
        )
        reach = some["error"].fillna(0)
        axes.fill_between(some["time"], some["value"] - reach, some["value"] + reach, color=colour, alpha=0.2, lw=0)
    _bars(axes, times, models)
    axes.set(xlabel="time (s)", ylabel=first["measure"].iloc[0], xlim=(first["time"].min(), first["time"].max()))
    n, conditions = first["n_subjects"].iloc[0], first["n_conditions"].iloc[0]
    axes.set_title(f"{n} subject{'s' if n > 1 else ''}, {conditions} conditions", fontweight="normal", fontsize=7.5)
    figure.legend(loc="outside right upper")
    return figure


def _bars(axes: Axes, times: pd.DataFrame, models: list[str]) -> None:
    """One line of bars a model, from a sample before its time to a sample behind, so that single times are seen."""
    low, high = axes.get_ylim()
    step = (high - low) * 0.045
    for i, model in enumerate(models):
        some = times[times["model"] == model]
        time = some["time"].to_numpy(float)
        half = np.diff(time).min() / 2 if len(time) > 1 else 0.0
        found = time[(some["p"] < LEVEL).to_numpy(bool)]
        axes.hlines(np.full(len(found), low - i * step), found - half, found + half, color=COLOURS[i % 5], lw=2.5)
