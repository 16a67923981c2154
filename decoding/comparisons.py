"""Which systems are held against which, window by window: comparisons.json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .evaluation import ScoredStory
from .null_battery import ALONE_AS_NOISE, NOISE, NULL_SYSTEMS
from .paired import paired_difference
from .results import ALONE, DECODER, FREQUENT, RIDGE, StoryScores

DIGITS = 12
LATENT, LIKELIHOOD = "latent_", "likelihood_"
Pairing = tuple[str, str, str]  # metric, system A, system B
LATENT_SCORES = ("latent_top1", "latent_rate_matched_top1", "latent_percentile")
TEXT_SCORES = ("cer", "wer", "bleu1", "semantic", "text_percentile", "text_rate_matched_top1")
COMPARED: list[Pairing] = [(metric, DECODER, RIDGE) for metric in LATENT_SCORES]
COMPARED += [(metric, DECODER, system) for system in (ALONE, FREQUENT) for metric in TEXT_SCORES]
COMPARED += [
    (metric, DECODER, system)
    for system in NULL_SYSTEMS
    if system != ALONE_AS_NOISE
    for metric in (*LATENT_SCORES, *TEXT_SCORES, "text_top1")
]
# What noise writes must not be better than what the language model alone does.
COMPARED += [(metric, NOISE, system) for system in (ALONE_AS_NOISE, ALONE) for metric in (*TEXT_SCORES, "text_top1")]


def comparisons(scored: Sequence[ScoredStory], compared: Sequence[Pairing] = COMPARED) -> list[dict[str, Any]]:
    """Paired differences of the decoder to each baseline and null, and of noise input to the language model alone.

    Per subject and quadrant.
    """
    groups: dict[tuple[str, str], list[ScoredStory]] = {}
    for story in scored:
        own = story.scores[DECODER]
        groups.setdefault((own.subject, own.quadrant), []).append(story)
    return [
        {"subject": subject, "quadrant": quadrant, **row}
        for (subject, quadrant), group in groups.items()
        for metric, first, second in compared
        if (row := _compare(group, metric, first, second)) is not None
    ]


def _metric_of(scores: StoryScores, metric: str) -> str:
    """A system that is identified by the likelihood, not by a latent, is compared by that."""
    by_likelihood = metric.replace(LATENT, LIKELIHOOD, 1) if metric.startswith(LATENT) else metric
    return by_likelihood if metric not in scores.pairs and by_likelihood in scores.pairs else metric


def _compare(group: Sequence[ScoredStory], metric: str, first: str, second: str) -> dict[str, Any] | None:
    pairs: list[tuple[StoryScores, StoryScores]] = [
        (story.scores[first], story.scores[second]) for story in group if {first, second} <= story.scores.keys()
    ]
    if not pairs or any(_metric_of(scores, metric) not in scores.pairs for pair in pairs for scores in pair):
        return None
    ours, theirs = (
        np.concatenate([np.diagonal(pair[side].pairs[_metric_of(pair[side], metric)]) for pair in pairs])
        for side in (0, 1)
    )
    # A mean over draws rounds where a single text's score does not: equal scores must stay equal.
    ours, theirs = np.round(ours, DIGITS), np.round(theirs, DIGITS)
    names = [pair[0].story for pair in pairs for _ in range(pair[0].n_windows)]
    found = paired_difference(ours, theirs, names)
    labels = {
        "metric": _metric_of(pairs[0][0], metric),
        "system_a": first,
        "system_b": second,
        "difference": found.value,
    }
    return labels | {"ci_low": found.ci_low, "ci_high": found.ci_high, "p": found.p, "n_windows": found.n_windows}
