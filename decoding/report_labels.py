"""How the report names and prints what it shows: labels of scores, numbers, and the sentences on method."""

from __future__ import annotations

import math
from typing import Any

from .results import LOWER_IS_BETTER

LABELS = {
    "latent_top1": "Latent, top-1",
    "latent_top5": "Latent, top-5",
    "latent_percentile": "Latent, percentile",
    "text_top1": "Text, top-1",
    "text_top5": "Text, top-5",
    "text_percentile": "Text, percentile",
    "cer": "Character error rate",
    "wer": "Word error rate",
    "bleu1": "BLEU-1",
    "meteor": "METEOR",
    "semantic": "Semantic score",
    "word_rate_r": "Word rate, r",
}
LOG_LABELS = {
    "character": "cross-entropy (nats per character)",
    "contrastive": "contrastive loss (nats)",
    "top1": "top-1 identification",
    "loss": "loss (nats)",
    "word_rate": "word-rate loss",
}
INTERVAL = (
    "95% intervals are bootstraps over whole stories where at least five were pooled, else over blocks of three "
    "windows within the stories (then they speak for these stories only)."
)
NULL = (
    "The null shifts decoded and true windows of a story against each other in a circle by at least 40 repetitions; "
    "p is one-sided, (1 + null scores at least as good) / (1 + null scores), and not corrected for the number of "
    "scores. To be as long as the truth is enough to beat this null in CER, WER and BLEU-1: judge these by the paired "
    "difference to the language model alone, which writes at the same expected lengths."
)
PAIRED = (
    "Differences are A minus B on the same windows, the interval is a bootstrap over stories or blocks of three "
    "windows, p is two-sided from flipping the sign of whole blocks."
)
MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"


def label(metric: str) -> str:
    """What a metric is called in a table; a name without a label stays as it is."""
    return LABELS.get(metric, metric)


def phrase(metric: str) -> str:
    """The label inside a sentence."""
    name = label(metric)
    return name if name[:2].isupper() else name[:1].lower() + name[1:]


def direction(metric: str) -> str:
    """Which way of a metric is better."""
    return "lower is better" if metric in LOWER_IS_BETTER else "higher is better"


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
