"""What all figures have in common: type, colours (Okabe & Ito 2008, for colour-blind readers), saving.

Nothing that draws loads data or computes a statistic: tables and arrays in, a matplotlib `Figure` out.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from io import BytesIO
from typing import Any, ParamSpec

import matplotlib
from matplotlib.figure import Figure

from .page_html import Picture

BLUE, ORANGE, GREEN, PURPLE, SKY = "#0072B2", "#D55E00", "#009E73", "#AA4488", "#56B4E9"
INK, GREY, PALE, BAND = "#1a1a1a", "#767676", "#b8b8b8", "#e4e4e4"
STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": INK,
    "axes.linewidth": 0.6,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "text.color": INK,
    "text.parse_math": False,  # a story may be called "$5"
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "figure.constrained_layout.use": True,
    "svg.fonttype": "path",
    "svg.hashsalt": "plasticode",  # the same figure gives the same bytes
    "savefig.dpi": 200,
}
Arguments = ParamSpec("Arguments")
Drawing = Figure  # for modules that import no matplotlib
PIXELS_PER_INCH = 96  # of CSS


def styled(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Draws in this style and leaves matplotlib's settings alone."""

    @wraps(draw)
    def drawn(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Figure:
        with matplotlib.rc_context(STYLE):
            return draw(*args, **kwargs)

    return drawn


def saved(figure: Figure, kind: str) -> bytes:
    """The figure as "png" (200 dots per inch), "pdf" or "svg"; the same bytes for the same figure."""
    undated: dict[str, Any] = {
        "png": {"Software": None},
        "pdf": {"CreationDate": None},
        "svg": {"Date": None, "Creator": None},
    }
    buffer = BytesIO()
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # Names in a script that the font lacks become boxes in the figure; the tables show them whole.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format=kind, metadata=undated[kind])
    return buffer.getvalue()


def png(figure: Figure) -> Picture:
    """For a page: the figure as PNG, at its size."""
    return picture(figure, saved(figure, "png"))


def svg(figure: Figure) -> Picture:
    """For a page: the figure as SVG, its letters as outlines."""
    return Picture("svg+xml", saved(figure, "svg"), _width(figure))


def picture(figure: Figure, png: bytes) -> Picture:
    """For a page: a PNG of the figure that is there already."""
    return Picture("png", png, _width(figure))


def short(name: str, most: int = 30) -> str:
    """A name that leaves room for the figure; the tables have the whole name."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _width(figure: Figure) -> int:
    return round(figure.get_figwidth() * PIXELS_PER_INCH)
