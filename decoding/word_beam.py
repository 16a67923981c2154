"""Writes the words of a window: a language model proposes, the likelihood of the responses ranks.

After Tang et al. 2023, with two differences. All hypotheses and proposals are scored at once. And because features of
rows are sums over words and the model is linear, a word adds to the expected responses what it would add anywhere: a
step costs the same however much is already written. That needs sources that look at one word at a time (word vectors,
rate, counts); the states of a language model do not qualify. How many words each row has is given, from a text-rate
model; no true text is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64, Int

from ..datasets.errors import WrongArgument
from .encoding_features import RateSource, VectorSource, WordCount
from .encoding_model import FittedEncodingModel

CONTEXT_FREE = (WordCount, RateSource, VectorSource)


@runtime_checkable
class Proposer(Protocol):
    """Language model: the likeliest next words of every text and their log probabilities, in nats."""

    def __call__(self, texts: Sequence[Sequence[str]], k: int) -> tuple[list[list[str]], list[list[float]]]: ...


@dataclass(frozen=True)
class WordBeam:
    """How to write.

    Parameters
    ----------
    hypotheses, proposals
        Texts that are kept, and next words that are proposed for each.
    evidence
        Nats of the score per nat of likelihood ratio; 0 writes the language model alone.
    """

    hypotheses: int = 50
    proposals: int = 20
    evidence: float = 1.0

    def __post_init__(self) -> None:
        if self.hypotheses < 1 or self.proposals < 1 or self.evidence < 0:
            raise WrongArgument(
                f"hypotheses {self.hypotheses}, proposals {self.proposals}, evidence {self.evidence}",
                "word beam",
                "Give at least one of each, and no negative evidence.",
            )

    def write(
        self,
        model: FittedEncodingModel,
        proposer: Proposer,
        observed: Float32[np.ndarray, "span channel"],
        counts: Int[np.ndarray, " row"],
        before: Sequence[str] = (),
    ) -> list[str]:
        """The words of one window, `counts` of them in each row.

        `before` are words that were written earlier: they tell the language model where it is.
        Raises `WrongArgument` for a model whose features need context, or counts for other rows than a window's.
        """
        effects = _Effects(model)
        if len(counts) != model.layout.rows:
            raise WrongArgument(f"{len(counts)} counts", "word beam", f"Give one for each of {model.layout.rows} rows.")
        texts: list[list[str]] = [[]]
        language, missed = np.zeros(1), model.noise.whiten(observed[None].astype(np.float64))
        for row, count in enumerate(counts.tolist()):
            missed = missed - effects.silence(row)
            for _ in range(count):
                texts, language, missed = self._step(effects, proposer, row, texts, language, missed, before)
        return texts[int(self._score(language, missed).argmax())]

    def _step(
        self,
        effects: _Effects,
        proposer: Proposer,
        row: int,
        texts: list[list[str]],
        language: Float64[np.ndarray, " hypothesis"],
        missed: Float64[np.ndarray, "hypothesis whitened"],
        before: Sequence[str],
    ) -> tuple[list[list[str]], Float64[np.ndarray, " kept"], Float64[np.ndarray, "kept whitened"]]:
        words, chances = proposer([[*before, *text] for text in texts], self.proposals)
        parent = np.repeat(np.arange(len(texts)), [len(proposed) for proposed in words])
        flat = [word for proposed in words for word in proposed]
        gained = language[parent] + np.array([chance for proposed in chances for chance in proposed])
        left = missed[parent] - effects.words(row, flat)
        best = np.argsort(-self._score(gained, left), kind="stable")[: self.hypotheses]
        return [[*texts[parent[i]], flat[i]] for i in best], gained[best], left[best]

    def _score(
        self, language: Float64[np.ndarray, " text"], missed: Float64[np.ndarray, "text whitened"]
    ) -> Float64[np.ndarray, " text"]:
        """log p(text) + evidence * log p(responses | text), but for a constant."""
        return np.asarray(language - 0.5 * self.evidence * (missed**2).sum(axis=1))


class _Effects:
    """What silence and words in a row of a window add to its whitened expected responses."""

    def __init__(self, model: FittedEncodingModel) -> None:
        self.model = model
        needy = [type(b.source).__name__ for b in model.features.bands if not isinstance(b.source, CONTEXT_FREE)]
        if needy:
            raise WrongArgument(f"{', '.join(needy)} needs context", "word beam", "Fit word vectors and rate alone.")
        self.nothing = -model.features.mean / model.features.scale
        self._known: dict[tuple[int, str], np.ndarray] = {}

    def silence(self, row: int) -> Float64[np.ndarray, " whitened"]:
        """Of knowing that the row holds no word, in place of knowing nothing about it."""
        return np.asarray(self._whitened(row, self.nothing[None])[0])

    def words(self, row: int, words: Sequence[str]) -> Float64[np.ndarray, "word whitened"]:
        """Of each word. A word's effect in a row is worked out once."""
        new = sorted({word for word in words if (row, word) not in self._known})
        if new:
            features = self.model.features([[word] for word in new]) - self.nothing
            for word, effect in zip(new, self._whitened(row, features), strict=True):
                self._known[row, word] = effect
        return np.stack([self._known[row, word] for word in words])

    def _whitened(
        self, row: int, features: Float32[np.ndarray, "word feature"]
    ) -> Float64[np.ndarray, "word whitened"]:
        layout, weights = self.model.layout, self.model.weights
        by_delay = weights.reshape(len(layout.delays), features.shape[1], -1)
        expected = np.zeros((len(features), layout.span, by_delay.shape[2]))
        for delay, part in zip(layout.delays, by_delay, strict=True):
            if row + delay < layout.span:
                expected[:, row + delay] += features @ part
        return self.model.noise.whiten(expected)
