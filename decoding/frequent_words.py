"""The baseline that knows no brain: the most frequent words, at the right length.

Twelve words are enough for a BLEU-1 that looks like decoding (.26 on five stories of lebel2023). Being as long as the
truth is also enough to beat the permuted pairing in CER, WER and BLEU-1, so a decoder that knows the word rate needs
this baseline, at the lengths that its own rate model expects, beside the null.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import cycle, islice

from ..datasets.errors import MissingData
from .characters import fold


def frequent_words(texts: Sequence[str], lengths: Sequence[int], n_frequent: int = 12) -> list[str]:
    """One text per window: the most frequent words of the training `texts` in turn, `lengths[i]` words long.

    Raises `MissingData` when the texts hold no word.
    """
    counts = Counter(word for text in texts for word in fold(text).split())
    if not counts:
        raise MissingData("no words to count", "training texts", "Give at least one text with words.")
    # Ties in frequency go by the alphabet, so that the order of the texts does not matter.
    frequent = sorted(counts, key=lambda word: (-counts[word], word))[:n_frequent]
    return [" ".join(islice(cycle(frequent), length)) for length in lengths]
