"""What noise says about a decoder, in sentences: is it better than the language model alone without any brain?"""

from __future__ import annotations

from collections.abc import Sequence

from ..page_text import listed, number, plural
from .null_battery import ALONE_AS_NOISE, MUST_FAIL, NOISE
from .report_input import Comparison, NullScore
from .report_labels import phrase
from .report_verdict import beyond_null, sign
from .results import ALONE

IDENTIFIED = ("latent_top1", "likelihood_top1", "text_top1")


def noise_beats_alone(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Paired differences in which noise input is better than the language model alone, by an interval without 0."""
    return [one for one in noise_and_alone(comparisons) if sign(one) > 0]


def noise_and_alone(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Paired differences of noise input to the language model alone, as long as noise and as long as the decoder."""
    return [one for one in comparisons if one.system_a == NOISE and one.system_b in (ALONE, ALONE_AS_NOISE)]


def noise_warning(comparisons: Sequence[Comparison]) -> str:
    """Names every person's scores in which noise wins, once each; "" where there is none."""
    wins: dict[tuple[str, str], Comparison] = {}
    for one in noise_beats_alone(comparisons):
        wins.setdefault((one.subject, one.metric), one)
    if not wins:
        return ""
    named = [f"{phrase(one.metric)} of {one.subject} (by {_difference(one)})" for one in wins.values()]
    return (
        f"WARNING: fed noise, the decoder beats the language model alone in {listed(named)}. What it writes from "
        "noise was not read from a brain, so there a score above the language model alone is no evidence of decoding: "
        f"hold it against {NOISE}."
    )


def noise_sentence(comparisons: Sequence[Comparison]) -> str:
    """That noise does not beat the language model alone, with the differences in character error rate; "" untested."""
    tested = noise_and_alone(comparisons)
    if not tested:
        return ""
    shown = [one for one in tested if one.metric == "cer" and one.system_b == ALONE_AS_NOISE]
    differences = listed([f"{one.subject} {_difference(one)}" for one in shown]) if shown else ""
    beside = f" ({phrase('cer')}, noise minus language model at the same lengths: {differences})" if shown else ""
    wins = len(noise_beats_alone(comparisons))
    found = "in none" if not wins else f"in {wins}"
    return (
        f"Fed noise with the recordings' own spectra, the decoder beat the language model alone {found} of "
        f"{plural(len(tested), 'paired difference')}, by intervals without 0{beside}."
    )


def chance_sentence(nulls: Sequence[NullScore]) -> str:
    """How many of the nulls that know nothing of the story pass for decoding at p < .05; "" without any."""
    rows = [row for row in nulls if row.system in MUST_FAIL and row.metric in IDENTIFIED and row.p == row.p]
    if not rows:
        return ""
    passed = [row for row in rows if beyond_null(row)]
    named = listed([f"{row.system}, {phrase(row.metric)} of {row.subject}" for row in passed]) if passed else ""
    return (
        f"Of {plural(len(rows), 'score')} of nulls that know nothing of the story, {len(passed)} lay above the "
        f"permuted pairing at p < 0.05 (by luck alone about {number(0.05 * len(rows), 1)})"
        f"{': ' + named if named else ''}."
    )


def _difference(one: Comparison) -> str:
    return f"{number(one.difference)} [{number(one.ci_low)}, {number(one.ci_high)}]"
