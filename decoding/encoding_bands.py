"""The bands that an encoding model of a story is made from: what is said, how fast, and a language model's states."""

from __future__ import annotations

from .encoding_features import Band, EncodingFeatures, RateSource, VectorSource
from .encoding_model import EncodingModel
from .encoding_states import StateSource
from .encoding_windows import Layout
from .word_vectors import WordVectors

RATE_WEIGHT = 3.0  # never searched


def content_bands(vectors: WordVectors, states: str = "") -> list[Band]:
    """Word vectors, and the states of the language model that is named, if any."""
    return [Band(VectorSource(vectors)), *([Band(StateSource(states))] if states else [])]


def rate_band(vectors: WordVectors) -> Band:
    """How much is said and how hard it is; its frequencies are the order of the vectors' vocabulary."""
    return Band(RateSource(tuple(vectors.vocabulary)), RATE_WEIGHT, whole=False)


def encoding_model(vectors: WordVectors, rows: int, states: str = "") -> EncodingModel:
    """Word vectors and rates, and the states of a sentence model where one is named, for windows of so many rows."""
    return EncodingModel(EncodingFeatures([*content_bands(vectors, states), rate_band(vectors)]), Layout(rows=rows))
