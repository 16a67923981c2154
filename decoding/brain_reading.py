"""What a decoder reads out of a recording, and what reads it: the contract that both decoders fulfil.

Everything that scores (evaluation, nulls, tables) knows these two classes only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float64
from torch import Tensor

from ..datasets.errors import BrokenData
from ..datasets.study import Run
from .network import SAME_TIME
from .search import Search
from .trained import Split
from .word_vectors import WordVectors, text_similarity


@dataclass(frozen=True, eq=False)
class Reading(ABC):
    """The non-overlapping windows of one run.

    `counts` (window time 2) are the expected words and characters, `true_counts` those heard; `true` holds the folded
    true texts.
    """

    run: Run
    starts: tuple[int, ...]
    rows: int
    counts: Float[Tensor, "window time 2"]
    true_counts: Float[np.ndarray, "window time 2"]
    true: list[str]

    @property
    def scored(self) -> range:
        """Windows that may be scored; those without words are left out besides."""
        return range(len(self.starts))

    @property
    @abstractmethod
    def n_rows(self) -> int:
        """Rows that can be moved in a circle."""

    @abstractmethod
    def similarity(self) -> Float64[np.ndarray, "window window"]:
        """Of what was read in each window (row) to each window's true text."""

    @abstractmethod
    def shifted(self, shifts: Sequence[int], kept: Sequence[int]) -> Float64[np.ndarray, "shift window window"]:
        """`similarity` of the `kept` windows once what was read is moved in a circle by so many rows."""

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """Everything but the run, as arrays (see `of`)."""

    @classmethod
    @abstractmethod
    def of(cls, run: Run, arrays: Mapping[str, np.ndarray]) -> Reading:
        """The reading of a run from what `arrays` gave."""

    def onsets(self) -> list[float]:
        """s on the run's clock."""
        return [start * self.run.repetition_time for start in self.starts]


@runtime_checkable
class Scored(Protocol):
    """What scoring asks of a decoder."""

    @property
    def split(self) -> Split: ...

    @property
    def vectors(self) -> WordVectors: ...


class BrainReader(ABC):
    """Reads recordings with a decoder, and writes their text; it writes its own readings only.

    `identified_by` says what picks the right window in tables: "latent" or "likelihood".
    """

    identified_by: ClassVar[str]
    reading: ClassVar[type[Reading]]
    model: Scored

    @property
    def split(self) -> Split:
        """Of the decoder's run."""
        return self.model.split

    @property
    def vectors(self) -> WordVectors:
        """Of words, by which texts are compared."""
        return self.model.vectors

    def require_clock(self, run: Run, repetition_time: float) -> None:
        """Raise `BrokenData` for a recording that was sampled otherwise than what the model learned from."""
        if abs(run.repetition_time - repetition_time) > SAME_TIME:
            raise BrokenData(
                f"repetition time {run.repetition_time} s, but the model was trained at {repetition_time} s",
                run.key,
                "Resample the recording or train another model.",
            )

    @abstractmethod
    def accepts(self, run: Run) -> None:
        """Raise the one clear error when the model cannot read the recording."""

    @abstractmethod
    def read(self, run: Run) -> Reading:
        """All windows of a run; raises `BrokenData` or `WrongArgument` when the model cannot."""

    @abstractmethod
    def write_all(self, readings: Sequence[Reading], search: Search) -> list[str]:
        """The text of every window of several readings after each other, from the brain only."""

    @abstractmethod
    def write_as_long(self, readings: Sequence[Reading], search: Search) -> list[str]:
        """The language model alone, as long as the readings say that the texts are."""

    def with_as_many_characters(
        self, readings: Sequence[Reading], search: Search, alone: Sequence[str]
    ) -> Sequence[str]:
        """The language model alone for scores that count characters, where `alone` is as long by words only."""
        return alone

    def write(self, reading: Reading, search: Search) -> list[str]:
        """The text of every window, free-running."""
        return self.write_all([reading], search)

    def write_alone(self, reading: Reading, search: Search) -> list[str]:
        """The language model alone at the lengths that the text-rate model expects."""
        return self.write_as_long([reading], search)

    def text_similarity(self, decoded: Sequence[str], true: Sequence[str]) -> Float64[np.ndarray, "window window"]:
        """See `word_vectors.text_similarity`."""
        return text_similarity(self.vectors, decoded, true)
