"""What a new person's decoder is made from: minutes of their own recordings, and other people's models.

The encoding model is the aligned one of `adaptation`, folded into one regression. For the speech rate the alignment is
used the other way: what other people's cortex did in all training stories, carried over, stands for what the person's
would have done, and is fitted beside the person's own minutes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..datasets.errors import WrongArgument
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
        return Person(model, SpeechRate.fit([*only(own, model.channels), *self._carried_over(found)]))

    def _carried_over(self, adapted: AdaptedEncodingModel) -> list[Run]:
        """Everybody else's recordings of the stories that the person was not heard on, as this person's channels."""
        others = [who for who in self.people.subjects if who != self.subject]
        known = {stretch.story for stretch in self.stretches}
        found = []
        for story in (story for story in self.people.common if story not in known):
            runs = [self.people.runs[who, story] for who in others]
            if len({run.responses.n_rows for run in runs}) > 1:
                raise WrongArgument("recordings of other rows", story, "Give everybody's recording of the same rows.")
            theirs = [run.responses[:][:, donor.channels] for run, donor in zip(runs, adapted.donors, strict=True)]
            values = np.concatenate(theirs, axis=1) @ adapted.transfer
            found.append(replace(runs[0], subject=self.subject, responses=Responses(values.astype(np.float32))))
        return found


def only(runs: Sequence[Run], channels: np.ndarray) -> list[Run]:
    """Recordings of these channels alone."""
    return [replace(run, responses=Responses(run.responses[:][:, channels])) for run in runs]
