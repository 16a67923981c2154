"""The results table: every value beside its null, its chance level and its interval.

A `Row` is one metric of one story of one subject, or of all scored stories of a quadrant ("all"). Written as the JSON
list that `plasticode evaluate` promises: NaN, where a field is undefined, is null there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Float64
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..datasets.errors import BrokenData, MissingData
from ..datasets.whole_file import write_text
from .identification import chance
from .intervals import BLOCK, correlation_of, interval, mean_of, moments
from .nulls import N_DRAWS, ShiftCurve, correlation_curve, merged, min_shift, pair_curve, permuted_null, pooled_value
from .rate_matched import RATE_MATCHED

IDENTIFICATION = tuple(
    f"{what}_{score}"
    for what in ("latent", "likelihood", "text")
    for score in ("top1", RATE_MATCHED, "top5", "percentile")
)
METRICS = (*IDENTIFICATION, "cer", "wer", "bleu1", "meteor", "semantic", "word_rate_r")
DECODER, ALONE, FREQUENT, RIDGE = "plasticode", "language model alone", "most frequent words", "ridge"  # systems
LOWER_IS_BETTER = frozenset({"cer", "wer"})
POOLED = "all"


@dataclass(frozen=True)
class Row:
    """One line of the table; p is one-sided, the interval 95%, and NaN stands for undefined."""

    study: str
    subject: str
    story: str
    quadrant: str
    metric: str
    value: float
    ci_low: float
    ci_high: float
    null_mean: float
    null_sd: float
    z: float
    p: float
    n_windows: int
    chance: float


@dataclass(frozen=True, eq=False)
class WordRate:
    """Words per repetition over a whole story, as predicted from the responses (in one or more draws) and as heard."""

    predicted: Float[np.ndarray, "*draw time"]
    true: Float[np.ndarray, " time"]

    def curve(self) -> ShiftCurve:
        """r under every shift of the truth, mean over draws."""
        curves = [correlation_curve(one, self.true) for one in np.atleast_2d(self.predicted)]
        return ShiftCurve(np.mean([curve.scores for curve in curves], axis=0), curves[0].min_shift)

    def moments(self) -> Float64[np.ndarray, "time 5"]:
        """What r needs of a resample (see `intervals.moments`), mean over draws."""
        every = np.stack([moments(one, self.true) for one in np.atleast_2d(self.predicted)])
        return np.asarray(every.mean(axis=0))


@dataclass(frozen=True, eq=False)
class StoryScores:
    """What scoring one recording gave.

    Parameters
    ----------
    window_rows
        Repetitions per window: says how many windows a shift of 40 repetitions needs.
    pairs
        Metric to pair matrix (see `metrics`), all over the same windows; a metric that could not be computed is
        left out, and has no row.
    word_rate
        Gives the row `word_rate_r`.
    """

    study: str
    subject: str
    story: str
    quadrant: str
    window_rows: int
    pairs: Mapping[str, Float64[np.ndarray, "decoded true"]] = field(default_factory=dict)
    word_rate: WordRate | None = None

    def __post_init__(self) -> None:
        unknown = sorted(set(self.pairs) - set(METRICS[:-1]))
        shapes = {pairs.shape for pairs in self.pairs.values()}
        if unknown or len(shapes) > 1 or any(len(set(shape)) != 1 for shape in shapes):
            raise BrokenData(
                f"pair matrices of {', '.join(unknown) or 'shapes ' + str(sorted(shapes))}",
                f"{self.study}/{self.subject}/{self.story}",
                "Give square matrices over the same windows, named as in METRICS.",
            )

    @property
    def n_windows(self) -> int:
        return len(next(iter(self.pairs.values()))) if self.pairs else 0

    def has(self, metric: str) -> bool:
        return self.word_rate is not None if metric == "word_rate_r" else metric in self.pairs

    def curve(self, metric: str) -> ShiftCurve:
        if metric == "word_rate_r" and self.word_rate is not None:
            return self.word_rate.curve()
        return pair_curve(self.pairs[metric], min_shift(self.window_rows))

    def samples(self, metric: str) -> Float64[np.ndarray, "item statistic"]:
        """What `intervals.interval` resamples: a window's scores, or a repetition's moments."""
        if metric == "word_rate_r" and self.word_rate is not None:
            return self.word_rate.moments()
        return np.diagonal(self.pairs[metric])[:, None]


def rows_of_story(scores: StoryScores, *, n_draws: int = N_DRAWS, seed: int = 0) -> list[Row]:
    """One row per metric that the story has, in the order of `METRICS`."""
    return _rows([scores], scores.story, n_draws, seed)


def rows_pooled(scores: Sequence[StoryScores], *, n_draws: int = N_DRAWS, seed: int = 0) -> list[Row]:
    """Rows with story "all" for each study, subject and quadrant among the scores; windows count equally.

    Only recordings that have the metric enter its row.
    """
    groups: dict[tuple[str, str, str], list[StoryScores]] = {}
    for story in scores:
        groups.setdefault((story.study, story.subject, story.quadrant), []).append(story)
    return [row for group in groups.values() for row in _rows(group, POOLED, n_draws, seed)]


def write_rows(rows: Sequence[Row], path: str | Path) -> None:
    """Write a JSON list; the file appears whole or not at all."""
    text = json.dumps([_to_json(row) for row in rows], indent=1, allow_nan=False, ensure_ascii=False)
    write_text(path, text + "\n")


def write_systems(rows: Sequence[Row], others: Sequence[Row], path: str | Path) -> None:
    """Write the decoder's rows and those of other systems, which name theirs, as one list; each has a `system`."""
    named = [{**_to_json(row), "system": DECODER} for row in rows]
    text = json.dumps([*named, *map(_to_json, others)], indent=1, allow_nan=False, ensure_ascii=False)
    write_text(path, text + "\n")


