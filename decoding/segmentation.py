"""Parts text of scripts without blanks into words, by the words of a study.

The words that people heard come segmented by the study's annotators, prose does not. A stretch of prose is parted into
the sequence of words with the highest product of p(word) = count(word) / all words in the study's transcripts (the
unigram model of Brent 1999 as in Norvig 2009, "Natural language corpus data"; found by dynamic programming, Viterbi
1967). A character in none of the words is a word by itself, with half the chance of a word that was seen once; so is
every character where there are no transcripts.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping

from .characters import UNSPACED

_STRETCH = re.compile(f"[{UNSPACED}]+")


class Segmentation:
    """Parts folded texts by known words.

    Parameters
    ----------
    counts
        How often each word was seen.
    """

    def __init__(self, counts: Mapping[str, int]) -> None:
        seen = {word: count for word, count in counts.items() if _STRETCH.fullmatch(word)}
        total = sum(seen.values())
        self._log = {word: math.log(count / total) for word, count in seen.items()}
        self._unknown = math.log(0.5 / max(total, 1))
        self._longest = max(map(len, seen), default=1)

    @classmethod
    def of(cls, transcripts: Iterable[str]) -> Segmentation:
        """By the words of folded transcripts, which blanks part."""
        return cls(Counter(word for text in transcripts for word in text.split()))

    def __call__(self, text: str) -> str:
        """The folded text with a blank between words; what other scripts write stays as it is."""
        return " ".join(_STRETCH.sub(lambda found: f" {' '.join(self.split(found[0]))} ", text).split())

    def split(self, stretch: str) -> list[str]:
        """The likeliest words of a stretch without blanks; of equal ones those with the longer last word."""
        best, begin = [0.0], [0]
        for end in range(1, len(stretch) + 1):
            starts = range(max(0, end - self._longest), end)
            scores = [best[start] + self._score(stretch[start:end]) for start in starts]
            top = max(range(len(scores)), key=scores.__getitem__)
            best.append(scores[top])
            begin.append(starts[top])
        words, end = [], len(stretch)
        while end:
            words.append(stretch[begin[end] : end])
            end = begin[end]
        return words[::-1]

    def _score(self, word: str) -> float:
        return self._log.get(word, self._unknown if len(word) == 1 else -math.inf)
