"""How a report prints numbers, and lists in a sentence."""

from __future__ import annotations

import math
from typing import Any

MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"


def number(value: float, digits: int = 3) -> str:
    """Fixed digits with a true minus sign, a dash for what was not computed."""
    if not math.isfinite(value):
        return DASH if math.isnan(value) else ("∞" if value > 0 else f"{MINUS}∞")
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", MINUS)


def interval(low: float, high: float) -> str:
    """Both bounds, or a dash where one is undefined."""
    return DASH if math.isnan(low) or math.isnan(high) else f"{number(low)} to {number(high)}"


def spread(mean: float, sd: float) -> str:
    """Mean and standard deviation, or a dash where they are undefined."""
    return DASH if math.isnan(mean) else f"{number(mean)} ± {number(sd)}"


def probability(p: float) -> str:
    """Three digits; what is smaller is said to be so."""
    return "<0.001" if p < 0.001 else number(p)


def p_clause(p: float) -> str:
    """ "p = 0.012" or "p < 0.001", as plain text."""
    return "p < 0.001" if p < 0.001 else f"p = {number(p)}"


def free(value: Any) -> str:
    """A value of unknown kind, as plain text: integers with separators, floats with three significant digits."""
    if isinstance(value, bool) or value is None:
        return DASH if value is None else ("yes" if value else "no")
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return number(value) if not math.isfinite(value) else f"{value:.3g}".replace("-", MINUS)
    if isinstance(value, list):
        return ", ".join(free(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{name}: {free(item)}" for name, item in value.items())
    return str(value)


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"


def listed(names: list[str]) -> str:
    """ "A", "A and B", "A, B and C"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def plural(count: int, noun: str, many: str = "") -> str:
    """The count with its noun; `many` is the plural where an s does not make it."""
    return f"{count} {noun if count == 1 else many or noun + 's'}"
