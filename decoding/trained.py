"""A trained brain model on disk: `model.safetensors` + `model.json`, enough to decode on another machine.

The description names every (subject, story) that was trained on, so that nobody scores them by accident.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..datasets.windows import WindowShape
from .characters import Characters
from .decoder import CharDecoder
from .language_model import DecoderSize, load_weights, read_model, understood, write_model
from .network import BrainToTextNetwork, DataFacts, NetworkSize
from .text_features import TextFeatures
from .word_vectors import WordVectors

FORM = "plasticode brain model 1"


@dataclass(frozen=True)
class Split:
    """(subject, story) pairs by what they were used for; `test` are those held out by name.

    `options` are those of the study's reader. `fitted` says for each thing that was fitted on which pairs, or in words
    why on none (see `split_audit_scopes`). `rows` says which rows of which acquisition a recording is, where one was
    cut in time: {"train" or "test": {"subject/story": [acquisition, first row, row after the last]}}.
    """

    study: str
    train: tuple[tuple[str, str], ...]
    validation: tuple[tuple[str, str], ...] = ()
    test: tuple[tuple[str, str], ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    fitted: Mapping[str, Any] = field(default_factory=dict)
    rows: Mapping[str, Any] = field(default_factory=dict)

    def trained_stories(self, subject: str | None = None) -> set[str]:
        """Stories that were trained on, by anybody or by one person."""
        return {story for person, story in self.train if subject in (None, person)}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Split:
        parts: dict[str, Any] = {
            name: tuple((s, t) for s, t in record[name]) for name in ("train", "validation", "test")
        }
        further = {name: record.get(name, {}) for name in ("options", "fitted", "rows")}
        return cls(record["study"], **parts, **further)


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """Network, alphabet and text features, and what they were trained on."""

    network: BrainToTextNetwork
    decoder_size: DecoderSize
    characters: Characters
    features: TextFeatures
    window: WindowShape
    split: Split
    language_stories: tuple[str, ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def subjects(self) -> tuple[str, ...]:
        """People whom it was trained on."""
        return self.network.facts.subjects

    @property
    def carries_over(self) -> bool:
        """Whether it reads people whom it was not trained on: those whose voxels lie on its grid."""
        return self.network.facts.grid is not None

    @property
    def vectors(self) -> WordVectors:
        """Word vectors, by which texts are compared."""
        return self.features.vectors

    def save(self, folder: Path) -> None:
        """Write both files atomically."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors["word_vectors"] = torch.from_numpy(self.features.vectors.table)
        tensors["text_mean"] = torch.from_numpy(self.features.mean)
        tensors["text_scale"] = torch.from_numpy(self.features.scale)
        about = {
            "format": FORM,
            "facts": asdict(self.network.facts),
            "size": asdict(self.network.size),
            "decoder": asdict(self.decoder_size),
            "symbols": self.characters.symbols,
            "window": asdict(self.window),
            "split": asdict(self.split),
            "language_stories": list(self.language_stories),
            "parameters": sum(parameter.numel() for parameter in self.network.parameters()),
            "notes": dict(self.notes),
            "vocabulary": self.features.vectors.vocabulary,
        }
        write_model(folder, tensors, about)

    @classmethod
    def load(cls, folder: Path) -> TrainedModel:
        """Read it back, in evaluation mode; raises `MissingData` or `BrokenData` naming the folder."""
        with understood(folder):
            tensors, about = read_model(folder, FORM)
            characters, decoder_size = Characters(about["symbols"]), DecoderSize(**about["decoder"])
            vectors = WordVectors(about["vocabulary"], _array(tensors.pop("word_vectors")))
            features = TextFeatures(vectors, _array(tensors.pop("text_mean")), _array(tensors.pop("text_scale")))
            decoder = CharDecoder(len(characters), **about["decoder"])
            size = NetworkSize(**about["size"])
            network = BrainToTextNetwork(_facts(about["facts"]), size, decoder, decoder_size.n_latent)
            load_weights(network, {name.removeprefix("network."): value for name, value in tensors.items()}, folder)
            return cls(
                network.eval(),
                decoder_size,
                characters,
                features,
                WindowShape(**about["window"]),
                Split.of(about["split"]),
                tuple(about["language_stories"]),
                about["notes"],
            )


def _facts(record: dict[str, Any]) -> DataFacts:
    tuples = {name: tuple(record[name]) if record[name] is not None else None for name in ("subjects", "grid")}
    if record.get("affine") is not None:
        tuples["affine"] = tuple(map(tuple, record["affine"]))
    return DataFacts(**{**record, **tuples, "mean_counts": tuple(record["mean_counts"])})


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.numpy().astype(np.float32)
