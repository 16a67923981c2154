"""Scores a trained model on recordings it never saw: decoded free-running, beside nulls and baselines.

Windows without a true word are not scored. A story that was trained on is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from jaxtyping import Float, Float64

from ..datasets.errors import BrokenData
from ..datasets.splits import quadrant
from ..datasets.study import Run
from .brain_reading import BrainReader, Reading
from .frequent_words import frequent_words
from .identification import identification_pairs
from .kept_scores import KeptScores, recording_digest
from .null_battery import SHIFTED, Battery
from .null_runs import NullRun, of_arrays
from .null_scores import NullScores
from .null_shifts import shifted_latents
from .results import ALONE, DECODER, FREQUENT, RIDGE, StoryScores, WordRate
from .ridge import FittedRidge
from .search import Search
from .window_scores import WindowScores, absent

Pairs = dict[str, Float64[np.ndarray, "window window"]]


@dataclass(frozen=True, eq=False)
class ScoredStory:
    """One recording's scores by system, its texts, and the similarity of latents to true texts.

    `draws` holds, by null and metric, the recording's score in each draw of the null.
    """

    reading: Reading
    kept: tuple[int, ...]
    texts: dict[str, list[str]]
    similarity: Float64[np.ndarray, "window window"]
    scores: dict[str, StoryScores] = field(default_factory=dict)
    draws: dict[str, dict[str, Float64[np.ndarray, " _draw"]]] = field(default_factory=dict)


def written(reader: BrainReader, search: Search, run: Run, kept: KeptScores) -> tuple[Reading, list[str]]:
    """A recording's reading and the text of its windows, made now or kept from before."""

    def make() -> dict[str, np.ndarray]:
        reading = reader.read(run)
        return {**reading.arrays(), "decoded": np.array(reader.write(reading, search), np.str_)}

    reader.accepts(run)
    arrays = kept.piece(run, "decoded", "", make)
    return reader.reading.of(run, arrays), [str(text) for text in arrays["decoded"]]


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
    battery
        Which nulls are scored beside the permuted pairing.
    work
        Where finished work is kept and found again.
    """

    reader: BrainReader
    search: Search
    semantic_model: str = "minilm"
    ridges: dict[str, FittedRidge] = field(default_factory=dict)
    training_texts: Sequence[str] = ()
    battery: Battery = field(default_factory=Battery)
    work: KeptScores = field(default_factory=KeptScores)

    def absent(self) -> dict[str, str]:
        """Metrics that cannot be computed here, and why."""
        return absent(self.semantic_model)

    def score(self, run: Run) -> ScoredStory:
        """Read, write and score one recording; raises `BrokenData` when it has no words to compare with."""
        reading, decoded = written(self.reader, self.search, run, self.work)
        kept = tuple(i for i in reading.scored if reading.true[i])
        if len(kept) < 2:
            raise BrokenData(
                f"{len(kept)} window(s) with words",
                run.key,
                "Score recordings that come with the words that were heard.",
            )
        texts = {DECODER: decoded, ALONE: self.reader.write_alone(reading, self.search)}
        if self.training_texts:
            # As many words as the decoder's own rate model expects: how many were said is not known to a baseline.
            lengths = reading.counts[..., 0].sum(dim=1).round().int().clamp(min=1).tolist()
            texts[FREQUENT] = frequent_words(self.training_texts, lengths)
        scored = ScoredStory(reading, kept, texts, reading.similarity()[np.ix_(kept, kept)])
        windows = self._windows(scored)
        for name, pairs in self._pairs(scored, windows).items():
            rate = reading.counts[..., 0].flatten().numpy() if name == DECODER else None
            scored.scores[name] = self._story(scored, pairs, rate)
        for name, null in self._nulls(scored, windows).items():
            scored.scores[name] = self._story(scored, null.pairs, null.predicted)
            scored.draws[name] = dict(null.draws)
        return scored

    def _windows(self, scored: ScoredStory) -> WindowScores:
        reading, kept = scored.reading, list(scored.kept)
        counts = reading.true_counts[kept, :, 0].sum(axis=1)
        return WindowScores(self.reader, [reading.true[i] for i in kept], counts, self.semantic_model)

    def _pairs(self, scored: ScoredStory, windows: WindowScores) -> dict[str, Pairs]:
        """Of the decoder and its baselines."""
        systems: dict[str, Pairs] = {}
        for name, texts in scored.texts.items():
            kept = [[texts[i] for i in scored.kept]]
            stacks = windows.of_alone(kept, [self._by_characters(scored)]) if name == ALONE else windows.of_texts(kept)
            systems[name] = {metric: stack[0] for metric, stack in stacks.items()}
        systems[DECODER] |= identification_pairs(scored.similarity, self.reader.identified_by, windows.counts)
        ridge = self.ridges.get(scored.reading.run.subject)
        if ridge is not None:
            starts = [scored.reading.starts[i] for i in scored.kept]
            similarity = ridge.similarity(scored.reading.run, starts, scored.reading.rows)
            systems[RIDGE] = identification_pairs(similarity, "latent", windows.counts)
        return systems

    def _by_characters(self, scored: ScoredStory) -> list[str]:
        """The scored windows of the language model alone, as long in characters."""
        texts = self.reader.with_as_many_characters([scored.reading], self.search, scored.texts[ALONE])
        return [texts[i] for i in scored.kept]

    def _nulls(self, scored: ScoredStory, windows: WindowScores) -> dict[str, NullScores]:
        """The battery's nulls by system; each that needs the encoder is kept as soon as it is finished."""
        found: dict[str, NullScores] = {}
        reading, run = scored.reading, scored.reading.run
        one = NullRun(self.reader, self.search, self.battery, reading, scored.kept, windows)
        options = repr((self.semantic_model, sorted(self.absent()), self.battery.n_draws))
        for name, null in self.battery.inputs.items():
            others = [recording_digest(other) for other in self.battery.others(run)] if null.needs_others else []
            found |= of_arrays(self.work.piece(run, name, repr((options, others)), partial(one.arrays, null)))
        if SHIFTED in self.battery.systems:
            shifted = shifted_latents(reading, scored.kept, windows)
            found |= {} if shifted is None else {SHIFTED: shifted}
        return found

    def _story(
        self,
        scored: ScoredStory,
        pairs: Mapping[str, Float64[np.ndarray, "window window"]],
        predicted: Float[np.ndarray, "*draw time"] | None,
    ) -> StoryScores:
        run, reading = scored.reading.run, scored.reading
        return StoryScores(
            run.study,
            run.subject,
            run.story,
            quadrant(run.subject, run.story, self.reader.split.train),
            reading.rows,
            pairs,
            None if predicted is None else WordRate(predicted, reading.true_counts[..., 0].ravel()),
        )
