"""One null on one recording, free-running down the decoder's own path: encode, text rate, write, score."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from jaxtyping import Float

from ..datasets.study import Run
from .brain_reading import BrainReader, Reading
from .null_battery import Battery, InputNull
from .null_scores import NullScores
from .search import Search
from .window_scores import Stack, WindowScores

WINDOWS_AT_ONCE = 1000  # read before any is written
BETWEEN = "/"  # a system and what it holds, in a kept file

Part = tuple[Mapping[str, Stack], Float[np.ndarray, "draw time"] | None]


@dataclass(frozen=True, eq=False)
class NullRun:
    """Scores a null beside a decoder's reading of the same recording.

    Parameters
    ----------
    reader, search
        As for the decoder itself.
    battery
        How many draws, and other people's recordings.
    reading
        The decoder's reading: its windows are the null's.
    kept, windows
        Windows that are scored, and how.
    """

    reader: BrainReader
    search: Search
    battery: Battery
    reading: Reading
    kept: Sequence[int]
    windows: WindowScores

    def scores(self, null: InputNull) -> dict[str, NullScores]:
        """By system: of the null and, where it asks for it, of the language model alone at the null's own lengths.

        Empty where the null has no draw, as without another person who heard the story.
        """
        parts: dict[str, list[Part]] = {}
        for inputs in self._groups(null):
            readings = [reader.read(run) for reader, run in inputs]
            written = self._written([reader for reader, _ in inputs], readings)
            parts.setdefault(null.system, []).append(self._part(readings, written))
            if null.alone:
                texts = self.reader.write_as_long(readings, self.search)
                longer = self.reader.with_as_many_characters(readings, self.search, texts)
                stacks = self.windows.of_alone(self._by_draw(texts), self._by_draw(longer))
                parts.setdefault(null.alone, []).append((stacks, None))
        words = self.reading.true_counts[..., 0].ravel()
        return {system: NullScores.of_stacks(found, words) for system, found in parts.items()}

    def _written(self, readers: Sequence[BrainReader], readings: Sequence[Reading]) -> list[str]:
        """Each draw by its own reader, those of one reader together."""
        groups = groupby(zip(readers, readings, strict=True), key=lambda draw: id(draw[0]))
        drawn = [list(group) for _, group in groups]
        return [
            text for group in drawn for text in group[0][0].write_all([reading for _, reading in group], self.search)
        ]

    def arrays(self, null: InputNull) -> dict[str, np.ndarray]:
        """`scores` as arrays, to be kept (see `of_arrays`)."""
        scores = self.scores(null).items()
        return {f"{system}{BETWEEN}{name}": values for system, one in scores for name, values in one.arrays().items()}

    def _groups(self, null: InputNull) -> Iterator[list[tuple[BrainReader, Run]]]:
        """The null's draws, as many at once as `WINDOWS_AT_ONCE` allows."""
        most, group = max(1, WINDOWS_AT_ONCE // len(self.reading.starts)), []
        for one in null.draws(self.reader, self.reading.run, self.battery):
            group.append(one)
            if len(group) == most:
                yield group
                group = []
        if group:
            yield group

    def _part(self, readings: Sequence[Reading], written: Sequence[str]) -> Part:
        own = np.ix_(self.kept, self.kept)
        stacks = self.windows.of_latents(np.stack([reading.similarity()[own] for reading in readings]))
        stacks |= self.windows.of_texts(self._by_draw(written))
        return stacks, np.stack([reading.counts[..., 0].flatten().numpy() for reading in readings])

    def _by_draw(self, texts: Sequence[str]) -> list[list[str]]:
        """The scored windows' texts of each draw."""
        n = len(self.reading.starts)
        return [[texts[first + i] for i in self.kept] for first in range(0, len(texts), n)]


def of_arrays(arrays: Mapping[str, np.ndarray]) -> dict[str, NullScores]:
    """The scores by system from what `NullRun.arrays` gave."""
    parts: dict[str, dict[str, np.ndarray]] = {}
    for name, values in arrays.items():
        system, _, rest = name.partition(BETWEEN)
        parts.setdefault(system, {})[rest] = values
    return {system: NullScores.of(part) for system, part in parts.items()}
