"""Shingles: runs of n neighbouring words as 64-bit numbers, by which texts are compared without keeping them.

Broder 1997, "On the resemblance and containment of documents". A word's number is its BLAKE2b digest, a shingle's a
polynomial in those of its words, so the same text has the same numbers on every machine. Scripts that part no words
(Han, kana) are taken character by character. Two different shingles share a number with probability 2^-64.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import islice

import numpy as np
from jaxtyping import UInt64

from .characters import UNSPACED, fold

UNPARTED = re.compile(f"([{UNSPACED}])")
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
BLOCK = 1_000_000  # words: 8 MB of numbers at a time


class WordNumbers(dict[str, int]):
    """A word's number, worked out when it is first met."""

    def __missing__(self, word: str) -> int:
        self[word] = int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "little")
        return self[word]


def words_of(text: str) -> list[str]:
    """Folded words; characters of scripts without spaces one by one."""
    return UNPARTED.sub(r" \1 ", fold(text)).split()


def shingles(words: Sequence[str], n: int, numbers: WordNumbers | None = None) -> UInt64[np.ndarray, " shingle"]:
    """Numbers of all runs of n words, in order; none where the text is shorter."""
    known = WordNumbers() if numbers is None else numbers
    each = np.fromiter(map(known.__getitem__, words), np.uint64, len(words))
    count = max(0, len(words) - n + 1)
    total = np.zeros(count, np.uint64)
    for place in range(n):
        total = (total ^ (total >> np.uint64(29))) * MULTIPLIER + each[place : place + count]
    return total


def streamed(texts: Iterable[str], n: int) -> Iterator[UInt64[np.ndarray, " shingle"]]:
    """Numbers of all shingles of texts, about a million words at a time; none crosses a text's end."""
    numbers = WordNumbers()
    for text in texts:
        words, rest = iter(words_of(text)), list[str]()
        while block := list(islice(words, BLOCK)):
            yield shingles(rest + block, n, numbers)
            rest = block[1 - n :]
