"""How far what was decoded is from what was heard: pair matrices over the windows of one story.

A pair matrix holds at [i, j] the score of the text decoded for window i against the true text of window j. Its
diagonal is the metric, its other circular diagonals are the permuted pairing (`nulls`). Scores are per window and
then averaged: a corpus-level rate would let long windows outweigh short ones.

Both sides pass through `fold`. Words are what blanks separate: where a script has no blanks these are a study's own
words (`words_are_parted` tells whether they are words at all). Characters are counted as the script writes them, so
the blanks between such words are no characters. Windows without true text are dropped before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from importlib.util import find_spec

import numpy as np
from jaxtyping import Float64
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from ..datasets.errors import BrokenData
from .characters import closed, fold, mostly_unspaced, words_are_parted


def cer_pairs(decoded: Sequence[str], true: Sequence[str]) -> Float64[np.ndarray, "decoded true"]:
    """Character error rate: Levenshtein distance over characters, blanks included, per character of the truth.

    Blanks that part words of a script without blanks are left out on both sides (`closed`): how a text was segmented
    earns nothing. 0 is perfect; an empty decoded text has 1; more than 1 is possible. The diagonal is `jiwer.cer` of
    the closed texts per window. Raises `BrokenData` for an empty truth.
    """
    return _error_rates(list(map(closed, _folded(decoded))), list(map(closed, _truth(true))))


def wer_pairs(decoded: Sequence[str], true: Sequence[str]) -> Float64[np.ndarray, "decoded true"]:
    """Word error rate, as `cer_pairs` with words for characters; the diagonal is `jiwer.wer` per window."""
    return _error_rates([text.split() for text in _folded(decoded)], [text.split() for text in _truth(true)])


def bleu1_pairs(decoded: Sequence[str], true: Sequence[str]) -> Float64[np.ndarray, "decoded true"]:
    """Sentence BLEU-1 in 0..1: clipped unigram precision times the brevity penalty (Papineni et al., 2002, sec. 2).

    The diagonal is sacrebleu's sentence score / 100 with max_ngram_order=1 and tokenize="none"; with one order there
    is nothing to smooth. An empty decoded text has 0. Raises `BrokenData` for an empty truth.
    """
    written, truth = [text.split() for text in _folded(decoded)], [text.split() for text in _truth(true)]
    vocabulary = {word: column for column, word in enumerate(sorted({word for text in truth for word in text}))}
    matches = _clipped_matches(_counts(written, vocabulary), _counts(truth, vocabulary))
    lengths = np.maximum([len(text) for text in written], 1)[:, None]
    brevity = np.exp(np.minimum(0, 1 - np.array([len(text) for text in truth]) / lengths))
    scores: Float64[np.ndarray, "decoded true"] = brevity * matches / lengths
    return scores


def inapplicable(true: Sequence[str]) -> dict[str, str]:
    """Metrics that say nothing about texts like these, and why; CER always does."""
    reasons: dict[str, str] = {}
    if not words_are_parted(true):
        reasons |= dict.fromkeys(("wer", "bleu1"), "no blanks part the words of these texts: score characters")
    if mostly_unspaced(true):
        reasons["meteor"] = "its word lists are English"
    return reasons


def meteor_unavailable() -> str | None:
    """Why METEOR cannot be computed here, or None: its word list, WordNet, has to be fetched by hand."""
    if find_spec("nltk") is None:
        return "nltk is not installed"
    from nltk.corpus import wordnet

    try:
        wordnet.ensure_loaded()
    except LookupError:
        return "nltk's wordnet data is not installed (python -m nltk.downloader wordnet)"
    return None


def meteor_pairs(decoded: Sequence[str], true: Sequence[str]) -> Float64[np.ndarray, "decoded true"]:
    """METEOR in 0..1 by nltk (Banerjee & Lavie, 2005). Call it only where `meteor_unavailable()` is None."""
    from nltk.translate.meteor_score import single_meteor_score

    written, truth = [text.split() for text in _folded(decoded)], [text.split() for text in _truth(true)]
    scores = [[single_meteor_score(reference, text) for reference in truth] for text in written]
    return np.array(scores, np.float64).reshape(len(written), len(truth))


def _folded(texts: Sequence[str]) -> list[str]:
    return [fold(text) for text in texts]


def _truth(texts: Sequence[str]) -> list[str]:
    folded = _folded(texts)
    empty = [index for index, text in enumerate(folded) if not text]
    if empty:
        raise BrokenData(
            f"{len(empty)} window(s) have no true text, the first is {texts[empty[0]]!r}",
            f"window {empty[0]}",
            "Leave out windows without words before scoring.",
        )
    return folded


def _error_rates(
    decoded: Sequence[Sequence[Hashable]], true: Sequence[Sequence[Hashable]]
) -> Float64[np.ndarray, "decoded true"]:
    edits = process.cdist(decoded, true, scorer=Levenshtein.distance, dtype=np.int32)
    return edits / np.array([len(truth) for truth in true], np.float64)


def _counts(texts: Sequence[Sequence[str]], vocabulary: dict[str, int]) -> Float64[np.ndarray, "text word"]:
    """How often each known word is in each text."""
    counts = np.zeros((len(texts), len(vocabulary)))
    for row, text in zip(counts, texts, strict=True):
        for word, count in Counter(text).items():
            if word in vocabulary:
                row[vocabulary[word]] = count
    return counts


def _clipped_matches(
    decoded: Float64[np.ndarray, "decoded word"], true: Float64[np.ndarray, "true word"]
) -> Float64[np.ndarray, "decoded true"]:
    """Σ_word min(decoded, true) as matrix products: min(a, b) = Σ_k [a >= k][b >= k]."""
    levels = int(min(decoded.max(initial=0), true.max(initial=0)))
    matches = np.zeros((len(decoded), len(true)))
    for level in range(1, levels + 1):
        matches += (decoded >= level).astype(float) @ (true >= level).astype(float).T
    return matches
