"""The first minutes of somebody's recordings, cut into stretches: what is at hand of a new person.

Minutes are counted in rows and are exact: the last recording is cut where the minutes end. Recordings are cut into
stretches of a few minutes, so that even ten minutes of one story can be left out part by part.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from ..datasets.errors import BrokenData, WrongArgument
from ..datasets.study import Responses, Run, Word

LONGEST = 5.0  # minutes


@dataclass(frozen=True)
class Stretch:
    """Rows `start` to before `stop` of the recording of a story."""

    story: str
    session: str
    start: int
    stop: int

    def of(self, run: Run) -> Run:
        """That part of somebody's recording of the story, as a run of its own; words keep their place on its rows.

        Raises `BrokenData` for a recording that ends before.
        """
        if run.responses.n_rows < self.stop:
            raise BrokenData(
                f"{run.responses.n_rows} rows, but somebody else's recording of the story has {self.stop} or more",
                run.key,
                "Recordings of one story must have the same rows.",
            )
        shift = self.start * run.repetition_time
        words = run.words_between(shift, self.stop * run.repetition_time)
        return replace(
            run,
            story=f"{run.story}[{self.start}:{self.stop}]",
            responses=Responses(run.responses[self.start : self.stop], run.responses.mask),
            words=tuple(Word(word.text, word.onset - shift, word.offset - shift) for word in words),
        )


def first_minutes(runs: Sequence[Run], minutes: float, longest: float = LONGEST) -> list[Stretch]:
    """The stretches that the first `minutes` of these recordings are, one recording after the other.

    Parameters
    ----------
    minutes
        As many as there are when there are fewer; `math.inf` takes all.
    longest
        Of a stretch, in minutes; at least a third of it is left in the last one, or it goes to the one before. There
        are two stretches at least.

    Raises `WrongArgument` for minutes or lengths that are not above 0.
    """
    if not (minutes > 0 and longest > 0):
        raise WrongArgument(f"{minutes} minutes in stretches of {longest}", "stretches", "Give numbers above 0.")
    kept: list[tuple[Run, int]] = []
    left = minutes * 60
    for run in runs:
        rows = min(run.responses.n_rows, math.floor(min(left, run.duration) / run.repetition_time + 1e-6))
        if rows < 2:
            break
        kept.append((run, rows))
        left -= rows * run.repetition_time
    found: list[Stretch] = []
    for run, rows in kept:
        width = longest * 60 / run.repetition_time
        n = max(1 if len(kept) > 1 else 2, math.ceil(rows / width - 1 / 3))  # one alone cannot be left out
        edges = [round(i * rows / n) for i in range(n + 1)]
        found += [Stretch(run.story, run.session, *pair) for pair in pairwise(edges)]
    return found
