"""Matrices: RDMs with the stimuli along their axes, and rules by regions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..page_figure import INK, short, styled
from .figures_style import LEVEL

Canvas = UInt8[np.ndarray, "_row _column colour"]
COLUMNS = 5
STRIPS = 4  # rows of thumbnails along an axis, so that each is large enough to be seen
CELL = 12  # pixels of the canvas a condition


@styled
def rdm_panels(
    matrices: Mapping[str, Float[np.ndarray, "condition condition"]],
    images: UInt8[np.ndarray, "condition channel height width"] | None,
) -> Figure:
    """Ranks of dissimilarities, 0 the most alike pair, 1 the least; stimuli along both axes, in one order for all.

    Neighbouring thumbnails are staggered over four strips; the stimulus of a row is level with it.
    """
    columns = min(COLUMNS, len(matrices))
    lines = math.ceil(len(matrices) / columns)
    figure = Figure(figsize=(2.2 * columns + 0.5, 2.3 * lines))
    panels = np.atleast_1d(figure.subplots(lines, columns)).ravel()
    strips = None if images is None else _strips(images)
    for axes, (title, matrix) in zip(panels, matrices.items(), strict=False):
        shown = axes.imshow(matrix, cmap="cividis", vmin=0, vmax=1, interpolation="nearest")
        axes.set_title(short(title, 32), fontsize=7.5)
        axes.set_axis_off()
        if strips is not None:
            _thumbnails(axes, strips, len(matrix))
    for axes in panels[len(matrices) :]:
        axes.set_visible(False)
    bar = figure.colorbar(shown, ax=list(panels), label="dissimilarity (rank)", shrink=0.5 / lines + 0.1, pad=0.01)
    bar.outline.set_visible(False)
    bar.set_ticks([0, 0.5, 1])
    return figure


@styled
def rule_matrix(rules: pd.DataFrame, measure: str) -> Figure:
    """One row a rule or baseline, one column a region: mean over subjects and seeds; bold where p_fdr < .05."""
    regions, labels = list(rules["region"].unique()), list(rules["label"].unique())
    mean = rules[rules["subject"] == "all"].set_index(["label", "region"])
    values = np.full((len(labels), len(regions)), np.nan)
    for i, label in enumerate(labels):
        for j, region in enumerate(regions):
            if (label, region) in mean.index:
                values[i, j] = mean.loc[(label, region), "value"]
    figure = Figure(figsize=(2.6 + 0.95 * len(regions), 0.9 + 0.24 * len(labels)))
    axes = figure.add_subplot()
    most = max(0.05, float(np.nanmax(np.abs(values), initial=0)))
    shown = axes.imshow(values, cmap="PuOr_r", vmin=-most, vmax=most, aspect="auto")
    for i, j in zip(*np.nonzero(np.isfinite(values)), strict=True):
        row = mean.loc[(labels[i], regions[j])]
        colour = "white" if abs(values[i, j]) > 0.65 * most else INK
        weight = "bold" if row["p_fdr"] < LEVEL else "normal"
        axes.text(j, i, f"{values[i, j]:.2f}".replace("-", "\N{MINUS SIGN}"), ha="center", va="center", color=colour,
                  fontweight=weight, fontsize=7.5)  # fmt: skip
    axes.set_xticks(range(len(regions)), [short(region, 14) for region in regions])
    axes.set_yticks(range(len(labels)), [short(label, 38) for label in labels])
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.colorbar(shown, ax=axes, label=measure, pad=0.02).outline.set_visible(False)
    return figure


def _strips(images: UInt8[np.ndarray, "condition channel height width"]) -> list[Canvas]:
    """All thumbnails above the matrix, and left of it, `CELL` pixels a condition; each is as wide as there are strips.

    Neighbours lie in different strips, so that thumbnails do not cover each other.
    """
    n, strips = len(images), _n_strips(len(images))
    side = strips * CELL
    above, left = (np.full((*size, 3), 255, np.uint8) for size in ((strips * side, n * CELL + side),) * 2)
    left = np.ascontiguousarray(left.transpose(1, 0, 2))
    for i, image in enumerate(images):
        rows, columns = (np.arange(side) * size // side for size in image.shape[1:])
        small = image[:, rows][:, :, columns].transpose(1, 2, 0)  # grey becomes three equal channels
        far, along = (strips - 1 - i % strips) * side, i * CELL + CELL // 2
        above[far : far + side, along : along + side] = small
        left[along : along + side, far : far + side] = small
    return [above, left]


def _n_strips(n: int) -> int:
    return STRIPS if n > 12 else 1


def _thumbnails(axes: Axes, strips: Sequence[Canvas], n: int) -> None:
    """Thumbnail i is centred on condition i."""
    deep, reach = _n_strips(n) ** 2, 0.5 + _n_strips(n) / 2
    axes.imshow(strips[0], extent=(-reach, n - 1 + reach, -0.5, -0.5 - deep), interpolation="antialiased")
    axes.imshow(strips[1], extent=(-0.5 - deep, -0.5, n - 1 + reach, -reach), interpolation="antialiased")
    axes.set_xlim(-0.5 - deep, n - 1 + reach)
    axes.set_ylim(n - 1 + reach, -0.5 - deep)
