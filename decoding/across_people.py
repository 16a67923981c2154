"""Decoding across people by encoding models: within, cross and adapt, each story and each person left out in turn.

The person is new: other people's models were fitted on stories that are not scored, and of the person there are so many
minutes of those same stories and no more. *within* is the person's own model from these minutes, *adapt* the other
people's models aligned to them (`adaptation`), *cross* other people's models with no minutes at all, channel for
channel, which is only possible where channels are voxels of one space. Scored stories were heard by the models in no
ear: an unseen story always, and a person who is unseen in cross, and in adapt but for the minutes that are named.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64

from ..datasets.errors import Leak, MissingData, WrongArgument
from ..datasets.study import Responses, Run, VoxelMask
from .adaptation import Adaptation, Donor
from .encoding_features import words_by_row
from .encoding_model import EncodingModel, FittedEncodingModel
from .stretches import Stretch, first_minutes

Way = Literal["within", "cross", "adapt"]
WAYS: tuple[Way, ...] = ("within", "cross", "adapt")
LENT = 300  # channels of a donor, the best predicted: an alignment of thousands has squares of thousands to invert
PREFIX = "likelihood"  # of the metrics' names
SHRINKAGE = 0.6  # chosen on five validation stories of lebel2023
QUADRANTS = {
    "within": "seen subject, unseen story",
    "adapt": "adapted subject, unseen story",  # no model was trained on the person, but minutes of the person were seen
    "cross": "unseen subject, unseen story",
}


@runtime_checkable
class ReadsText(Protocol):
    """A model that says how likely responses are under each candidate text."""

    def log_likelihood(self, run: Run, starts: Sequence[int], /) -> Float64[np.ndarray, "window window"]: ...


@dataclass(frozen=True, eq=False)
class OtherPeople:
    """Other people's models, each reading the voxels that lie where its own do; 0 where the recording has none."""

    models: Sequence[FittedEncodingModel]
    masks: Sequence[VoxelMask]

    def log_likelihood(self, run: Run, starts: Sequence[int], /) -> Float64[np.ndarray, "window window"]:
        """Mean over the models, nats."""
        assert run.responses.mask is not None
        volumes = run.responses.mask.unfold(run.responses[:]).reshape(run.responses.n_rows, -1)
        found = [
            model.log_likelihood(replace(run, responses=Responses(volumes[:, mask.index()], mask)), starts)
            for model, mask in zip(self.models, self.masks, strict=True)
        ]
        return np.asarray(np.mean(found, axis=0))


@dataclass(frozen=True)
class Cell:
    """One person, one way, so many minutes; `draw` says in which order the person's stories come."""

    subject: str
    way: Way
    minutes: float
    draw: int = 0

    @property
    def name(self) -> str:
        """`way_subject_minutes_draw`, of a file."""
        return f"{self.way}_{self.subject}_{self.minutes:g}_{self.draw}"


