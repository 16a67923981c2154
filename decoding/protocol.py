"""Protocols across people on a study: every cell's likelihoods, kept as they are made; a table, paired gains, a curve.

Several draws say in which order a person's stories come; the score of a window is its mean over draws. Intervals draw
stories, all people's windows of a story together; p is of the permuted pairing (`nulls`). `adapt` is held against
`within` at the same minutes, window by window.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float64
from rich.progress import track

from ..datasets.errors import WrongArgument
from ..datasets.study import Run
from .across_people import PREFIX, QUADRANTS, AcrossPeople, Cell, ReadsText, Way
from .encoding_features import words_by_row
from .identification import identification_pairs
from .kept_scores import KeptScores, code_digest, recording_digest
from .paired import paired_difference
from .rate_matched import RATE_MATCHED
from .results import StoryScores, rows_pooled

METRICS = (f"{PREFIX}_top1", f"{PREFIX}_{RATE_MATCHED}")
EVERYBODY = "all people"


@dataclass(frozen=True, eq=False)
class Protocol:
    """What is fitted and scored.

    Parameters
    ----------
    people
        The people and their recordings.
    ways
        Any of within, cross, adapt.
    minutes
        Of the new person; infinite means all there are, and 0 is left to the way `cross`.
    draws
        Orders of a person's stories.
    work
        Where likelihoods are kept, so that an interrupted protocol goes on.
    """

    people: AcrossPeople
    ways: Sequence[Way]
    minutes: Sequence[float]
    draws: int = 3
    work: KeptScores = field(default_factory=KeptScores)

    def __post_init__(self) -> None:
        if self.draws < 1 or not self.cells():
            raise WrongArgument(
                f"{self.draws} draws, minutes {list(self.minutes)} for {', '.join(self.ways)}",
                "protocol",
                "Give one draw or more, and minutes above 0 that somebody has (or the way `cross`).",
            )
        if "cross" in self.ways:
            for subject in self.people.subjects:
                self.people.one_space(subject)

    def cells(self) -> list[Cell]:
        """Everybody in turn; without minutes there is one draw, as with all of them.

        Minutes that a person does not have are left out: they would be all there are.
        """
        return [
            Cell(subject, way, minutes, draw)
            for subject in self.people.subjects
            for way in self.ways
            for minutes in ((0.0,) if way == "cross" else self._minutes(subject))
            for draw in range(1 if way == "cross" or math.isinf(minutes) else self.draws)
        ]

    def _minutes(self, subject: str) -> list[float]:
        there = self.people.minutes(subject)
        return sorted({m for m in self.minutes if m > 0 and (math.isinf(m) or m < there)})

    def scores(self) -> Scores:
        """By person, way and minutes: the person's scored stories, mean over draws."""
        found: dict[tuple[str, str, float], list[list[StoryScores]]] = {}
        for cell in track(self.cells(), description="across people"):
            found.setdefault((cell.subject, cell.way, cell.minutes), []).append(list(self._cell(cell)))
        return {key: [mean_over_draws(story) for story in zip(*draws, strict=True)] for key, draws in found.items()}

    def _cell(self, cell: Cell) -> Iterator[StoryScores]:
        fitted: list[ReadsText] = []  # fitted only where a story's likelihoods are not kept

        def likelihoods(run: Run) -> dict[str, np.ndarray]:
            if not fitted:
                fitted.append(self.people.fitted(cell))
            return {"nats": fitted[0].log_likelihood(run, self.people.starts(run))}

        for run in self.people.heard(cell.subject):
            kept = self.work.piece(run, cell.name, "", partial(likelihoods, run))
            yield story_scores(self.people, run, kept["nats"], cell.way)


def story_scores(people: AcrossPeople, run: Run, scores: Float64[np.ndarray, "window window"], way: Way) -> StoryScores:
    """Identification of a recording's scored windows (rows) among their texts (columns)."""
    rows, width = words_by_row(run), people.model.layout.rows
    counts = np.array([sum(map(len, rows[at : at + width])) for at in people.starts(run)], np.float64)
    pairs = identification_pairs(scores, PREFIX, counts)
    return StoryScores(run.study, run.subject, run.story, QUADRANTS[way], width, pairs)


Scores = dict[tuple[str, str, float], list[StoryScores]]  # by person, way (or another system) and minutes


def table(scores: Scores) -> pd.DataFrame:
    """One row per person (and all people), way, minutes and metric, with interval, null, p and chance."""
    lines: list[dict[str, Any]] = []
    for (_, way, minutes), stories in _with_everybody(scores).items():
        rows = [row for row in rows_pooled(stories) if row.metric in METRICS]
        lines += [{"way": way, "minutes": minutes, **asdict(row)} for row in rows]
    return pd.DataFrame(lines).drop(columns=["story"]).sort_values(["metric", "subject", "way", "minutes"])


def gains(scores: Scores, more: str = "adapt", less: str = "within") -> pd.DataFrame:
    """One way less another at the same minutes: difference, interval over stories, p by flipping blocks of windows."""
    groups = _with_everybody(scores)
    lines: list[dict[str, Any]] = []
    for (subject, way, minutes), stories in groups.items():
        if way != more or (subject, less, minutes) not in groups:
            continue
        names = [story.story for story in stories for _ in range(story.n_windows)]
        for metric in METRICS:
            ours, theirs = (
                np.concatenate([np.diagonal(story.pairs[metric]) for story in group])
                for group in (stories, groups[subject, less, minutes])
            )
            labels = {"subject": subject, "minutes": minutes, "metric": metric}
            lines.append(labels | asdict(paired_difference(ours, theirs, names)))
    return pd.DataFrame(lines)


def _with_everybody(scores: Scores) -> Scores:
    """The same and, for each way and number of minutes, all people together."""
    found: Scores = dict(scores)
    for (_, way, minutes), stories in scores.items():
        pooled = [replace(story, subject=EVERYBODY) for story in stories]
        found[EVERYBODY, way, minutes] = [*found.get((EVERYBODY, way, minutes), []), *pooled]
    return found


def mean_over_draws(draws: Sequence[StoryScores]) -> StoryScores:
    """Every window's score, mean over draws of the same story."""
    pairs = {metric: np.mean([one.pairs[metric] for one in draws], axis=0) for metric in draws[0].pairs}
    return replace(draws[0], pairs=pairs)


def basis_of(people: AcrossPeople, features: str) -> str:
    """What kept likelihoods depend on beside the scored recording: code, models, everybody's training recordings.

    `features` says what the bands of features are made from.
    """
    model = people.model
    settings = (model.layout, model.penalties, model.shrinkage, model.memory, model.max_channels, model.stride)
    heard = [recording_digest(people.runs[who, story]) for who in people.subjects for story in people.common]
    return hashlib.sha256(repr((features, settings, people.shrinkage, heard, code_digest())).encode()).hexdigest()
