"""Similarity from layer to layer, one small panel a rule, trained beside untrained."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ..page_figure import BLUE, GREY, INK, PALE, short, styled
from .figures_style import ceiling_band, significant, spread

COLUMNS = 4
DASHED = (0, (4, 2))
WIDTH, HEIGHT = 2.2, 1.75  # inches, of a panel


@styled
def layer_lines(rules: pd.DataFrame, untrained: pd.DataFrame, measure: str) -> Figure:
    """Dots are subjects, the blue line their mean with its 95% interval, the dashed grey line the untrained network's.

    Parameters
    ----------
    rules
        Rows of the layers of each rule in one region, at one resolution.
    untrained
        The same of their untrained networks; `label` names the rule.

    Filled marks are above 0 with p_fdr < .05. The grey band is the noise ceiling, where it is within the axes.
    """
    labels = list(rules["label"].unique())
    columns = min(COLUMNS, len(labels))
    lines = math.ceil(len(labels) / columns)
    figure = Figure(figsize=(0.6 + WIDTH * columns, 0.7 + HEIGHT * lines))
    panels = np.atleast_1d(figure.subplots(lines, columns, sharey=True)).ravel()
    for axes, label in zip(panels, labels, strict=False):
        some = rules[rules["label"] == label]
        ceiling_band(axes, some, upright=False)
        _line(axes, untrained[untrained["label"] == label], trained=False)
        _line(axes, some, trained=True)
        n = int(some["n_seeds"].iloc[0])
        axes.set_title(short(label, 32), fontsize=7.5)
        axes.text(
            0.98, 0.97, f"{n} seed{'s' if n > 1 else ''}", transform=axes.transAxes, ha="right", va="top", fontsize=6.5
        )
        names = some.drop_duplicates("layer").sort_values("depth")
        turned = {"rotation": 30, "ha": "right"} if len(names) > 4 or names["layer"].str.len().max() > 7 else {}
        axes.set_xticks(names["depth"], [short(layer, 14) for layer in names["layer"]], fontsize=6.5, **turned)
        axes.set_xlim(names["depth"].min() - 0.4, names["depth"].max() + 0.4)
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    for axes in panels[len(labels) :]:
        axes.set_visible(False)
    lines_of = [Line2D([], [], color=BLUE, marker="o", ms=4), Line2D([], [], color=GREY, lw=1, ls=DASHED)]
    figure.legend(lines_of, ["trained", "the same networks untrained"], loc="outside upper right", ncols=2)
    figure.supylabel(measure, fontsize=8)
    return figure


def _line(axes: Axes, rows: pd.DataFrame, *, trained: bool) -> None:
    mean = rows[rows["subject"] == "all"].sort_values("depth")
    if not len(mean):
        return
    if not trained:
        axes.plot(mean["depth"], mean["value"], color=GREY, lw=1, ls=DASHED, zorder=2)
        return
    each = rows[rows["subject"] != "all"]
    for _, some in each.groupby("depth"):
        axes.plot(some["depth"] + spread(len(some), 0.4), some["value"], "o", color=PALE, ms=1.8, mew=0, zorder=1)
    axes.plot(mean["depth"], mean["value"], color=BLUE, lw=1.2, zorder=3)
    axes.vlines(mean["depth"], mean["low"], mean["high"], color=BLUE, lw=1.2, zorder=3)
    for (_, row), filled in zip(mean.iterrows(), significant(mean), strict=True):
        axes.plot([row["depth"]], [row["value"]], "o", mfc=BLUE if filled else "white", mec=BLUE, ms=4, zorder=4)
    axes.tick_params(axis="x", colors=INK)
