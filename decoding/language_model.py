"""The pre-trained half of the decoder on disk: character transformer, alphabet, word vectors, and what they read.

Two files in a folder: `model.safetensors` (numbers) and `model.json` (everything else). No pickle, so a language
model can be taken from a stranger. `stories` names the transcripts it read, so that they can never be scored.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..datasets.errors import BrokenData, MissingData, WrongArgument
from ..datasets.whole_file import whole_file, write_text
from .characters import Characters
from .decoder import CharDecoder
from .word_vectors import WordVectors


@dataclass(frozen=True)
class DecoderSize:
    """Size of the character transformer."""

    width: int = 192
    layers: int = 4
    heads: int = 6
    n_latent: int = 64
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if min(self.heads, self.layers, self.n_latent) < 1 or self.width < 1 or self.width % (2 * self.heads):
            raise WrongArgument(
                f"width {self.width}, {self.heads} heads, {self.layers} layers, {self.n_latent} latent features",
                "model.size",
                "Give at least one of each, and as width a multiple of twice the heads.",
            )
        if not 0 <= self.dropout < 1:
            raise WrongArgument(f"dropout {self.dropout}", "model.size", "Give a share from 0 to below 1.")


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """What pre-training gives to the brain model. `sources` are document names, `stories` "study/story"."""

    decoder: CharDecoder
    size: DecoderSize
    characters: Characters
    vectors: WordVectors
    sources: tuple[str, ...] = ()
    stories: tuple[str, ...] = ()

    def save(self, folder: Path) -> None:
        """Write both files, the JSON last: a folder with a model.json is complete."""
        tensors = {f"decoder.{name}": value for name, value in self.decoder.state_dict().items()}
        tensors["word_vectors"] = torch.from_numpy(self.vectors.table)
        about = {
            "format": "plasticode language model 1",
            "size": asdict(self.size),
            "symbols": self.characters.symbols,
            "vocabulary": self.vectors.vocabulary,
            "sources": list(self.sources),
            "stories": list(self.stories),
        }
        write_model(folder, tensors, about)

    @classmethod
    def load(cls, folder: Path) -> LanguageModel:
        """Read it back; raises `MissingData` or `BrokenData` naming the folder."""
        with understood(folder):
            tensors, about = read_model(folder, "plasticode language model 1")
            characters, size = Characters(about["symbols"]), DecoderSize(**about["size"])
            decoder = CharDecoder(len(characters), **about["size"])
            vectors = WordVectors(about["vocabulary"], tensors.pop("word_vectors").numpy().astype(np.float32))
            load_weights(decoder, {name.removeprefix("decoder."): value for name, value in tensors.items()}, folder)
            return cls(decoder, size, characters, vectors, tuple(about["sources"]), tuple(about["stories"]))


def write_model(folder: Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """model.safetensors and model.json, each written whole under a temporary name first."""
    # Until the new description is there the folder holds no finished model: two models are never mixed.
    (folder / "model.json").unlink(missing_ok=True)
    with whole_file(folder / "model.safetensors") as draft:
        save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, draft)
    write_text(folder / "model.json", json.dumps(about, ensure_ascii=False, indent=1))


def read_model(folder: Path, form: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and description of a folder that holds the given form of model."""
    if not (folder / "model.json").is_file():
        raise MissingData("no finished model (model.json)", folder, "Give a run folder, or resume the run to its end.")
    try:
        about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        tensors = load_file(folder / "model.safetensors")
    except (OSError, ValueError, SafetensorError) as error:
        raise BrokenData(f"model cannot be read: {error}", folder, "Export it again from its checkpoint.") from error
    if about.get("format") != form:
        raise BrokenData(
            f"holds a {about.get('format', 'model of unknown form')!r}, not a {form!r}", folder, "Give another folder."
        )
    return tensors, about


def form_of(folder: Path) -> str:
    """Which form of model a folder says that it holds; "" where it says nothing."""
    try:
        about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(about.get("format", "")) if isinstance(about, dict) else ""


@contextmanager
def understood(folder: Path) -> Iterator[None]:
    """Turn a description that lacks or contradicts what the model needs into one `BrokenData`."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BrokenData(
            f"model.json and the weights do not describe a model: {error}",
            folder,
            "Export it again from its checkpoint.",
        ) from error


def load_weights(module: torch.nn.Module, tensors: dict[str, Tensor], where: Path) -> None:
    """Load all weights or raise `BrokenData`: a checkpoint of another model is named, not half-loaded."""
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise BrokenData(f"weights are of another model: {first}", where, "Use the folder's own model.json.") from error
