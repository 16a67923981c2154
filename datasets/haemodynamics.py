"""What the planted voxels respond to: features of the words, convolved with a haemodynamic response.

Features: `word_rate` (1 per word), `word_length` (letters minus 4.5 per word), and one per topic (1 per word of it).
Every word is an impulse at its onset. The response is nilearn's model of SPM's canonical function (a difference of two
gammas, peak 5 s after the word, 32 s long), sampled when a volume starts: row i at i * repetition_time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from nilearn.glm.first_level import compute_regressor

from .lexicon import TOPICS, lexical_class
from .study import Word

GENERAL = ("word_rate", "word_length")
MEAN_LETTERS = 4.5
HRF = "spm"
HRF_LENGTH = 32.0  # s


def feature_names(n_topics: int) -> tuple[str, ...]:
    """Names in the order of the feature axis."""
    topics = (TOPICS[index].name if index < len(TOPICS) else f"class_{index}" for index in range(n_topics))
    return (*GENERAL, *topics)


def word_features(words: Sequence[Word], n_topics: int) -> Float[np.ndarray, "word feature"]:
    """How strongly each word drives each feature."""
    features = np.zeros((len(words), len(GENERAL) + n_topics))
    for row, word in zip(features, words, strict=True):
        row[0], row[1] = 1, len(word.text) - MEAN_LETTERS
        if (topic := lexical_class(word.text, n_topics)) is not None:
            row[len(GENERAL) + topic] = 1
    return features


def evoked(
    words: Sequence[Word], n_rows: int, repetition_time: float, n_topics: int
) -> Float[np.ndarray, "time feature"]:
    """The features of the words convolved with the haemodynamic response; unscaled, 0 without words.

    Linear in the words: the response to all is the sum of the responses to each.
    """
    frame_times = np.arange(n_rows) * repetition_time
    heard = [word for word in words if word.onset < frame_times[-1]]
    onsets = np.array([word.onset for word in heard])
    out = np.zeros((n_rows, len(GENERAL) + n_topics))
    for index, amplitude in enumerate(word_features(heard, n_topics).T):
        drives = np.flatnonzero(amplitude)
        if drives.size:
            events = (onsets[drives], np.zeros(drives.size), amplitude[drives])
            out[:, index] = compute_regressor(events, HRF, frame_times)[0][:, 0]
    return out