def read_rows(path: str | Path) -> list[Row]:
    """Read what `write_rows` wrote. Raises `MissingData` without a file, `BrokenData` where it holds no rows."""
    try:
        entries = json.loads(Path(path).read_text(encoding="utf-8"))
        return [_from_json(entry) for entry in entries]
    except FileNotFoundError:
        raise MissingData("no results", path, "Make them with `plasticode evaluate RUN_DIR --out FILE`.") from None
    except (ValueError, TypeError, AttributeError):
        raise BrokenData("not a list of result rows", path, "Make it again with `plasticode evaluate`.") from None


def as_frame(rows: Sequence[Row]) -> pd.DataFrame:
    """The rows as a table with the fields of `Row` as columns."""
    return pd.DataFrame([asdict(row) for row in rows], columns=[column.name for column in fields(Row)])


def print_table(rows: Sequence[Row], console: Console, absent: Mapping[str, str] | None = None) -> None:
    """Print one table per subject, story and quadrant, 80 columns wide; `absent` says why a metric has no row."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.subject, row.story, row.quadrant), []).append(row)
    for (subject, story, quadrant), group in groups.items():
        what = "all scored stories" if story == POOLED else story
        table = Table(title=escape(f"{subject}, {what} ({quadrant})"), title_justify="left")
        table.add_column("metric", overflow="fold")
        for name in ("value", "95% interval", "null mean ± sd", "z", "p", "chance", "n"):
            table.add_column(name, justify="right")
        for row in group:
            table.add_row(*(escape(cell) for cell in (row.metric, *_numbers(row))))
        console.print(table)
    for metric, reason in (absent or {}).items():
        console.print(f"{metric}: not computed, {reason}", markup=False)


def _rows(scores: Sequence[StoryScores], story: str, n_draws: int, seed: int) -> list[Row]:
    held = {metric: [one for one in scores if one.has(metric)] for metric in METRICS}
    return [_row(metric, group, story, n_draws, seed) for metric, group in held.items() if group]


def _row(metric: str, scores: Sequence[StoryScores], story: str, n_draws: int, seed: int) -> Row:
    names = [one.story for one in scores]
    curves = merged([one.curve(metric) for one in scores], names)
    null = permuted_null(curves, lower_is_better=metric in LOWER_IS_BETTER, n_draws=n_draws, seed=seed)
    rate = metric == "word_rate_r"
    low, high = interval(
        [one.samples(metric) for one in scores],
        names,
        estimate=correlation_of if rate else mean_of,
        block=BLOCK * scores[0].window_rows if rate else BLOCK,
        n_draws=n_draws,
        seed=seed,
    )
    n_windows = sum(one.n_windows for one in scores)
    first, value = scores[0], pooled_value(curves)
    return Row(
        first.study,
        first.subject,
        story,
        first.quadrant,
        metric,
        value,
        low,
        high,
        null.mean,
        null.sd,
        null.z,
        null.p,
        n_windows,
        _chance(metric, [one.n_windows for one in scores]),
    )


def _chance(metric: str, sizes: Sequence[int]) -> float:
    """Chance of the pooled score: the stories' chance levels weighted by their windows."""
    if metric not in IDENTIFICATION:
        return math.nan
    return float(np.average([chance(metric, n) for n in sizes], weights=sizes))


def _to_json(row: Row) -> dict[str, Any]:
    return {name: None if value != value else value for name, value in asdict(row).items()}


def _from_json(entry: dict[str, Any]) -> Row:
    values: dict[str, Any] = {name: math.nan if value is None else value for name, value in entry.items()}
    return Row(**values)


def _numbers(row: Row) -> list[str]:
    return [
        _number(row.value),
        "-" if math.isnan(row.ci_low) else f"[{_number(row.ci_low)}, {_number(row.ci_high)}]",
        "-" if math.isnan(row.null_mean) else f"{_number(row.null_mean)} ± {_number(row.null_sd)}",
        _number(row.z, 1),
        "-" if math.isnan(row.p) else f"{row.p:.2g}",
        _number(row.chance),
        str(row.n_windows),
    ]


def _number(value: float, digits: int = 3) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"
