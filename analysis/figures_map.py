"""Layers and regions on two dimensions: which rule lies near which region."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from ..page_figure import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, SKY, short, styled

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY)
MARKS = ("o", "s", "^", "v", "P", "X", "*")


@styled
def layer_map(places: pd.DataFrame) -> Figure:
    """Lines join a network's layers, from the first (small) to the last (large); squares with names are regions.

    Parameters
    ----------
    places
        Of `rsa_map.scaled_map`.
    """
    figure = Figure(figsize=(7.2, 4.9))
    axes = figure.add_subplot()
    networks = [label for label, some in places[~places["is_region"]].groupby("label", sort=False) if len(some) > 1]
    single = places[~places["is_region"] & ~places["label"].isin(networks)].sort_values("x")["label"].tolist()
    for label, some in places[~places["is_region"]].groupby("label", sort=False):
        if label not in networks:
            axes.plot(some["x"], some["y"], "D", color=GREY, ms=3.6)
            place, beside = (some["x"].iloc[0], some["y"].iloc[0]), (5, 3 if single.index(label) % 2 else -9)
            axes.annotate(short(str(label), 18), place, beside, textcoords="offset points", color=GREY, fontsize=7)
            continue
        i = networks.index(label)
        baseline = bool(some["baseline"].iloc[0])
        colour, mark = (GREY, "x") if baseline else (COLOURS[i % 5], MARKS[i % 7])
        some = some.sort_values("depth")
        axes.plot(some["x"], some["y"], color=colour, lw=0.8, ls=(0, (4, 2)) if baseline else "-", zorder=2)
        sizes = 10 + 30 * some["depth"] / max(1, some["depth"].max())
        axes.scatter(
            some["x"], some["y"], s=sizes, color=colour, marker=mark, lw=0.8, zorder=3, label=short(str(label), 34)
        )
    for _, row in places[places["is_region"]].iterrows():
        axes.plot([row["x"]], [row["y"]], "s", mfc="white", mec=INK, ms=9, mew=1.4, zorder=4)
        axes.annotate(str(row["label"]), (row["x"], row["y"]), (8, 4), textcoords="offset points", fontweight="bold",
                      zorder=5)  # fmt: skip
    axes.set(aspect="equal", xticks=[], yticks=[])
    axes.margins(0.08)
    axes.spines[:].set_visible(False)
    axes.set_title(f"stress {places['stress'].iloc[0]:.2f}", fontweight="normal", fontsize=7.5, color=GREY)
    if networks:
        figure.legend(loc="outside right upper", markerscale=1)
    return figure
