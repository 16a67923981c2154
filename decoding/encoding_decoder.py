"""The second decoder: encoding models of its people, their speech rates and a language model of words, on disk.

RUN/model.json names what it was fitted on and the sha256 of every other file; RUN/people/NAME holds a person's encoding
model, RUN/language_model the n-grams. Nothing is pickled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import torch

from ..datasets.errors import BrokenData, MissingData, WrongArgument
from ..datasets.windows import WindowShape
from .causal_words import CausalWords
from .encoding_features import VectorSource
from .encoding_files import load_encoding_model, save_encoding_model
from .encoding_model import FittedEncodingModel
from .language_model import read_model, understood, write_model
from .speech_rate import SpeechRate
from .trained import Split
from .word_beam import WordBeam
from .word_ngrams import Proposer, WordNgrams
from .word_vectors import WordVectors

FORM = "plasticode encoding decoder 1"
WORDS_FORM = "plasticode word language model 1"
PEOPLE, LANGUAGE = "people", "language_model"


@dataclass(frozen=True, eq=False)
class Person:
    """What was fitted on one person's training recordings; the speech rate reads the encoding model's channels."""

    encoding: FittedEncodingModel
    rate: SpeechRate


@dataclass(frozen=True, eq=False)
class EncodingDecoder:
    """Reads and writes by encoding models.

    Parameters
    ----------
    people
        By name.
    language
        What proposes words; `sources` are the documents and `language_stories` the "study/story" that it read.
    beam
        How text is written, where nobody says otherwise.
    repetition_time
        s.
    letters
        Characters that a word has, with its blank, in training.
    """

    people: Mapping[str, Person]
    language: Proposer
    beam: WordBeam
    window: WindowShape
    split: Split
    repetition_time: float
    letters: float
    sources: tuple[str, ...] = ()
    language_stories: tuple[str, ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def subjects(self) -> tuple[str, ...]:
        """People that it can read."""
        return tuple(self.people)

    @property
    def carries_over(self) -> bool:
        """Whether it reads people whom it was not fitted on: weights belong to a person's own channels."""
        return False

    @property
    def vectors(self) -> WordVectors:
        """Word vectors, by which texts are compared; those of all people are the same."""
        bands = next(iter(self.people.values())).encoding.features.bands
        return next(band.source.vectors for band in bands if isinstance(band.source, VectorSource))

    def save(self, folder: Path) -> None:
        """Write all files, RUN/model.json last."""
        (folder / "model.json").unlink(missing_ok=True)
        read = {"sources": list(self.sources), "stories": list(self.language_stories)}
        _save_language(self.language, folder / LANGUAGE, read)
        for name, person in self.people.items():
            save_encoding_model(person.encoding, folder / _place(name))
        rates = {name: torch.from_numpy(person.rate.weights) for name, person in self.people.items()}
        record = {
            "format": FORM,
            "subjects": {name: person.rate.mean for name, person in self.people.items()},
            "parts": {part: _sha256(folder / part) for part in self._parts()},
            "beam": asdict(self.beam),
            "window": asdict(self.window),
            "split": asdict(self.split),
            "repetition_time": self.repetition_time,
            "letters": self.letters,
            "language_stories": list(self.language_stories),
            "notes": dict(self.notes),
        }
        write_model(folder, rates, record)

    @classmethod
    def load(cls, folder: Path) -> EncodingDecoder:
        """Read it back; raises `MissingData` or `BrokenData` naming the folder or the file that is not its own."""
        with understood(folder):
            rates, about = read_model(folder, FORM)
            for part, known in about["parts"].items():
                if not (folder / part).is_file():
                    raise MissingData("a part of the decoder is not there", folder / part, "Copy the whole run folder.")
                if _sha256(folder / part) != known:
                    raise BrokenData("not the file that the run wrote", folder / part, "Copy the run folder again.")
            language, words = _load_language(folder / LANGUAGE)
            people = {
                name: Person(load_encoding_model(folder / _place(name)), SpeechRate(rates[name].numpy(), mean))
                for name, mean in about["subjects"].items()
            }
            return cls(
                people,
                language,
                WordBeam(**about["beam"]),
                WindowShape(**about["window"]),
                Split.of(about["split"]),
                about["repetition_time"],
                about["letters"],
                tuple(words["sources"]),
                tuple(words["stories"]),
                about["notes"],
            )

    def _parts(self) -> list[str]:
        folders = [LANGUAGE, *(_place(name) for name in self.people)]
        return [f"{folder}/{file}" for folder in folders for file in ("model.json", "model.safetensors")]


def _place(name: str) -> str:
    """A person's folder; no name leads out of the run."""
    return f"{PEOPLE}/{quote(name, safe=' ').replace('.', '%2E')}"


def _save_language(language: Proposer, folder: Path, read: Mapping[str, Any]) -> None:
    """Counts as they are; of a model of Hugging Face its name and which of its pieces are words."""
    about = {"format": WORDS_FORM, **read, "vocabulary": list(language.vocabulary)}
    if isinstance(language, CausalWords):
        arrays = {"pieces": language.pieces}
        about |= {"model": language.model, "sha256": language.fingerprint, "words": language.words}
    elif isinstance(language, WordNgrams):
        arrays = language.arrays()
    else:
        raise WrongArgument(f"{type(language).__name__} cannot be kept", folder, "Give n-grams or a causal model.")
    write_model(folder, {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in arrays.items()}, about)


def _load_language(folder: Path) -> tuple[Proposer, dict[str, Any]]:
    tensors, about = read_model(folder, WORDS_FORM)
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    if "model" not in about:
        return WordNgrams.of(about["vocabulary"], arrays), about
    language = CausalWords(about["model"], about["vocabulary"], arrays["pieces"], about["words"])
    language.require(about["sha256"])
    return language, about


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
