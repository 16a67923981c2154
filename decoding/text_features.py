"""What a stretch of text is to the brain model: per row of responses, its content and how much was said.

The features are fixed numbers from the words alone: the sum of the word vectors of the words that begin in the row,
the number of words, and the number of characters. `TextEmbedding` learns from them the space in which the latent of
the responses and the text of a window meet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from ..datasets.study import Run
from .characters import fold
from .word_vectors import WordVectors

N_COUNTS = 2  # words and characters per row, the last two features


@dataclass(frozen=True, eq=False)
class RunText:
    """The words of a run laid out on its rows: `features` standardised, `counts` = words and characters per row."""

    features: Float32[np.ndarray, "time feature"]
    counts: Float32[np.ndarray, "time 2"]
    texts: list[str]

    def text(self, start: int, stop: int) -> str:
        """Folded text of the words that begin in rows start..stop."""
        return " ".join(text for text in self.texts[start:stop] if text)


class TextFeatures:
    """Lays words out on rows and standardises what they amount to.

    `mean` and `scale` (feature,) come from training runs only (`fit`). All content features share one scale, so that
    the geometry of the word vectors stays as it is.
    """

    def __init__(
        self,
        vectors: WordVectors,
        mean: Float32[np.ndarray, " feature"] | None = None,
        scale: Float32[np.ndarray, " feature"] | None = None,
    ) -> None:
        self.vectors = vectors
        self.mean = np.zeros(self.n_features, np.float32) if mean is None else mean
        self.scale = np.ones(self.n_features, np.float32) if scale is None else scale

    @property
    def n_features(self) -> int:
        return self.vectors.n_features + N_COUNTS

    def fit(self, runs: list[Run]) -> TextFeatures:
        """Standardisation from the rows of these runs."""
        rows = np.concatenate([self._raw(run)[0] for run in runs])
        mean, scale = rows.mean(axis=0), rows.std(axis=0)
        scale[:-N_COUNTS] = rows[:, :-N_COUNTS].std()
        return TextFeatures(self.vectors, mean.astype(np.float32), np.maximum(scale, 1e-6).astype(np.float32))

    def of(self, run: Run) -> RunText:
        """The run's words on its rows; words outside the recording are left out."""
        raw, texts = self._raw(run)
        return RunText((raw - self.mean) / self.scale, raw[:, -N_COUNTS:].copy(), texts)

    def _raw(self, run: Run) -> tuple[Float32[np.ndarray, "time feature"], list[str]]:
        n_rows = run.responses.n_rows
        # A word on a row's own time belongs to it, however the division rounds: (35 * 2.0045) // 2.0045 is 34.
        words = [(math.floor(word.onset / run.repetition_time + 1e-6), fold(word.text)) for word in run.words]
        words = [(row, part) for row, text in words if 0 <= row < n_rows for part in text.split()]
        rows = np.array([row for row, _ in words], dtype=np.int64)
        raw = np.zeros((n_rows, self.n_features), np.float32)
        np.add.at(raw[:, :-N_COUNTS], rows, self.vectors([text for _, text in words]))
        np.add.at(raw[:, -2], rows, 1)
        np.add.at(raw[:, -1], rows, [len(text) + 1 for _, text in words])
        texts = [""] * n_rows
        for row, text in words:
            texts[row] = f"{texts[row]} {text}".lstrip()
        return raw, texts


class TextEmbedding(nn.Module):
    """(batch time feature) of text to (batch time latent): one convolution over three rows.

    Linear on purpose: what is learned here is which mixtures of the fixed features a brain tells apart.
    """

    def __init__(self, n_features: int, n_latent: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(n_features, n_latent, 3, padding=1)

    def forward(self, features: Float[Tensor, "batch time feature"]) -> Float[Tensor, "batch time latent"]:
        embedded: Tensor = self.convolution(features.transpose(1, 2))
        return embedded.transpose(1, 2)


def similarity(
    latent: Float[Tensor, "*row time feature"], embedding: Float[Tensor, "*column time feature"]
) -> Float[Tensor, "row column"]:
    """Cosine between every window's latent and every text's embedding, all rows of a window as one vector."""
    flat = [nn.functional.normalize(values.flatten(1), dim=1) for values in (latent, embedding)]
    return torch.matmul(flat[0], flat[1].T)
