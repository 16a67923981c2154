"""Latents and texts of a story's windows to pair matrices, for one draw or many stacked on each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from . import semantic
from .brain_reading import BrainReader
from .characters import mostly_unspaced
from .identification import candidate_scores
from .metrics import bleu1_pairs, cer_pairs, inapplicable, meteor_pairs, meteor_unavailable, wer_pairs

Stack = Float64[np.ndarray, "_draw window window"]  # draws come in groups of any size

BY_CHARACTERS = ("cer",)
CLOSENESS = {"cer": cer_pairs, "wer": wer_pairs, "bleu1": bleu1_pairs, "meteor": meteor_pairs}


@dataclass(frozen=True, eq=False)
class WindowScores:
    """The true windows of one story, and how what was decoded is scored against them.

    Parameters
    ----------
    reader
        Its model's word vectors compare texts.
    true
        Text of each window, none empty.
    counts
        Words in each window.
    semantic_model
        Name or path of a sentence-embedding model; not used where it is not at hand.
    """

    reader: BrainReader
    true: Sequence[str]
    counts: Float[np.ndarray, " window"]
    semantic_model: str = semantic.MINILM

    def of_latents(self, similarity: Float64[np.ndarray, "draw window window"]) -> dict[str, Stack]:
        """Identification by the similarity of latents (row) and texts, or by the likelihood of these."""
        flat = similarity.reshape(-1, len(self.true))
        return self._stacked(candidate_scores(flat, self.reader.identified_by, self.counts))

    def of_texts(self, decoded: Sequence[Sequence[str]]) -> dict[str, Stack]:
        """Identification by the text, and closeness to it; `decoded` holds the texts of each draw."""
        similarity = np.concatenate([self.reader.text_similarity(texts, self.true) for texts in decoded])
        scores = candidate_scores(similarity, "text", self.counts)
        flat, left_out = [text for texts in decoded for text in texts], absent(self.semantic_model, self.true)
        scores |= {metric: pairs(flat, self.true) for metric, pairs in CLOSENESS.items() if metric not in left_out}
        if "semantic" not in left_out:
            scores["semantic"] = semantic.semantic_pairs(flat, self.true, self.semantic_model)
        return self._stacked(scores)

    def of_alone(self, by_words: Sequence[Sequence[str]], by_characters: Sequence[Sequence[str]]) -> dict[str, Stack]:
        """Of the language model alone: what counts characters is scored on texts that are as long in characters."""
        scores = self.of_texts(by_words)
        if by_characters != by_words:
            flat = [text for texts in by_characters for text in texts]
            scores |= self._stacked({metric: CLOSENESS[metric](flat, self.true) for metric in BY_CHARACTERS})
        return scores

    def _stacked(self, scores: dict[str, Float64[np.ndarray, "row window"]]) -> dict[str, Stack]:
        n = len(self.true)
        return {metric: pairs.reshape(-1, n, n) for metric, pairs in scores.items()}


def absent(semantic_model: str, true: Sequence[str] = ()) -> dict[str, str]:
    """Metrics that cannot be computed here, or say nothing about texts like `true`, and why."""
    reasons = {"meteor": meteor_unavailable(), "semantic": semantic.unavailable(semantic_model), **inapplicable(true)}
    if semantic_model == semantic.MINILM and mostly_unspaced(true):
        reasons["semantic"] = "minilm reads English: name a multilingual sentence model"
    return {metric: reason for metric, reason in reasons.items() if reason}
