"""Writes the words of a window: a language model proposes, the likelihood of the responses ranks.

After Tang et al. 2023, with two differences. All hypotheses and proposals are scored at once. And because features of
rows are sums over words and the model is linear, a word adds to the expected responses what it would add anywhere:
with r what is missed so far, e what the word adds and P the precision of the noise, its log likelihood ratio is
e'Pr - e'Pe/2. A step costs the same however much is already written. That needs sources that look at one word at a
time (word vectors, rate, counts); the states of a language model do not qualify. How many words each row has is
given, from a model of the speech rate; no true text is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float32, Float64, Int

from ..datasets.errors import WrongArgument
from .encoding_features import RateSource, VectorSource, WordCount
from .encoding_model import FittedEncodingModel
from .word_ngrams import Proposer

CONTEXT_FREE = (WordCount, RateSource, VectorSource)
WORDS_AT_ONCE = 1_000

Missed = Float32[np.ndarray, "text span component"]  # responses less what a text lets expect, noise independent


@dataclass(frozen=True)
class WordBeam:
    """How to write.

    Parameters
    ----------
    hypotheses, proposals
        Texts that are kept, and next words that are proposed for each.
    evidence
        Nats of the score per nat of likelihood ratio; 0 writes the language model alone.
    memory
        Share of the noise's correlation between rows that is believed, 0 to 1.
    """

    hypotheses: int = 50
    proposals: int = 100
    evidence: float = 1.0
    memory: float = 0.0

    def __post_init__(self) -> None:
        if self.hypotheses < 1 or self.proposals < 1 or self.evidence < 0 or not 0 <= self.memory <= 1:
            raise WrongArgument(
                f"hypotheses {self.hypotheses}, proposals {self.proposals}, evidence {self.evidence}, "
                f"memory {self.memory}",
                "word beam",
                "Give at least one of each, no negative evidence, and a memory from 0 to 1.",
            )


@dataclass(frozen=True, eq=False)
class WordWriter:
    """A beam over one person's encoding model and a language model; raises `WrongArgument` for bands with context."""

    model: FittedEncodingModel
    proposer: Proposer
    beam: WordBeam

    def __post_init__(self) -> None:
        needy = [type(b.source).__name__ for b in self.model.features.bands if not isinstance(b.source, CONTEXT_FREE)]
        if needy:
            raise WrongArgument(f"{', '.join(needy)} needs context", "word beam", "Fit word vectors and rate alone.")

    def window(
        self,
        observed: Float32[np.ndarray, "span channel"],
        counts: Int[np.ndarray, " row"],
        before: Sequence[int] = (),
        expected: Float32[np.ndarray, "span channel"] | None = None,
    ) -> list[int]:
        """The words of one window by their numbers in the proposer's vocabulary, `counts` of them in each row.

        `before` are words that were written earlier: they tell the language model where it is; `expected` are the
        responses to them that reach into the window. Raises `WrongArgument` for counts of other rows than a window's.
        """
        if len(counts) != self.model.layout.rows:
            raise WrongArgument(
                f"{len(counts)} counts", "word beam", f"Give one for each of {self.model.layout.rows} rows."
            )
        left = observed if expected is None else observed - expected
        texts, score = np.zeros((1, 0), np.int64), np.zeros(1)
        missed: Missed = (left @ self.model.noise.basis).astype(np.float32)[None]
        for row, count in enumerate(counts.tolist()):
            reached = self._reached(row)
            missed = missed.copy()
            missed[:, reached] -= self._silence[: reached.stop - reached.start]
            for _ in range(count):
                texts, score, missed = self._step(row, texts, score, missed, list(before))
        return [int(word) for word in texts[int(score.argmax())]]

    def _step(
        self,
        row: int,
        texts: Int[np.ndarray, "text word"],
        score: Float64[np.ndarray, " text"],
        missed: Missed,
        before: list[int],
    ) -> tuple[
        Int[np.ndarray, "kept _longer"], Float64[np.ndarray, " kept"], Float32[np.ndarray, "kept span component"]
    ]:
        reached = self._reached(row)
        words, odds = self.proposer([[*before, *text] for text in texts.tolist()], self.beam.proposals)
        effect = self._effects[words][:, :, : reached.stop - reached.start]
        pull = np.einsum("crs,tsc->trc", self._precision[:, reached], missed, optimize=True)
        ratio = np.einsum("tpdc,tdc->tp", effect, pull, optimize=True) - self._costs[row][words]
        total = (score[:, None] + odds + self.beam.evidence * ratio).ravel()
        best = np.argsort(-total, kind="stable")[: self.beam.hypotheses]
        text, proposal = best // words.shape[1], best % words.shape[1]
        kept = missed[text]
        kept[:, reached] -= effect[text, proposal]
        return np.concatenate([texts[text], words[text, proposal][:, None]], axis=1), total[best], kept

    def _reached(self, row: int) -> slice:
        """Rows of responses that words of this row drive, as far as the window's span goes."""
        span = self.model.layout.span
        first = min(row + self.model.layout.delays[0], span)
        return slice(first, min(first + len(self.model.layout.delays), span))

    @cached_property
    def _by_delay(self) -> Float32[np.ndarray, "delay feature component"]:
        """Weights from features to independent components; delays have to follow each other without a gap."""
        delays = self.model.layout.delays
        if delays != tuple(range(delays[0], delays[0] + len(delays))):
            raise WrongArgument(f"delays {delays}", "word beam", "Fit with delays that follow each other.")
        weights = self.model.weights.reshape(len(delays), self.model.features.n_features, -1)
        return np.asarray(weights @ self.model.noise.basis, np.float32)

    @cached_property
    def _silence(self) -> Float32[np.ndarray, "delay component"]:
        """What knowing that a row holds no word adds, in place of knowing nothing about it."""
        return np.asarray(self._nothing @ self._by_delay, np.float32)

    @cached_property
    def _nothing(self) -> Float32[np.ndarray, " feature"]:
        return np.asarray(-self.model.features.mean / self.model.features.scale, np.float32)

    @cached_property
    def _effects(self) -> Float32[np.ndarray, "word delay component"]:
        """What each word of the vocabulary adds."""
        features = self.model.features([[word] for word in self.proposer.vocabulary]) - self._nothing
        return np.ascontiguousarray(np.moveaxis(features @ self._by_delay, 0, 1))

    @cached_property
    def _precision(self) -> Float32[np.ndarray, "component span span"]:
        return np.linalg.inv(self.model.noise.with_memory(self.beam.memory).rows).astype(np.float32)

    @cached_property
    def _costs(self) -> Float32[np.ndarray, "row word"]:
        """e'Pe/2 of each word in each row of a window."""
        found = np.zeros((self.model.layout.rows, len(self._effects)), np.float32)
        for row in range(len(found)):
            reached = self._reached(row)
            precision = self._precision[:, reached, reached]
            for first in range(0, len(self._effects), WORDS_AT_ONCE):
                part = slice(first, first + WORDS_AT_ONCE)
                effect = self._effects[part, : reached.stop - reached.start]
                pulled = np.einsum("crs,wsc->wrc", precision, effect, optimize=True)
                found[row, part] = np.einsum("wrc,wrc->w", pulled, effect) / 2
        return found
