"""Figures of the decoding report, one panel each: arrays in, a matplotlib `Figure` out.

Nothing here loads data or computes a statistic. Panels are small and alike, so that a page can set several side by
side and a narrow page one below the other. Colours are Okabe and Ito's (2008), which
colour-blind readers can tell apart.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..page_figure import BAND, BLUE, GREEN, GREY, INK, ORANGE, PALE, PURPLE, short, styled

GROUPS = (BLUE, ORANGE, GREEN, PURPLE)
MARKERS = ("D", "s", "^", "v", "P", "X", "*", "p")
PANEL = (3.6, 2.7)
# Above this, a line's points are drawn as pixels: the file stays small and nobody sees the difference.
MANY_POINTS = 4000


@dataclass(frozen=True)
class Estimate:
    """A value with its interval and its null; `group` is an index into `GROUPS`. What is NaN is not drawn."""

    label: str
    value: float
    ci_low: float
    ci_high: float
    null_mean: float
    null_sd: float
    chance: float
    group: int = 0
    baselines: Mapping[str, float] = field(default_factory=dict)


def _panel(width: float = PANEL[0], height: float = PANEL[1]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height))
    return figure, figure.add_subplot()


@styled
def learning_curve(curves: Mapping[str, Float[np.ndarray, "point 2"]], ylabel: str) -> Figure:
    """Values over steps. `curves` maps "training" or "validation" to rows (step, value)."""
    figure, axes = _panel()
    looks = {"training": {"color": BLUE, "lw": 0.9, "alpha": 0.75}, "validation": {"color": ORANGE, "lw": 1.4}}
    for name, points in curves.items():
        marker = "o" if len(points) <= 30 else ""
        look: dict[str, Any] = {**looks.get(name, {"color": GREEN}), "rasterized": len(points) > MANY_POINTS}
        axes.plot(points[:, 0], points[:, 1], marker=marker, ms=2.8, label=name, **look)
    axes.set(xlabel="optimiser step", ylabel=ylabel)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
    axes.legend(loc="best")
    return figure


@styled
def rate_distortion(
    rate: Float[np.ndarray, " point"],
    distortion: Float[np.ndarray, " point"],
    colour: Float[np.ndarray, " point"],
    xlabel: str,
    ylabel: str,
    colour_label: str,
) -> Figure:
    """The path of training in the plane of rate (nats) and distortion (nats per character), the end marked."""
    figure, axes = _panel(4.3, 3.0)
    raster = len(rate) > MANY_POINTS
    axes.plot(rate, distortion, color=PALE, lw=0.7, zorder=1, rasterized=raster)
    positive = colour.size > 0 and colour.min() > 0 and colour.max() > 20 * colour.min()
    norm = LogNorm(colour.min(), colour.max()) if positive else None
    points = axes.scatter(rate, distortion, c=colour, norm=norm, cmap="viridis", s=9, lw=0, zorder=2, rasterized=raster)
    axes.plot(rate[-1:], distortion[-1:], "o", mfc="none", mec=INK, ms=8, mew=1, zorder=3)
    axes.annotate("end", (rate[-1], distortion[-1]), (6, 5), textcoords="offset points", fontsize=7.5)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.margins(0.1)
    bar = figure.colorbar(points, ax=axes, pad=0.02, format="{x:g}")
    bar.ax.set_title(colour_label, loc="center", fontsize=8, fontweight="normal")
    bar.minorticks_off()
    bar.outline.set_visible(False)
    return figure


@styled
def identification_matrix(
    similarity: Float[np.ndarray, "window candidate"],
    right: Bool[np.ndarray, " window"],
    best: Float[np.ndarray, " window"],
    label: str = "similarity",
    row: str = "latent",
) -> Figure:
    """Similarity of every window's latent (row) and every window's text (column); the diagonal is the right answer.

    `label` and `row` name another measure, and what is held against the texts. `best` is the column with the highest
    similarity of each row, filled where it is `right`.
    """
    n = len(similarity)
    figure, axes = _panel(4.3, 3.75)
    shown = axes.imshow(similarity, cmap="Greys", interpolation="nearest", extent=(0.5, n + 0.5, n + 0.5, 0.5))
    axes.plot([0.5, n + 0.5], [0.5, n + 0.5], color=BLUE, lw=0.6, alpha=0.8)
    size, rows = max(2.0, min(6.0, 130 / n)), np.arange(1, n + 1)
    marks: dict[str, Any] = {"ls": "none", "marker": "o", "ms": size, "mec": ORANGE, "mew": 1.0, "clip_on": False}
    axes.plot(best[~right] + 1, rows[~right], mfc="none", label="best guess, wrong", **marks)
    axes.plot(best[right] + 1, rows[right], mfc=ORANGE, label="best guess, right", **marks)
    axes.set(xlabel="text of window", ylabel=f"{row} of window", aspect="equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(7, integer=True))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, handletextpad=0.3, borderpad=0)
    bar = figure.colorbar(shown, ax=axes, label=label, shrink=0.85, pad=0.02)
    bar.outline.set_visible(False)
    return figure


@styled
def rank_histogram(
    counts: Float[np.ndarray, " rank"], chance: Float[np.ndarray, " rank"], title: str, group: int = 0
) -> Figure:
    """Windows whose right text came first, second, ... (bars), and as many as chance would put there (line)."""
    figure, axes = _panel(3.35)
    ranks = np.arange(1, len(counts) + 1)
    axes.bar(ranks, counts, width=0.85, color=GROUPS[group % len(GROUPS)], label="observed")
    axes.step([*(ranks - 0.5), ranks[-1] + 0.5], [*chance, chance[-1]], where="post", color=INK, lw=1, label="chance")
    axes.set(xlabel="rank of the right window (1 is best)", ylabel="windows", title=short(title, 40))
    axes.set_xlim(0.4, len(counts) + 0.6)
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    axes.legend(loc="upper right")
    return figure


@styled
def estimates(rows: Sequence[Estimate], title: str, systems: Sequence[str], *, note: str = "") -> Figure:
    """One row per estimate: null mean ± 1.96 sd (grey bar), chance (dotted), baselines (marks), value and interval.

    `systems` fixes which mark belongs to which baseline across panels; `note` says which direction is better.
    """
    figure, axes = _panel(PANEL[0], 0.75 + 0.27 * max(len(rows), 2))
    for y, row in enumerate(rows):
        reach = 1.96 * row.null_sd
        axes.plot([row.null_mean - reach, row.null_mean + reach], [y, y], color=BAND, lw=8, solid_capstyle="butt")
        axes.plot([row.null_mean], [y], marker="|", color=GREY, ms=8, mew=1)
        axes.plot([row.chance, row.chance], [y - 0.42, y + 0.42], color=INK, lw=0.9, ls=(0, (1, 1.2)))
        for system, value in row.baselines.items():
            marker = MARKERS[list(systems).index(system) % len(MARKERS)]
            axes.plot([value], [y], marker=marker, ms=4.4, mfc="white", mec=INK, mew=0.7, zorder=3)
        colour = GROUPS[row.group % len(GROUPS)]
        axes.plot([row.ci_low, row.ci_high], [y, y], color=colour, lw=1.6, zorder=4)
        axes.plot([row.value], [y], "o", color=colour, ms=5.2, zorder=5)
    axes.set_yticks(range(len(rows)), [short(row.label, 18) for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.margins(x=0.06)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.set_title(short(title, 26))
    axes.set_title(note, loc="right", fontsize=7.5, color=GREY, fontweight="normal")
    return figure


@styled
def glass_brain(image: Any, *, colourbar: bool = True) -> Figure:
    """Largest value along each line of sight through a brain, from the side, the front and above (nilearn's).

    `image` is a nibabel image of values >= 0; a map of zeros and ones needs no `colourbar`.
    """
    from nilearn.plotting import plot_glass_brain  # a second to import, and only runs with a mask need it

    figure = Figure(figsize=(5.5, 1.9))
    figure.set_layout_engine("none")  # nilearn places its axes itself
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nilearn warns of maps without any voxel above 0, which is shown as it is
        plot_glass_brain(
            image,
            figure=figure,
            display_mode="lyrz",
            threshold=0.0,
            vmin=0.0,
            cmap="Blues",
            alpha=0.5,
            colorbar=colourbar,
        )
    return figure
