"""Text that scored windows share with one passage of another text: copies, also edited ones.

A window's share is the largest number of its n-word shingles that lie together in one passage of one story, over the
number of its shingles. Counting within a passage is what tells a copy from common phrases: whoever tells stories says
"and i was like oh my god", but no two tell fifty words in the same order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt64

from ..datasets.study import Run
from ..datasets.windows import WindowShape
from .split_audit_shingles import shingles, words_of

LENGTH = 5  # words of a shingle: with one word in five changed a third of them stay whole, of eight words a sixth
FEWEST = 6  # shingles, ten words in a row: of fewer nothing is said
COMMON = 200  # a shingle that a library holds more often says nothing about where a text is from
PASSAGE = 32  # words by which an edited copy may slip against its source within one window
VERBATIM = 25  # words in a row that are a copy, however long the window: no two stories share them, nor do two
# stories of the synthetic study's small grammar (longest of 91 pairs: 17); lebel2023's stories share at most nine
COPIED, ALIKE = 0.5, 0.2  # shares from which a window is a near-duplicate, see `threshold`
NATURAL, ENOUGH = 0.1, 500  # share that stories may have in common by nature, windows that it takes to know


@dataclass(frozen=True, eq=False)
class WindowedText:
    """The words of a run and the window (0, 1, ...) in which each begins, for the words inside its windows."""

    words: list[str]
    window: Int64[np.ndarray, " word"]
    n_windows: int
    duration: float  # of a window, s

    def onset(self, window: int) -> float:
        """s on the run's clock."""
        return round(window * self.duration, 3)

    @classmethod
    def of(cls, run: Run, shape: WindowShape) -> WindowedText:
        """As `windows.windows` cuts the run: whole windows from its first row on, without overlap."""
        rows = shape.rows(run.repetition_time)
        n_windows = run.responses.n_rows // rows
        placed = [
            (word, int((spoken.onset / run.repetition_time + 1e-6) // rows))
            for spoken in run.words
            if spoken.onset >= 0
            for word in words_of(spoken.text)
        ]
        kept = [(word, window) for word, window in placed if window < n_windows]
        return cls(
            [word for word, _ in kept],
            np.array([window for _, window in kept], np.int64),
            n_windows,
            rows * run.repetition_time,
        )


@dataclass(frozen=True, eq=False)
class Overlap:
    """Per window of a scored run: the share of its shingles in the best passage (NaN: too few to judge), and whose."""

    share: Float64[np.ndarray, " window"]
    story: list[str]


def shares(
    found: Float64[np.ndarray, " window"], total: Int64[np.ndarray, " window"]
) -> Float64[np.ndarray, " window"]:
    """found / total; NaN where fewer than `FEWEST` shingles begin, 0 where fewer than that were found."""
    share = np.where(found >= FEWEST, found / np.maximum(total, 1), 0.0)
    return np.where(total >= FEWEST, share, np.nan)


def threshold(library: Library, texts: Mapping[str, WindowedText]) -> float:
    """The share from which a window is a near-duplicate.

    `ALIKE` where the training stories themselves, window by window, share less than half of that with each other (99.9%
    of at least `ENOUGH` windows): spoken stories do (lebel2023: at most .065). `COPIED` where they share more, as the
    sentences of a small grammar do (the synthetic study: up to .39), or where there are too few windows to know.
    """
    found = [library.overlap(text, but=story).share for story, text in texts.items()]
    known = np.concatenate([np.zeros(0), *found])
    known = known[~np.isnan(known)]
    low = len(known) >= ENOUGH and float(np.quantile(known, 0.999)) <= NATURAL
    return ALIKE if low else COPIED


class Library:
    """The stories that are not to be met again, by name."""

    def __init__(self, texts: Mapping[str, Sequence[str]]) -> None:
        self.names = list(texts)
        self._parts = [shingles(words, LENGTH) for words in texts.values()]
        self._long = [shingles(words, VERBATIM) for words in texts.values()]

    def holds(self, words: Sequence[str]) -> Bool[np.ndarray, " shingle"]:
        """Which runs of `VERBATIM` words stand in a story here, word for word."""
        return np.isin(shingles(words, VERBATIM), np.concatenate([np.zeros(0, np.uint64), *self._long]))

    @cached_property
    def _sorted(
        self,
    ) -> tuple[UInt64[np.ndarray, " shingle"], Int64[np.ndarray, " shingle"], Int64[np.ndarray, " shingle"]]:
        """Numbers in rising order, with the story and the place in it of each."""
        numbers = np.concatenate([np.zeros(0, np.uint64), *self._parts])
        story = np.repeat(np.arange(len(self._parts)), [len(part) for part in self._parts])
        place = np.concatenate([np.zeros(0, np.int64), *(np.arange(len(part)) for part in self._parts)])
        order = np.argsort(numbers, kind="stable")
        return numbers[order], story[order], place[order]

    def overlap(self, text: WindowedText, but: str | None = None) -> Overlap:
        """How much of each window stands in one passage here; the story `but` is not looked at."""
        own = shingles(text.words, LENGTH)
        # A shingle that begins in one window and ends in the next belongs to neither.
        inside = text.window[: len(own)] == text.window[LENGTH - 1 :][: len(own)]
        total = np.bincount(text.window[: len(own)][inside], minlength=text.n_windows)
        window, story, count = self._passages(own, inside, text.window)
        if but in self.names:
            count = np.where(story == self.names.index(but), 0, count)
        best, whose = np.zeros(text.n_windows), np.full(text.n_windows, -1)
        order = np.argsort(count, kind="stable")  # the largest is written last
        best[window[order]], whose[window[order]] = count[order], story[order]
        return Overlap(shares(best, total), [self.names[i] if i >= 0 else "" for i in whose])

    def _passages(
        self,
        own: UInt64[np.ndarray, " shingle"],
        counted: Bool[np.ndarray, " shingle"],
        window: Int64[np.ndarray, " word"],
    ) -> tuple[Int64[np.ndarray, " passage"], Int64[np.ndarray, " passage"], Int64[np.ndarray, " passage"]]:
        """(window, story, number of the window's shingles) of every passage that shares any."""
        numbers, stories, places = self._sorted
        first, last = (np.searchsorted(numbers, own, side) for side in ("left", "right"))
        times = np.where(counted & (last - first <= COMMON), last - first, 0)
        at = np.repeat(np.arange(len(own)), times)
        found = np.repeat(first - np.cumsum(times) + times, times) + np.arange(len(at))
        slip = places[found] - at
        # Each passage counts from two origins, half its length apart, so that none is cut in two by both.
        passage = np.concatenate([2 * (slip // PASSAGE), 2 * ((slip + PASSAGE // 2) // PASSAGE) + 1])
        rows = np.stack([np.tile(column, 2) for column in (window[at], stories[found], at)] + [passage])
        once = np.unique(rows[[0, 1, 3, 2]], axis=1)  # a shingle counts once in a passage, however often it is there
        groups, counts = np.unique(once[:3], axis=1, return_counts=True)
        return groups[0], groups[1], counts.astype(np.int64)
