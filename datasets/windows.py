"""Pairs stretches of text with the responses that they evoke, at the haemodynamic lag.

A window is a stretch of `duration` seconds of the story. The responses to it come later: the blood flow peaks about
5 s after a word and is back after about 15 s, so a window's responses are its own rows and those of the following
`reach` seconds. Windows of a run that is scored never overlap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from .errors import BrokenData
from .study import Run, Word


@dataclass(frozen=True)
class WindowShape:
    """Length of a window's text and how long after its end its responses are read, both in s."""

    duration: float = 20.0
    reach: float = 10.0

    def rows(self, repetition_time: float) -> int:
        """Rows of text in a window (at least 1)."""
        return max(1, round(self.duration / repetition_time))

    def reach_rows(self, repetition_time: float) -> int:
        """Rows of responses after the last row of text."""
        return round(self.reach / repetition_time)


@dataclass(frozen=True, eq=False)
class Window:
    """Rows start..start + rows of a run, with `reach` more rows of responses."""

    run: Run
    start: int
    rows: int
    reach: int

    @property
    def onset(self) -> float:
        """s on the run's clock."""
        return self.start * self.run.repetition_time

    @property
    def offset(self) -> float:
        """s on the run's clock."""
        return (self.start + self.rows) * self.run.repetition_time

    @property
    def words(self) -> tuple[Word, ...]:
        return self.run.words_between(self.onset, self.offset)

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    def responses(self) -> Float32[np.ndarray, "time channel"]:
        """rows + reach rows; rows past the end of the recording are 0."""
        return self.run.responses.padded(self.start, self.start + self.rows + self.reach)


def windows(run: Run, shape: WindowShape, stride: int | None = None) -> list[Window]:
    """Windows of a run from its first row on, `stride` rows apart (a window's length by default: no overlap).

    Raises `BrokenData` when the run is shorter than one window.
    """
    rows, reach = shape.rows(run.repetition_time), shape.reach_rows(run.repetition_time)
    if run.responses.n_rows < rows:
        raise BrokenData(
            f"the recording lasts {run.duration:.0f} s, less than one window of {shape.duration:.0f} s",
            run.key,
            "Leave the run out or choose a shorter window.",
        )
    starts = range(0, run.responses.n_rows - rows + 1, stride or rows)
    return [Window(run, start, rows, reach) for start in starts]
