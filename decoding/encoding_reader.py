"""What an encoding decoder reads out of one recording: the likelihood of every text, the speech rate, and a text.

It stands where `reading.Reader` stands, so that both decoders are scored by the same code, beside the same nulls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float64, Int

from ..datasets.errors import BrokenData, WrongArgument
from ..datasets.study import Run
from .brain_reading import BrainReader, Reading
from .encoding_decoder import EncodingDecoder, Person
from .encoding_features import Rows, words_by_row
from .encoding_model import FittedEncodingModel
from .search import Search
from .speech_rate import whole_words
from .word_beam import WordWriter

SPARE = 3  # times as many words as expected are written alone, and cut where there are characters enough
REMEMBERED = 32  # words that a language model is told of what was written before a window


@dataclass(frozen=True, eq=False)
class EncodingReading(Reading):
    """`nats` (time window): log likelihood of the responses from each row on, if a window's text was heard there."""

    nats: Float64[np.ndarray, "time window"]

    @property
    def scored(self) -> range:
        """Windows that are scored: not the first, which a story's onset alone tells from the others."""
        return range(1, len(self.starts))

    @property
    def n_rows(self) -> int:
        """Rows that have a likelihood."""
        return len(self.nats)

    def similarity(self) -> Float64[np.ndarray, "window window"]:
        """Of each window's responses to each window's true text: nats."""
        return np.asarray(self.nats[list(self.starts)])

    def shifted(self, shifts: Sequence[int], kept: Sequence[int]) -> Float64[np.ndarray, "shift window window"]:
        """`similarity` of the `kept` windows once the responses were moved in a circle by so many rows."""
        moved = (np.array(self.starts)[list(kept)] + np.asarray(shifts)[:, None]) % len(self.nats)
        return np.asarray(self.nats[moved][:, :, list(kept)])

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything but the run, as arrays (see `of`)."""
        places = {"starts": np.array(self.starts), "rows": np.array(self.rows), "counts": self.counts.numpy()}
        return {**places, "nats": self.nats, "true_counts": self.true_counts, "true": np.array(self.true, np.str_)}

    @classmethod
    def of(cls, run: Run, arrays: Mapping[str, np.ndarray]) -> EncodingReading:
        """The reading of a run from what `arrays` gave."""
        starts, rows, true = tuple(arrays["starts"].tolist()), int(arrays["rows"]), arrays["true"].tolist()
        counts = torch.from_numpy(arrays["counts"])
        return cls(run, starts, rows, counts, arrays["true_counts"], true, arrays["nats"])


class EncodingReader(BrainReader):
    """Reads recordings with an encoding decoder; `search` tells how many hypotheses, and the weight of the evidence.

    What a writer has worked out about its words (a few MB to 160 MB) stays in memory unless `keep` is False.
    """

    model: EncodingDecoder
    identified_by = "likelihood"
    reading = EncodingReading

    def __init__(self, model: EncodingDecoder, keep: bool = True) -> None:
        self.model, self.keep = model, keep
        self._writers: dict[tuple[str, Search], WordWriter] = {}

    def accepts(self, run: Run) -> None:
        """Raise the one clear error when the model cannot read the recording."""
        if run.subject not in self.model.people:
            raise WrongArgument(
                f"subject {run.subject} was not fitted, and an encoding model reads its own person only",
                run.key,
                f"Fitted: {', '.join(self.model.subjects)}.",
            )
        needed = int(self._person(run).encoding.channels.max()) + 1
        if run.responses.n_channels < needed:
            raise BrokenData(
                f"{run.responses.n_channels} channels, but the model reads {needed}",
                run.key,
                "Give a recording of the person that the model was fitted on.",
            )
        if run.responses.n_rows < self.model.window.rows(run.repetition_time):
            raise BrokenData(f"{run.responses.n_rows} rows", run.key, "Give recordings of one window at least.")
        self.require_clock(run, self.model.repetition_time)

    def read(self, run: Run) -> EncodingReading:
        """Likelihoods, speech rate and true texts of all windows; raises `BrokenData` or `WrongArgument`."""
        self.accepts(run)
        person, texts, rows = self._person(run), words_by_row(run), self.model.window.rows(run.repetition_time)
        starts = tuple(range(0, run.responses.n_rows - rows + 1, rows))
        rate = person.rate(run.responses[:][:, person.encoding.channels])
        said = np.array([[len(row), len(" ".join(row))] for row in texts], np.float64)
        kept = np.asarray(starts)[:, None] + np.arange(rows)
        counts = np.stack([rate, rate * self.model.letters], axis=1)[kept]
        return EncodingReading(
            run=run,
            starts=starts,
            rows=rows,
            nats=self._nats(person.encoding, run, texts, starts),
            counts=torch.from_numpy(counts.astype(np.float32)),
            true_counts=said[kept].astype(np.float32),
            true=[" ".join(word for row in texts[start : start + rows] for word in row) for start in starts],
        )

    def write_all(self, readings: Sequence[Reading], search: Search) -> list[str]:
        """From the responses and what was written before, never from true text."""
        texts = [text for reading in readings for text in self._write(reading, search)]
        if not self.keep:
            self._writers.clear()
        return texts

    def write_as_long(self, readings: Sequence[Reading], search: Search) -> list[str]:
        """As many words as the speech rate expects."""
        return self.write_all(readings, replace(search, agreement=0.0))

    def with_as_many_characters(
        self, readings: Sequence[Reading], search: Search, alone: Sequence[str]
    ) -> Sequence[str]:
        """Its likeliest words are short, and fewer letters err less: as many characters as the speech rate expects."""
        return [text for reading in readings for text in self._write_alone(reading, search)]

    def _person(self, run: Run) -> Person:
        return self.model.people[run.subject]

    def _write(self, reading: Reading, search: Search) -> list[str]:
        run = reading.run
        writer, counts = self._writer(run.subject, search), _counts(reading)
        model, vocabulary = writer.model, writer.proposer.vocabulary
        said: list[list[str]] = [[] for _ in range(reading.starts[-1] + reading.rows)] if reading.starts else []
        written: list[int] = []
        texts = []
        for start, own, observed in zip(reading.starts, counts, model.observed(run, reading.starts), strict=True):
            words = writer.window(observed, own, written[-REMEMBERED:], _spill(model, said, start))
            written += words
            for row, (stop, count) in enumerate(zip(np.cumsum(own), own, strict=True)):
                said[start + row] = [vocabulary[word] for word in words[stop - count : stop]]
            texts.append(" ".join(vocabulary[word] for word in words))
        return texts

    def _write_alone(self, reading: Reading, search: Search) -> list[str]:
        writer = self._writer(reading.run.subject, replace(search, agreement=0.0))
        vocabulary = writer.proposer.vocabulary
        silence = np.zeros((writer.model.layout.span, len(writer.model.channels)), np.float32)
        written: list[int] = []
        texts = []
        for own in _counts(reading):
            words = writer.window(silence, SPARE * own, written[-REMEMBERED:])
            words = _as_long(words, vocabulary, own.sum() * self.model.letters)
            written += words
            texts.append(" ".join(vocabulary[word] for word in words))
        return texts

    def _writer(self, subject: str, search: Search) -> WordWriter:
        if search.temperature > 0:
            raise WrongArgument(
                f"temperature {search.temperature}", "search", "An encoding decoder writes by beam search: give 0."
            )
        key = (subject, search)
        if key not in self._writers:
            beam = replace(self.model.beam, hypotheses=search.hypotheses, evidence=search.agreement)
            self._writers[key] = WordWriter(self.model.people[subject].encoding, self.model.language, beam)
        return self._writers[key]

    @staticmethod
    def _nats(
        model: FittedEncodingModel, run: Run, texts: Rows, starts: Sequence[int]
    ) -> Float64[np.ndarray, "time window"]:
        every = range(run.responses.n_rows)
        return model.log_likelihood(run, every, model.expected(texts, starts))


def _counts(reading: Reading) -> Int[np.ndarray, "window row"]:
    """Words to write in each row: as many in all as the reading expects up to there."""
    return whole_words(reading.counts[..., 0].flatten().double().numpy()).reshape(len(reading.starts), reading.rows)


def _spill(model: FittedEncodingModel, said: Rows, start: int) -> np.ndarray:
    """What words that were written before a window let expect in it."""
    reach = max(model.layout.delays)
    first = max(0, start - reach)
    features = np.zeros((start - first + model.layout.span, model.features.n_features), np.float32)
    if start > first:
        features[: start - first] = model.features(said[first:start])
    return np.asarray(model.layout.of_windows(features, [start - first])[0] @ model.weights, np.float32)


def _as_long(words: Sequence[int], vocabulary: Sequence[str], characters: float) -> list[int]:
    """The first words, as many as come nearest to so many characters, blanks counted."""
    if not words:
        return []
    total = np.cumsum([len(vocabulary[word]) + 1 for word in words])
    return list(words[: int(np.abs(total - characters).argmin()) + 1])
