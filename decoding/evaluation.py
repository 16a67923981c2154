"""Scores a trained model on recordings it never saw: decoded free-running, beside nulls and baselines.

Windows without a true word are not scored. A story that was trained on is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64

from ..datasets.errors import BrokenData
from ..datasets.splits import quadrant
from ..datasets.study import Run
from . import semantic
from .frequent_words import frequent_words
from .identification import identification_pairs
from .metrics import bleu1_pairs, cer_pairs, meteor_pairs, meteor_unavailable, wer_pairs
from .reading import Reader, Reading
from .results import ALONE, DECODER, FREQUENT, RIDGE, StoryScores, WordRate
from .ridge import FittedRidge
from .search import Search

Pairs = dict[str, Float64[np.ndarray, "window window"]]


@dataclass(frozen=True, eq=False)
class ScoredStory:
    """One recording's scores by system, its texts, and the similarity of latents to true texts."""

    reading: Reading
    kept: tuple[int, ...]
    texts: dict[str, list[str]]
    similarity: Float64[np.ndarray, "window window"]
    scores: dict[str, StoryScores] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How to score.

    Parameters
    ----------
    reader
        Holds the trained model.
    search
        How text is written, by the decoder and by the language model alone.
    semantic_model
        Name or path of a sentence-embedding model (see `semantic`); left out of the table where it is not at hand.
    ridges
        Fitted baseline per person.
    training_texts
        From which the most frequent words are taken; without them that baseline is left out.
    """

    reader: Reader
    search: Search
    semantic_model: str = "minilm"
    ridges: dict[str, FittedRidge] = field(default_factory=dict)
    training_texts: Sequence[str] = ()

    def absent(self) -> dict[str, str]:
        """Metrics that cannot be computed here, and why."""
        reasons = {"meteor": meteor_unavailable(), "semantic": semantic.unavailable(self.semantic_model)}
        return {metric: reason for metric, reason in reasons.items() if reason}

    def score(self, run: Run) -> ScoredStory:
        """Read, write and score one recording; raises `BrokenData` when it has no words to compare with."""
        reading = self.reader.read(run)
        kept = tuple(i for i, text in enumerate(reading.true) if text)
        if len(kept) < 2:
            raise BrokenData(
                f"{len(kept)} window(s) with words",
                run.key,
                "Score recordings that come with the words that were heard.",
            )
        texts = {DECODER: self.reader.write(reading, self.search), ALONE: self.reader.write_alone(reading, self.search)}
        if self.training_texts:
            # As many words as the decoder's own rate model expects: how many were said is not known to a baseline.
            lengths = reading.counts[..., 0].sum(dim=1).round().int().clamp(min=1).tolist()
            texts[FREQUENT] = frequent_words(self.training_texts, lengths)
        scored = ScoredStory(reading, kept, texts, reading.similarity()[np.ix_(kept, kept)])
        scored.scores.update({name: self._story(scored, pairs) for name, pairs in self._pairs(scored).items()})
        return scored

    def _pairs(self, scored: ScoredStory) -> dict[str, Pairs]:
        true = [scored.reading.true[i] for i in scored.kept]
        systems = {
            name: self._text_pairs([texts[i] for i in scored.kept], true) for name, texts in scored.texts.items()
        }
        systems[DECODER] |= identification_pairs(scored.similarity, "latent")
        ridge = self.ridges.get(scored.reading.run.subject)
        if ridge is not None:
            starts = [scored.reading.starts[i] for i in scored.kept]
            similarity = ridge.similarity(scored.reading.run, starts, scored.reading.rows)
            systems[RIDGE] = identification_pairs(similarity, "latent")
        return systems

    def _text_pairs(self, decoded: list[str], true: list[str]) -> Pairs:
        pairs = {"cer": cer_pairs(decoded, true), "wer": wer_pairs(decoded, true), "bleu1": bleu1_pairs(decoded, true)}
        absent = self.absent()
        if "meteor" not in absent:
            pairs["meteor"] = meteor_pairs(decoded, true)
        if "semantic" not in absent:
            pairs["semantic"] = semantic.semantic_pairs(decoded, true, self.semantic_model)
        return identification_pairs(self.reader.text_similarity(decoded, true), "text") | pairs

    def _story(self, scored: ScoredStory, pairs: Pairs) -> StoryScores:
        run, reading = scored.reading.run, scored.reading
        decoder = "latent_top1" in pairs and "cer" in pairs
        words = reading.counts[..., 0].flatten().numpy(), reading.true_counts[..., 0].ravel()
        return StoryScores(
            run.study,
            run.subject,
            run.story,
            quadrant(run.subject, run.story, self.reader.model.split.train),
            reading.rows,
            pairs,
            WordRate(*words) if decoder else None,
        )
