"""What the figures of an RSA have in common beside `page_figure`: noise ceilings, dots, which rows are significant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes

from ..page_figure import BAND, INK

LEVEL = 0.05


def ceiling_band(axes: Axes, rows: pd.DataFrame, *, upright: bool) -> None:
    """Grey between lower and upper noise ceiling of the first row, where there is one; a line at 0."""
    line, span = (axes.axvline, axes.axvspan) if upright else (axes.axhline, axes.axhspan)
    line(0, color=INK, lw=0.6, zorder=1)
    if len(rows) and np.isfinite(rows["ceiling_low"].iloc[0]):
        span(rows["ceiling_low"].iloc[0], rows["ceiling_high"].iloc[0], color=BAND, lw=0, zorder=0)


def spread(n: int, width: float) -> Float[np.ndarray, " point"]:
    """Places around 0 that keep neighbours apart, the same for the same number."""
    return (np.arange(n) * 0.618034 % 1 - 0.5) * width


def significant(rows: pd.DataFrame) -> Sequence[bool]:
    """Which are, corrected for the number of tests."""
    return (rows["p_fdr"] < LEVEL).tolist()
