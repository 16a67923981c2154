"""The nulls' rows: each null's own score beside its permuted pairing, and the decoder held against the null's draws.

p = (1 + draws at least as good as the decoder) / (1 + draws), one-sided. It is as coarse as the draws are few: with 20
it cannot fall below .048, with one (zero input, time-reversed responses) not below .5. Where it is coarse the paired
difference on the same windows, with its interval, is the evidence (`paired`, comparisons.json).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float64
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .comparisons import COMPARED, comparisons
from .evaluation import ScoredStory
from .null_battery import NOISE, NULL_SYSTEMS
from .null_verdict import noise_sentence, noise_warning
from .report_input import Comparison
from .report_verdict import sign
from .results import DECODER, LOWER_IS_BETTER, Row, StoryScores, rows_pooled

PRINTED = {
    "latent_top1": "latent",
    "latent_rate_matched_top1": "matched",
    "likelihood_top1": "likelihood",
    "likelihood_rate_matched_top1": "matched",
    "text_top1": "text",
    "text_rate_matched_top1": "matched",
    "cer": "cer",
}
LEGEND = (
    "latent, likelihood, text: top-1 identification; matched: among windows of nearly the same word count; "
    "* the decoder is better, ! the null is better: by paired intervals without 0"
)
MARKS = {1: "*", -1: "!", 0: " "}


@dataclass(frozen=True)
class NullRow(Row):
    """A row of a null system; `decoder` is the decoder's value on the same windows.

    `draw_sd` is the spread of the null's `n_draws` draws, NaN for one; `p_draws` the decoder's p among them.
    """

    system: str
    n_draws: int
    draw_sd: float
    decoder: float
    p_draws: float


def p_among(value: float, draws: Float64[np.ndarray, " draw"], *, lower_is_better: bool = False) -> float:
    """One-sided p of a value among the draws of a null, with the +1 correction; an equal draw counts against it."""
    slack = 1e-9 * max(1.0, abs(value))
    gain = value - draws if lower_is_better else draws - value
    return float((1 + np.sum(gain >= -slack)) / (1 + draws.size))


def null_rows(scored: Sequence[ScoredStory]) -> list[NullRow]:
    """Pooled rows of every null among the scores, per subject and quadrant, in the order of `NULL_SYSTEMS`."""
    groups: dict[tuple[str, str, str], list[ScoredStory]] = {}
    for story in scored:
        own = story.scores[DECODER]
        groups.setdefault((own.study, own.subject, own.quadrant), []).append(story)
    return [
        _row(row, system, having)
        for group in groups.values()
        for system in NULL_SYSTEMS
        if (having := [story for story in group if system in story.scores])
        for row in rows_pooled([story.scores[system] for story in having])
    ]


def _row(row: Row, system: str, stories: Sequence[ScoredStory]) -> NullRow:
    """Of the stories that have the null; each weighs as it does in the row's value."""
    draws = [story.draws[system][row.metric] for story in stories]
    n_draws = min(one.size for one in draws)
    weights = np.array([_weight(story.scores[system], row.metric) for story in stories])
    weights /= weights.sum()
    pooled = weights @ np.stack([one[:n_draws] for one in draws])
    decoder = float(weights @ [story.scores[DECODER].curve(row.metric).value for story in stories])
    sd = float(pooled.std(ddof=1)) if n_draws > 1 else math.nan
    p = p_among(decoder, pooled, lower_is_better=row.metric in LOWER_IS_BETTER)
    return NullRow(**asdict(row), system=system, n_draws=n_draws, draw_sd=sd, decoder=decoder, p_draws=p)


def _weight(scores: StoryScores, metric: str) -> float:
    return float(scores.curve(metric).weight)


def say_nulls(rows: Sequence[Row], scored: Sequence[ScoredStory], notes: Sequence[str], console: Console) -> None:
    """Print the decoder's pooled rows over those of the nulls, and whether noise beats the language model alone.

    A star: the decoder is better by an interval without 0; an exclamation mark: the null is. Prints nothing without
    nulls but the notes.
    """
    nulls, compared = null_rows(scored), [one for one in COMPARED if one[0] in PRINTED or one[1] == NOISE]
    found = [Comparison(**one) for one in comparisons(scored, compared)] if nulls else []
    for subject, quadrant in dict.fromkeys((null.subject, null.quadrant) for null in nulls):
        place = (subject, quadrant)
        own = [row for row in rows if (row.subject, row.quadrant) == place]
        beside = [null for null in nulls if (null.subject, null.quadrant) == place]
        marks = {(one.metric, one.system_b): MARKS[sign(one)] for one in found if _is(one, place)}
        console.print(_printed(own, beside, marks, f"{subject}, nulls ({quadrant})"))
    if nulls:
        console.print(LEGEND, markup=False, highlight=False)
    looks = dict.fromkeys((noise_sentence(found), *notes), "") | {noise_warning(found): "bold red"}
    for said, style in looks.items():
        if said:
            console.print(said, style=style, markup=False, highlight=False, soft_wrap=True)


def _is(one: Comparison, place: tuple[str, str]) -> bool:
    return one.system_a == DECODER and (one.subject, one.quadrant) == place


def _printed(own: Sequence[Row], nulls: Sequence[NullRow], marks: Mapping[tuple[str, str], str], title: str) -> Table:
    table = Table(title=escape(title), title_justify="left")
    table.add_column("system")
    values = {(DECODER, row.metric): row.value for row in own}
    values |= {(null.system, null.metric): null.value for null in nulls}
    shown = {metric: name for metric, name in PRINTED.items() if any(metric == known for _, known in values)}
    for name in shown.values():
        table.add_column(name, justify="right")
    for system in dict.fromkeys(system for system, _ in values):
        cells = [
            f"{values[system, metric]:.3f}{marks.get((metric, system), ' ')}" if (system, metric) in values else "-"
            for metric in shown
        ]
        table.add_row(escape(system), *cells)
    return table
