"""Splits by story and by subject, never by row: scikit-learn cross-validators over runs.

`groups` holds one (subject, story) pair per run. Every fold leaves out all runs of a story, of a subject, or of both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
from sklearn.model_selection import BaseCrossValidator

from .errors import WrongArgument

Groups = Sequence[tuple[str, str]]
Fold = tuple[np.ndarray, np.ndarray]


class _LeavePartOut(BaseCrossValidator):  # type: ignore[misc]  # scikit-learn ships no types
    """One fold per left-out key; a subclass says which runs a key keeps out of training and which are scored."""

    def _keys(self, groups: Groups) -> list[Any]:
        raise NotImplementedError

    def _trains(self, key: Any, pair: tuple[str, str]) -> bool:
        raise NotImplementedError

    def _scored(self, key: Any, pair: tuple[str, str]) -> bool:
        return not self._trains(key, pair)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Groups | None = None) -> int:
        return len(self._keys(_required(groups)))

    def split(self, X: Any, y: Any = None, groups: Groups | None = None) -> Iterator[Fold]:
        """Yield (train, test) indices of runs; `WrongArgument` without groups or training runs."""
        pairs = _required(groups)
        for key in self._keys(pairs):
            train = np.flatnonzero([self._trains(key, pair) for pair in pairs])
            if train.size == 0:
                raise WrongArgument(f"leaving out {key} leaves no run to train on", "split", "Give more runs.")
            yield train, np.flatnonzero([self._scored(key, pair) for pair in pairs])


class LeaveStoryOut(_LeavePartOut):
    """Seen subjects, unseen story."""

    def _keys(self, groups: Groups) -> list[Any]:
        return sorted({story for _, story in groups})

    def _trains(self, key: Any, pair: tuple[str, str]) -> bool:
        return bool(pair[1] != key)


class LeaveSubjectOut(_LeavePartOut):
    """Unseen subject, seen stories: not a test of decoding across people, the text was seen."""

    def _keys(self, groups: Groups) -> list[Any]:
        return sorted({subject for subject, _ in groups})

    def _trains(self, key: Any, pair: tuple[str, str]) -> bool:
        return bool(pair[0] != key)


class LeaveSubjectAndStoryOut(_LeavePartOut):
    """Unseen subject and unseen story; the subject's other stories and the story's other subjects are left aside."""

    def _keys(self, groups: Groups) -> list[Any]:
        return sorted(set(groups))

    def _trains(self, key: Any, pair: tuple[str, str]) -> bool:
        return bool(pair[0] != key[0] and pair[1] != key[1])

    def _scored(self, key: Any, pair: tuple[str, str]) -> bool:
        return bool(pair == key)


def quadrant(subject: str, story: str, trained: Collection[tuple[str, str]]) -> str:
    """Which of the four quadrants a scored run belongs to, given the (subject, story) pairs trained on."""
    subjects, stories = {pair[0] for pair in trained}, {pair[1] for pair in trained}
    who = "seen" if subject in subjects else "unseen"
    what = "seen" if story in stories else "unseen"
    return f"{who} subject, {what} story"


def _required(groups: Groups | None) -> Groups:
    if groups is None:
        raise WrongArgument("no groups", "split", "Pass groups=[(subject, story), ...], one pair per run.")
    return groups
