"""What the pooled scores say, in sentences that a reader can hold against the table.

A score counts as beyond its null when its one-sided p is below .05. Where it is not, the sentence says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..page_text import MINUS, listed, number, p_clause, plural
from .null_battery import NOISE, NULL_SYSTEMS
from .rate_matched import N_DISTRACTORS
from .report_input import Comparison, Score
from .report_labels import phrase
from .results import ALONE, LOWER_IS_BETTER

ALPHA = 0.05
CLOSENESS = ("cer", "wer", "bleu1", "meteor", "semantic")
QUESTIONS = {
    "latent_top1": "the latent picked the right window",
    "likelihood_top1": "the likelihood picked the right window",
    "text_top1": "the written text picked the right window",
}
MATCHED = f"Among itself and the {N_DISTRACTORS} windows nearest to it in word count"
COMPARED = (*QUESTIONS, "cer")  # the scores whose paired differences are put into words
# In a quadrant whose text was seen in training, identification can come from memory.
SEEN_TEXT = "The model was trained on these stories' text, so this is no test of decoding unheard text."


def quadrants(scores: Iterable[Score]) -> list[str]:
    """Quadrants among the scores in the order of their first row."""
    return list(dict.fromkeys(score.quadrant for score in scores))


def verdict(results: Sequence[Score], comparisons: Sequence[Comparison]) -> list[tuple[str, str]]:
    """(quadrant, sentences) for every quadrant that has pooled rows; plain text."""
    pooled = [score for score in results if score.pooled]
    return [
        (quadrant, _of_quadrant(quadrant, pooled, [one for one in comparisons if one.quadrant == quadrant]))
        for quadrant in quadrants(pooled)
    ]


def lead(results: Sequence[Score], comparisons: Sequence[Comparison]) -> str:
    """What the pooled rows of unheard stories say, all together; plain text.

    Identification counts against the permuted pairing. The character error rate counts against the language model
    alone, which writes as much: length alone beats the permuted pairing there.
    """
    pooled = [score for score in results if score.pooled and not _text_was_seen(score.quadrant)]
    if not pooled:
        return "No story without its text in training was scored, so nothing here tests decoding."
    counts = [
        _counted([score for score in pooled if score.metric == metric], clause)
        for metric, clause in QUESTIONS.items()
        if any(score.metric == metric for score in pooled)
    ]
    found = f"On stories outside the training set, at p < {ALPHA} against permuted pairing: {'; '.join(counts)}."
    unheard = [one for one in comparisons if not _text_was_seen(one.quadrant) and one.system_a != NOISE]
    beside = _against_alone([one for one in unheard if (one.metric, one.system_b) == ("cer", ALONE)])
    return " ".join(sentence for sentence in (found if counts else "", beside) if sentence)


def _against_alone(rows: Sequence[Comparison]) -> str:
    if not rows:
        return ""
    better = f"{sum(sign(one) > 0 for one in rows)} of {plural(len(rows), _unit(rows))}"
    return f"The {phrase('cer')} was lower than that of the {ALONE}, by an interval without 0, for {better}."


def _counted(rows: Sequence[Score], clause: str) -> str:
    return f"{clause} for {sum(map(beyond_null, rows))} of {plural(len(rows), _unit(rows))}"


def _unit(rows: Sequence[Score] | Sequence[Comparison]) -> str:
    return "subject" if len({row.subject for row in rows}) == len(rows) else "subject-by-quadrant row"


def _text_was_seen(quadrant: str) -> bool:
    return quadrant.endswith(" seen story")


def beyond_null(score: Score) -> bool:
    """Whether the score is better than its null at p < .05; False where there is no p."""
    return score.p < ALPHA


def _of_quadrant(quadrant: str, pooled: Sequence[Score], comparisons: Sequence[Comparison]) -> str:
    rows = [score for score in pooled if score.quadrant == quadrant]
    sentences = [
        _identification(
            rows, "latent_top1", "From the latent, the right window ranked first among its story's windows"
        ),
        _identification(rows, "latent_rate_matched_top1", f"{MATCHED}, the latent ranked it first"),
        _identification(
            rows, "likelihood_top1", "By the likelihood, the right window ranked first among its story's windows"
        ),
        _identification(rows, "likelihood_rate_matched_top1", f"{MATCHED}, the likelihood ranked it first"),
        _identification(rows, "text_top1", "From the written text, it ranked first"),
        _identification(rows, "text_rate_matched_top1", f"{MATCHED}, the written text ranked it first"),
        _closeness(rows),
        _word_rate(rows),
        *(_compared(group) for group in _groups(comparisons)),
        SEEN_TEXT if _text_was_seen(quadrant) else "",
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _identification(rows: Sequence[Score], metric: str, opening: str) -> str:
    found = [row for row in rows if row.metric == metric]
    if not found:
        return ""
    chance = [row.chance for row in found if row.chance == row.chance]
    beside = f" (chance {_percent(chance)})" if chance else ""
    return f"{opening} in {_percent([row.value for row in found])} of cases{beside}: {_claim(found)}."


def _closeness(rows: Sequence[Score]) -> str:
    found = [metric for metric in CLOSENESS if any(row.metric == metric for row in rows)]
    if not found:
        return ""
    beyond = {metric: [row.subject for row in rows if row.metric == metric and beyond_null(row)] for metric in found}
    n_subjects = len({row.subject for row in rows})
    yes = [_with_count(metric, len(beyond[metric]), n_subjects) for metric in found if beyond[metric]]
    no = [phrase(metric) for metric in found if not beyond[metric]]
    if not yes:
        return f"The written text was no closer to what was heard than text paired at random ({listed(no)})."
    rest = f", but not by {listed(no)}" if no else ""
    return f"The written text was closer to what was heard than text paired at random by {listed(yes)}{rest}."


def _with_count(metric: str, count: int, of: int) -> str:
    return phrase(metric) if count == of else f"{phrase(metric)} ({count} of {of} subjects)"


def _word_rate(rows: Sequence[Score]) -> str:
    found = [row for row in rows if row.metric == "word_rate_r"]
    if not found:
        return ""
    return f"The word rate was predicted with r = {_span([number(row.value, 2) for row in found])}: {_claim(found)}."


def _claim(rows: Sequence[Score]) -> str:
    """Who is beyond the null and who is not, each with a p."""
    yes, no = [row for row in rows if beyond_null(row)], [row for row in rows if not beyond_null(row)]
    if not no:
        everyone = "" if len(rows) == 1 else f" for {'both' if len(rows) == 2 else f'all {len(rows)}'} subjects"
        return f"above the permuted pairing{everyone} ({_largest(yes)})"
    if not yes:
        return f"not above the permuted pairing ({_smallest(no)})"
    return f"above the permuted pairing for {_names(yes)} ({_largest(yes)}), not for {_names(no)} ({_smallest(no)})"


def _names(rows: Sequence[Score]) -> str:
    return listed([row.subject for row in rows]) if len(rows) <= 4 else plural(len(rows), "subject")


def _largest(rows: Sequence[Score]) -> str:
    most = p_clause(max(row.p for row in rows))
    return most if len(rows) == 1 else most.replace("p = ", "p ≤ ")


def _smallest(rows: Sequence[Score]) -> str:
    known = [row.p for row in rows if row.p == row.p]
    if not known:
        return "the story is too short for a p"
    least = p_clause(min(known))
    return least if len(rows) == 1 else least.replace("p = ", "p ≥ ")


def _percent(values: Sequence[float]) -> str:
    return _span([number(100 * value, 1 if abs(value) < 0.1 else 0) for value in values]) + "%"


def _span(values: Sequence[str]) -> str:
    """One value, or the lowest and the highest as printed."""
    ordered = sorted(set(values), key=lambda text: float(text.replace(MINUS, "-")))
    return ordered[0] if len(ordered) == 1 else f"{ordered[0]} to {ordered[-1]}"


def _groups(comparisons: Sequence[Comparison]) -> list[list[Comparison]]:
    """Comparisons of one metric between the same two systems, over subjects; of the main metrics only."""
    groups: dict[tuple[str, str, str], list[Comparison]] = {}
    for one in (one for one in comparisons if one.metric in COMPARED and _for_sentences(one)):
        groups.setdefault((one.metric, one.system_a, one.system_b), []).append(one)
    return list(groups.values())


def _for_sentences(one: Comparison) -> bool:
    """Of the nulls only noise input against the decoder; the others have a part of the report to themselves."""
    return one.system_a != NOISE and (one.system_b == NOISE or one.system_b not in NULL_SYSTEMS)


def _compared(group: Sequence[Comparison]) -> str:
    first = group[0]
    better, worse = [one for one in group if sign(one) > 0], [one for one in group if sign(one) < 0]
    same = [one for one in group if sign(one) == 0]
    up, down = ("lower", "higher") if first.metric in LOWER_IS_BETTER else ("higher", "lower")
    parts = [
        *([f"{up} (better) {_whose(better)}"] if better else []),
        *([f"{down} (worse) {_whose(worse)}"] if worse else []),
        *([f"not distinguishable {_whose(same)}"] if same else []),
    ]
    return f"Against {first.system_b}, the {phrase(first.metric)} of {first.system_a} was {', '.join(parts)}."


def sign(one: Comparison) -> int:
    """1 where the interval says that A is better than B, -1 where worse, 0 where it includes 0 or is unknown."""
    if one.ci_low > 0 or one.ci_high < 0:
        return (1 if one.difference > 0 else -1) * (-1 if one.metric in LOWER_IS_BETTER else 1)
    return 0


def _whose(group: Sequence[Comparison]) -> str:
    if len(group) > 4:
        return f"for {plural(len(group), 'subject')}"
    return "for " + listed(
        [f"{one.subject} ({number(one.difference)} [{number(one.ci_low)}, {number(one.ci_high)}])" for one in group]
    )
