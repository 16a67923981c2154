"""What the encoding model knows of a text, per row: how much was said, how, and about what.

Every source gives one vector per word, from the words of its row and of earlier rows only, so that the features of a
window never depend on what was said after it. The vectors of the words that begin in a row are summed (TR averaging
times the number of words: rows with more words drive the response more). Tang et al. 2023 (Nature Neuroscience 26:858)
take a GPT's states for content, resampled by a Lanczos filter, and a word-rate model apart from it; here rate and
content are bands of one regression.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int

from ..datasets.errors import MissingData, WrongArgument
from ..datasets.study import Run
from .characters import fold
from .word_vectors import WordVectors

VOWELS = re.compile("[aeiouy]+")
SHORT = 3  # letters
RARE = 2_000  # a word that is not among so many of the most frequent ones is rare

Rows = Sequence[Sequence[str]]  # the folded words that begin in each row


@runtime_checkable
class WordSource(Protocol):
    """One band of features: rows of words to one vector per word, each from its own and earlier words only."""

    @property
    def n_features(self) -> int: ...

    def __call__(self, rows: Rows) -> Float32[np.ndarray, "word feature"]: ...


@dataclass(frozen=True, eq=False)
class RateSource:
    """How much is said and how hard it is: words, letters, syllables, log rank, rare words, short words.

    Syllables are groups of vowels of Latin letters, at least one a word. `vocabulary` is in order of falling
    frequency, as `WordVectors` has it; its order is all that is read.
    """

    vocabulary: Sequence[str]
    n_features: int = 6

    def __call__(self, rows: Rows) -> Float32[np.ndarray, "word feature"]:
        rank = {word: i for i, word in enumerate(self.vocabulary)}
        words = [word for row in rows for word in row]
        places = np.array([rank.get(word, len(rank)) for word in words], dtype=np.float64)
        letters = np.array([len(word) for word in words], dtype=np.float64)
        syllables = np.array([_syllables(word) for word in words], dtype=np.float64)
        columns = [np.ones(len(words)), letters, syllables, np.log1p(places), places >= RARE, letters <= SHORT]
        return np.stack(columns, axis=1).astype(np.float32)


@dataclass(frozen=True, eq=False)
class WordCount:
    """Words alone: the word-rate model."""

    n_features: int = 1

    def __call__(self, rows: Rows) -> Float32[np.ndarray, "word feature"]:
        return np.ones((sum(map(len, rows)), 1), np.float32)


@dataclass(frozen=True, eq=False)
class VectorSource:
    """What is said: the word's own vector, zero for unknown words."""

    vectors: WordVectors

    @property
    def n_features(self) -> int:
        return self.vectors.n_features

    def __call__(self, rows: Rows) -> Float32[np.ndarray, "word feature"]:
        return self.vectors([word for row in rows for word in row])


@dataclass(frozen=True, eq=False)
class Band:
    """A source and how freely its weights may grow: features are scaled by `weight` before the one ridge penalty.

    `whole` gives all features of the band one scale, which keeps the geometry of an embedding.
    """

    source: WordSource
    weight: float = 1.0
    whole: bool = True


class EncodingFeatures:
    """Rows of words to standardised rows of features.

    `mean` and `scale` (feature,) come from training runs only (`fit`); until then nothing is standardised.
    """

    def __init__(
        self,
        bands: Sequence[Band],
        mean: Float32[np.ndarray, " feature"] | None = None,
        scale: Float32[np.ndarray, " feature"] | None = None,
    ) -> None:
        if not bands or any(not math.isfinite(band.weight) or band.weight <= 0 for band in bands):
            raise WrongArgument("no band, or a band without weight", "encoding features", "Give weights above 0.")
        self.bands = tuple(bands)
        self.mean = np.zeros(self.n_features, np.float32) if mean is None else mean
        self.scale = np.ones(self.n_features, np.float32) if scale is None else scale

    @property
    def n_features(self) -> int:
        return sum(band.source.n_features for band in self.bands)

    def fit(self, texts: Sequence[Rows]) -> EncodingFeatures:
        """Standardisation from these texts. Raises `MissingData` where they hold no word."""
        if not any(word for text in texts for row in text for word in row):
            raise MissingData("no words in any training run", "encoding features", "Give runs with words.")
        raw = np.concatenate([self._raw(text) for text in texts]).astype(np.float64)
        mean, scale, first = raw.mean(axis=0), raw.std(axis=0), 0
        for band in self.bands:
            part = slice(first, first + band.source.n_features)
            if band.whole:
                scale[part] = np.sqrt((scale[part] ** 2).mean())
            scale[part] = np.maximum(scale[part], 1e-6) / band.weight
            first = part.stop
        return EncodingFeatures(self.bands, mean.astype(np.float32), scale.astype(np.float32))

    def __call__(self, rows: Rows) -> Float32[np.ndarray, "time feature"]:
        """Standardised features of each row; a row without words has what silence has."""
        return np.asarray((self._raw(rows) - self.mean) / self.scale, np.float32)

    def _raw(self, rows: Rows) -> Float32[np.ndarray, "time feature"]:
        words = np.concatenate([band.source(rows) for band in self.bands], axis=1)
        raw = np.zeros((len(rows), self.n_features), np.float32)
        np.add.at(raw, _row_of_word(rows), words)
        return raw


def words_by_row(run: Run) -> list[list[str]]:
    """Folded words that begin in each row of a run; words outside the recording are left out."""
    rows: list[list[str]] = [[] for _ in range(run.responses.n_rows)]
    for word in run.words:
        # A word on a row's own time belongs to it, however the division rounds: (35 * 2.0045) // 2.0045 is 34.
        row = math.floor(word.onset / run.repetition_time + 1e-6)
        if 0 <= row < len(rows):
            rows[row] += fold(word.text).split()
    return rows


def _row_of_word(rows: Rows) -> Int[np.ndarray, " word"]:
    return np.repeat(np.arange(len(rows)), [len(row) for row in rows])


def _syllables(word: str) -> int:
    plain = unicodedata.normalize("NFD", word)
    return max(1, len(VOWELS.findall(plain)))
