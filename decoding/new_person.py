"""What a new person's decoder is made from: minutes of their own recordings, and other people's models.

The encoding model is the aligned one of `adaptation`, folded into one regression; the speech rate is filtered out of it
(`SpeechRate.matched`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..datasets.study import Responses, Run
from .across_people import AcrossPeople, Cell
from .adaptation import AdaptedEncodingModel
from .encoding_decoder import Person
from .speech_rate import SpeechRate
from .stretches import Stretch


@dataclass(frozen=True, eq=False)
class NewPerson:
    """Somebody of whom there are so many `minutes` of the training stories."""

    people: AcrossPeople
    subject: str
    minutes: float

    @property
    def cell(self) -> Cell:
        return Cell(self.subject, "adapt", self.minutes)

    @property
    def stretches(self) -> list[Stretch]:
        """Which rows of which stories the minutes are."""
        return self.people.stretches(self.cell)

    def fit(self) -> Person:
        """Raises `WrongArgument` for fewer than two stretches, or without other people."""
        found = self.people.fitted(self.cell)
        assert isinstance(found, AdaptedEncodingModel)
        model = found.folded()
        own = [stretch.of(self.people.runs[self.subject, stretch.story]) for stretch in self.stretches]
        return Person(model, SpeechRate.matched(model, only(own, model.channels)))


def only(runs: Sequence[Run], channels: np.ndarray) -> list[Run]:
    """Recordings of these channels alone."""
    return [replace(run, responses=Responses(run.responses[:][:, channels])) for run in runs]
