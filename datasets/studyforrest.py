"""studyforrest: people watch Forrest Gump in German; 267 parcels, timed speech (Hanke 2016, Häusler & Hanke 2021)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from .archive import read_arrays
from .errors import BrokenData, MissingData
from .standardise import Standardised
from .study import Responses, Run, Study, Word

REPETITION_TIME = 2.0  # s
FRAME = 0.04  # s
NARRATOR = "ERZAEHLER"  # the audio description for blind listeners, not heard in this recording
SPOKEN = {"speech", "broadcast", "exclamation", "singing"}  # not: titles of songs, coughs and laughter
NOTE = re.compile(r"##+[^#]*#*")  # an annotator's remark; within a text its marks say "uncertain"
TIME = re.compile(r"(\d\d):(\d\d):(\d\d):([\d#]{1,2})")


class StudyForrest(Study):
    """Eight runs per person, "run-1" to "run-8": two hours of film, z-scored per run.

    Speech is timed per utterance, to a video frame of 40 ms. The words of an utterance are spread over it in proportion
    to their length in characters, so `timing` is "repetition": good to about a repetition, not to a word. Left out: the
    narrator, who was not heard; sounds that are no words; remarks of the annotators; and utterances without a known
    second of start and end (19 of the 1,875 with words). Where only the frame is unknown the whole second counts.

    Film time becomes time on the run's clock by `timing.json`. Neighbouring runs show the same 16 s or so of film: an
    utterance there belongs to both, so leave neighbours of a scored run out of training, or mind the overlap.

    Parameters
    ----------
    root
        Folder with `bold_shen.npz`, `timing.json` and `speech_german_timed.csv`.
    """

    name = "studyforrest"
    url = "https://github.com/psychoinformatics-de/studyforrest-data-aggregate"
    doi = "10.1038/sdata.2016.92"
    licence = "PDDL-1.0 (BOLD); the dialogue is film text under copyright"
    citation = "Hanke et al. (2016). Scientific Data 3:160092. Häusler & Hanke (2021). F1000Research 10:54."
    language = "de"
    info: ClassVar[dict[str, Any]] = {"subjects": 10, "stories": 8, "rows": 3599, "channels": 267}

    def __init__(self, root: str | Path) -> None:
        super().__init__(root)
        self.archive = self.root / "bold_shen.npz"
        self.timing = self.root / "timing.json"
        self.speech = self.root / "speech_german_timed.csv"

    def subjects(self) -> list[str]:
        return sorted(map(str, self._arrays["subjects"]))

    def stories(self, subject: str) -> list[str]:
        self._all_known([subject], self.subjects(), "subject")
        return [f"run-{number}" for number in range(1, len(self._arrays["run_start"]))]

    def run(self, subject: str, story: str, session: str = "") -> Run:
        """The run. Raises `MissingData` for an unknown name, `BrokenData` for files that are not in the layout."""
        stories = self.stories(subject)
        self._all_known([story], stories, "story")
        which = stories.index(story)
        start, stop = (int(row) for row in self._arrays["run_start"][which : which + 2])
        person = self._arrays["subjects"].tolist().index(subject)
        responses = Responses(Standardised(self._arrays["bold"][person, start:stop], f"{self.archive}, {story}"))
        words = self._words_between(self._film_seconds[which], (stop - start) * REPETITION_TIME)
        return Run(
            self.name, subject, story, REPETITION_TIME, responses, words, language=self.language, timing="repetition"
        )

    def sources(self, subject: str, story: str, session: str = "") -> list[Path]:
        return [self.archive, self.timing, self.speech]

    def _words_between(self, start: float, duration: float) -> tuple[Word, ...]:
        """Words of the utterances that begin within `duration` s of film second `start`, on the run's clock."""
        heard = [
            Word(word.text, word.onset - start, word.offset - start)
            for utterance in self._utterances
            if start <= utterance.onset < start + duration
            for word in spread(utterance)
        ]
        return tuple(sorted(heard, key=lambda word: word.onset))

    @cached_property
    def _arrays(self) -> dict[str, np.ndarray]:
        axes = {"bold": "subject time channel", "subjects": "subject", "run_start": "run"}
        arrays = read_arrays(self.archive, axes)
        bounds = arrays["run_start"].tolist()
        if bounds[0] != 0 or bounds[-1] != arrays["bold"].shape[1] or any(b <= a for a, b in pairwise(bounds)):
            raise BrokenData(f"run_start {bounds} does not divide the rows", self.archive, "Copy the archive again.")
        return arrays

    @cached_property
    def _film_seconds(self) -> list[float]:
        """Film second of row 0 of every run."""
        try:
            seconds = [float(value) for value in json.loads(self.timing.read_text())["run_start_in_movie_seconds"]]
        except FileNotFoundError:
            raise MissingData(
                "no timing of the runs", self.timing, "Give --root the folder with timing.json."
            ) from None
        except (ValueError, KeyError, TypeError) as error:
            raise BrokenData(f"the timing cannot be read: {error}", self.timing, "Copy the file again.") from error
        if len(seconds) != len(self._arrays["run_start"]) - 1:
            raise BrokenData(f"{len(seconds)} runs are timed, others are there", self.timing, "Copy the file again.")
        return seconds

    @cached_property
    def _utterances(self) -> list[Word]:
        """Heard utterances in film seconds."""
        if not self.speech.is_file():
            raise MissingData("no timed speech", self.speech, "Give --root the folder with speech_german_timed.csv.")
        table = pd.read_csv(self.speech, dtype=str, keep_default_na=False)
        absent = [column for column in ("start", "end", "person", "kind", "text") if column not in table]
        if absent:
            raise MissingData(f"no column {', '.join(absent)}", self.speech, "Take the file as it was published.")
        spoken = np.array([not SPOKEN.isdisjoint(kind.split(";")) for kind in table["kind"]], dtype=bool)
        return list(_timed(table[(table["person"] != NARRATOR) & spoken]))


def _timed(table: pd.DataFrame) -> Iterator[Word]:
    for start, end, text in table[["start", "end", "text"]].itertuples(index=False):
        onset, offset, spoken = film_second(start, unknown=0), film_second(end, unknown=24), clean(text)
        if spoken and onset is not None and offset is not None and offset >= onset:
            yield Word(spoken, onset, offset)


def film_second(text: str, unknown: int) -> float | None:
    """Seconds of `HH:MM:SS:FF`, FF a frame of 40 ms, or `unknown` where marked with #; None for an unknown second."""
    match = TIME.fullmatch(text)
    if match is None:
        return None
    hours, minutes, seconds, frame = match.groups()
    frames = unknown if "#" in frame else int(frame)
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + frames * FRAME


def clean(text: str) -> str:
    """The spoken text, without the annotators' remarks, marks and dots of suspension."""
    if NOTE.fullmatch(text.strip()):
        return ""
    tokens = text.replace("#", "").replace("...", " ").replace("…", " ").split()
    return " ".join(token for token in tokens if any(character.isalnum() for character in token))


def spread(utterance: Word) -> list[Word]:
    """The words of an utterance, one after the other, each as long as its share of the characters."""
    texts = utterance.text.split()
    ends = np.cumsum([len(text) for text in texts]) / sum(map(len, texts))
    bounds = utterance.onset + (utterance.offset - utterance.onset) * np.concatenate([[0.0], ends])
    return [Word(text, float(a), float(b)) for text, (a, b) in zip(texts, pairwise(bounds), strict=True)]