@dataclass(frozen=True, eq=False)
class AcrossPeople:
    """People who heard the same stories.

    Parameters
    ----------
    runs
        By (subject, story): recordings of the stories to train on and to score.
    training, scored
        Names of stories, those to score if any. Stories that somebody did not hear are left out of training.
    model
        How an encoding model is fitted, for donors and for the person alone.
    shrinkage
        Of the noise where a person's minutes are counted, for both ways alike; where all recordings are taken it is the
        model's, for both (see `noise_covariance.fit_noise`).

    Windows that begin before the longest delay are not scored: nothing is known of what was heard before them, which
    by itself tells a story's first window from the others.

    Raises `MissingData` for fewer than two people, no common story or nobody who heard a scored one, and `Leak` where a
    story is trained on and scored.
    """

    runs: Mapping[tuple[str, str], Run]
    training: Sequence[str]
    scored: Sequence[str]
    model: EncodingModel
    shrinkage: float | None = SHRINKAGE

    def __post_init__(self) -> None:
        if both := sorted(set(self.training) & set(self.scored)):
            raise Leak(
                f"trained on and scored: {', '.join(both)}", "across people", "Score stories that nobody trains on."
            )
        if self.scored and not any(self.heard(subject) for subject in self.subjects):
            raise MissingData("nobody heard a scored story", "across people", "Name stories that somebody heard.")
        if len(self.subjects) < 2 or not self.common:
            raise MissingData(
                f"{len(self.subjects)} people with {len(self.common)} stories in common",
                "across people",
                "Name two people or more who heard the same stories.",
            )

    @cached_property
    def subjects(self) -> list[str]:
        return sorted({subject for subject, _ in self.runs})

    @cached_property
    def common(self) -> list[str]:
        """Training stories that everybody heard."""
        return [s for s in self.training if all((subject, s) in self.runs for subject in self.subjects)]

    @cached_property
    def donors(self) -> dict[str, FittedEncodingModel]:
        """Everybody's own model, from all common training stories."""
        return {who: self.model.fit([self.runs[who, story] for story in self.common]) for who in self.subjects}

    @cached_property
    def _lent(self) -> dict[tuple[str, ...], FittedEncodingModel]:
        return {}

    def lent(self, subject: str) -> dict[str, FittedEncodingModel]:
        """What everybody else lends to a new person, of no more channels than `LENT`.

        Fitted on all training stories that all of them heard, whether the new person did or not: on the same stories,
        so that features are standardised alike.
        """
        others = [who for who in self.subjects if who != subject]
        shared = [s for s in self.training if all((who, s) in self.runs for who in others)]
        fewer = replace(self.model, max_channels=min(self.model.max_channels, LENT))
        for who in others:
            if (who, *shared) not in self._lent:
                self._lent[who, *shared] = fewer.fit([self.runs[who, story] for story in shared])
        return {who: self._lent[who, *shared] for who in others}

    def stretches(self, cell: Cell) -> list[Stretch]:
        """The first minutes of the person's training stories, in the draw's order."""
        order = np.random.default_rng(cell.draw).permutation(len(self.common))
        return first_minutes([self.runs[cell.subject, self.common[at]] for at in order], cell.minutes)

    def fitted(self, cell: Cell) -> ReadsText:
        """The model of a cell.

        Raises `WrongArgument` for "cross" where channels have no place, and where there are no minutes for another way.
        """
        if cell.way == "cross":
            return self._without_minutes(cell.subject)
        if cell.minutes <= 0:
            raise WrongArgument(
                f"{cell.minutes:g} minutes", f"--protocol {cell.way}", "Without minutes, only `cross` is possible."
            )
        if cell.way == "within" and math.isinf(cell.minutes):
            return self.donors[cell.subject]
        stretches = self.stretches(cell)
        own = self._cut(cell.subject, stretches)
        if cell.way == "within":
            return replace(self.model, shrinkage=self.shrinkage, alike=True).fit(own)
        lent = self.lent(cell.subject)
        shrinkage = self.model.shrinkage if math.isinf(cell.minutes) else self.shrinkage
        how = Adaptation(
            next(iter(lent.values())).features,
            self.model.layout,
            shrinkage=shrinkage,
            memory=self.model.memory,
            max_channels=self.model.max_channels,
        )
        return how.fit(own, [Donor(model, self._cut(who, stretches)) for who, model in lent.items()])

    def heard(self, subject: str) -> list[Run]:
        """The scored stories that the person heard, of two windows with words or more."""
        runs = [self.runs[subject, story] for story in self.scored if (subject, story) in self.runs]
        return [run for run in runs if len(self.starts(run)) > 1]

    def starts(self, run: Run) -> list[int]:
        """First rows of the windows that have words and words before them, one after the other."""
        rows, width, before = words_by_row(run), self.model.layout.rows, max(self.model.layout.delays)
        starts = range(0, run.responses.n_rows - width + 1, width)
        return [at for at in starts if at >= before and any(rows[at : at + width])]

    def minutes(self, subject: str) -> float:
        """Of the person's common training stories."""
        return sum(self.runs[subject, story].duration for story in self.common) / 60

    def _cut(self, subject: str, stretches: Sequence[Stretch]) -> list[Run]:
        return [stretch.of(self.runs[subject, stretch.story]) for stretch in stretches]

    def one_space(self, subject: str) -> dict[str, VoxelMask]:
        """Everybody's mask. Raises `WrongArgument` where there is none, or where they lie on different grids."""
        masks = {who: run.responses.mask for (who, _), run in self.runs.items()}
        mask = masks[subject]
        if mask is None or any(other is None or not mask.same_grid(other) for other in masks.values()):
            raise WrongArgument(
                "without minutes of the person, channels that have no place in one space cannot be carried over",
                f"{subject}, --protocol cross",
                "Give minutes (`--protocol adapt`), or recordings on one grid with a mask.",
            )
        return masks  # type: ignore[return-value]  # none is None here

    def _without_minutes(self, subject: str) -> ReadsText:
        masks = self.one_space(subject)
        others = [who for who in self.subjects if who != subject]
        return OtherPeople([self.donors[who] for who in others], [masks[who] for who in others])
