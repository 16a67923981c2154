"""The report's tables of scores: pooled beside their baselines, per story, and paired differences."""

from __future__ import annotations

from collections.abc import Sequence

from ..page_html import Markup, absent, details, element, head_row, joined, row, scrolled
from ..page_text import DASH, MINUS, interval, number, probability, spread
from .report_input import Comparison, RunRecord, Score
from .report_labels import INTERVAL, NULL, PAIRED, RATE_MATCHED_NOTE, direction, label
from .report_verdict import beyond_null
from .results import METRICS

HEADS = ("Score", "Value", "95% interval", "Null ± sd", "z", "p", "Chance", "n")


def systems(baselines: Sequence[Score]) -> list[str]:
    """Baseline systems in the order of their first row."""
    return list(dict.fromkeys(score.system for score in baselines))


def in_order(scores: Sequence[Score]) -> list[Score]:
    """Scores in the order in which the suite names its metrics, unknown ones last."""
    place = {metric: index for index, metric in enumerate(METRICS)}
    return sorted(scores, key=lambda score: place.get(score.metric, len(place)))


def summary_table(record: RunRecord) -> Markup:
    """Pooled rows per subject and quadrant, each value beside its null and its baselines."""
    names = systems(record.baselines)
    beside = {_key(score): score for score in record.baselines if score.pooled}
    pooled = [score for score in record.results if score.pooled]
    if not pooled:
        return absent("No pooled scores (story “all”) in results.json; see the scores of every story.")
    bodies = [_body(group, names, beside) for group in _groups(pooled)]
    table = element("table", head_row([*HEADS, *names], 1, len(HEADS)) + joined(bodies), kind="scores")
    caption = (
        f"Pooled over all scored stories of a subject; n counts windows. {INTERVAL} {NULL} Bold: p < 0.05. "
        f"For error rates lower is better and a good z is negative. {RATE_MATCHED_NOTE} "
    )
    if names:
        caption += "Grey columns: the same score for other systems, whose intervals and nulls are folded below."
    return scrolled(table, "Pooled scores") + element("p", caption, kind="caption")


def story_table(record: RunRecord) -> Markup:
    """One row per subject, story and metric, folded."""
    scores = [score for score in record.results if not score.pooled]
    rows = [
        row([score.subject, score.story, score.quadrant, *_cells(score)], 4)
        for group in _groups(scores, by_story=True)
        for score in in_order(group)
    ]
    table = element("table", head_row(["Subject", "Story", "Quadrant", *HEADS], 4) + element("tbody", joined(rows)))
    return details(f"Scores of every story ({len(rows)} rows)", scrolled(table, "Scores of every story"))


def baseline_table(record: RunRecord) -> Markup:
    """The pooled rows of the other systems with their own nulls, folded."""
    scores = [score for score in record.baselines if score.pooled]
    rows = [
        row([score.system, score.subject, score.quadrant, *_cells(score)], 4)
        for system in systems(scores)
        for score in in_order([one for one in scores if one.system == system])
    ]
    table = element("table", head_row(["System", "Subject", "Quadrant", *HEADS], 4) + element("tbody", joined(rows)))
    return details(f"Scores of the other systems with their nulls ({len(rows)} rows)", scrolled(table, "Other systems"))


def comparison_table(comparisons: Sequence[Comparison]) -> Markup:
    """Paired differences between systems; intervals without 0 are bold."""
    heads = ("Subject", "Quadrant", "Score", "A", "B", f"A {MINUS} B", "95% interval", "p", "n")
    rows = [
        row(
            [
                one.subject,
                one.quadrant,
                _metric(one.metric),
                one.system_a,
                one.system_b,
                number(one.difference),
                _strong(interval(one.ci_low, one.ci_high), one.ci_low > 0 or one.ci_high < 0),
                probability(one.p),
                _count(one.n_windows),
            ],
            5,
        )
        for one in comparisons
    ]
    table = element("table", head_row(heads, 5) + element("tbody", joined(rows)))
    caption = f"{PAIRED} Bold: the interval excludes 0."
    return scrolled(table, "Paired differences") + element("p", caption, kind="caption")


def _groups(scores: Sequence[Score], *, by_story: bool = False) -> list[list[Score]]:
    groups: dict[tuple[str, ...], list[Score]] = {}
    for score in scores:
        story = (score.story,) if by_story else ()
        groups.setdefault((score.quadrant, score.subject, *story), []).append(score)
    return list(groups.values())


def _body(group: Sequence[Score], names: Sequence[str], beside: dict[tuple[str, ...], Score]) -> Markup:
    first = group[0]
    title = element("strong", _who(first.subject)) + Markup(" · ") + element("span", first.quadrant)
    head = element("tr", element("th", title, scope="rowgroup", colspan=str(len(HEADS) + len(names)), kind="group"))
    rows = [
        row(
            [_metric(score.metric), *_cells(score)[1:], *(_beside(beside.get(_key(score, name))) for name in names)],
            1,
            len(HEADS),
        )
        for score in in_order(group)
    ]
    return element("tbody", head + joined(rows))


def _who(subject: str) -> str:
    return "All subjects" if subject == "all" else subject


def _key(score: Score, system: str = "") -> tuple[str, ...]:
    return (system or score.system, score.subject, score.quadrant, score.metric)


def _cells(score: Score) -> list[str | Markup]:
    """The cells under `HEADS`."""
    return [
        _metric(score.metric),
        _strong(number(score.value), beyond_null(score)),
        interval(score.ci_low, score.ci_high),
        spread(score.null_mean, score.null_sd),
        number(score.z, 1),
        _strong(probability(score.p), beyond_null(score)),
        number(score.chance),
        _count(score.n_windows),
    ]


def _metric(metric: str) -> Markup:
    return element("span", label(metric), title=direction(metric))


def _strong(value: str, condition: bool) -> str | Markup:
    return element("strong", value) if condition else value


def _count(n: int) -> str:
    return f"{n:,}" if n else DASH


def _beside(score: Score | None) -> Markup:
    if score is None:
        return element("span", DASH)
    known = f"95% interval {interval(score.ci_low, score.ci_high)}"
    return element("span", number(score.value), title=known)
