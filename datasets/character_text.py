"""Plain text as character ids for a character model: nothing is folded, the alphabet is what occurs.

Train, validation and test follow each other in the text, as in char-rnn (Karpathy 2015): a split by position, so that
no window of one lies in another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from .corpus import read_documents
from .errors import BrokenData, WrongArgument

PARTS = ("train", "validation", "test")
ENCODING = "utf-32-le"  # four bytes a character, so that texts are arrays


@dataclass(frozen=True, eq=False)
class CharacterText:
    """A text as ids: character i of `alphabet` has id i. `ends` are where train, validation and test end."""

    ids: Int64[np.ndarray, " character"]
    alphabet: str
    ends: tuple[int, int, int]

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, name: str) -> Int64[np.ndarray, " character"]:
        """Ids of "train", "validation" or "test". Raises `WrongArgument` for another name."""
        if name not in PARTS:
            raise WrongArgument(f"no part {name!r} of a text", "part", f"Choose one of: {', '.join(PARTS)}.")
        starts = dict(zip(PARTS, (0, *self.ends[:2]), strict=True))
        return self.ids[starts[name] : self.ends[PARTS.index(name)]]

    def encode(self, text: str) -> Int64[np.ndarray, " character"]:
        """Ids of another text. Raises `WrongArgument` for a character outside the alphabet."""
        places = {character: i for i, character in enumerate(self.alphabet)}
        if strange := sorted(set(text) - set(places)):
            raise WrongArgument(f"characters {''.join(strange)!r} are not in the alphabet", "text", "Leave them out.")
        return np.array([places[character] for character in text], np.int64)

    def decode(self, ids: Sequence[int] | Int64[np.ndarray, " character"]) -> str:
        """Text of the ids."""
        points = _points(self.alphabet)[np.asarray(ids, np.int64)]
        return points.tobytes().decode(ENCODING)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of the text in UTF-8, in hexadecimal: for one file, that of the file."""
        return hashlib.sha256(self.decode(self.ids).encode()).hexdigest()


def read_character_text(
    paths: str | Path | Sequence[str | Path], shares: tuple[float, float, float] = (0.9, 0.05, 0.05)
) -> CharacterText:
    """The text of files, folders or archives (see `corpus.read_documents`), one after the other.

    `shares` are those of train, validation and test. The alphabet is that of the whole text: which characters exist is
    no statistic of theirs, and published bits per character are over the same alphabet.

    Raises `WrongArgument` for shares that are not positive or do not add to 1, `BrokenData` for a text that is too
    short to be shared out, and as `read_documents`.
    """
    if min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
        raise WrongArgument(
            f"shares {shares} of train, validation and test", "shares", "Give parts of 1 that add to 1."
        )
    given = [paths] if isinstance(paths, str | Path) else paths
    text = "\n".join(document.text for document in read_documents(given))
    ends = round(shares[0] * len(text)), round((shares[0] + shares[1]) * len(text)), len(text)
    if not 0 < ends[0] < ends[1] < ends[2]:
        raise BrokenData(f"{len(text)} characters are too few for three parts", ", ".join(map(str, given)), "Add text.")
    points, ids = np.unique(_points(text), return_inverse=True)
    return CharacterText(ids.astype(np.int64), points.tobytes().decode(ENCODING), ends)


def _points(text: str) -> np.ndarray:
    """Code point of each character."""
    return np.frombuffer(text.encode(ENCODING), "<u4")
