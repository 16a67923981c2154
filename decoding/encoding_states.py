"""What a language model makes of a word and the few words before it: hidden states as a band of encoding features.

Tang et al. 2023 take layer 9 of a GPT with five words of context. Here any model of Hugging Face by local folder or by
the name of one already in the cache: nothing is downloaded, no code of a model is run, weights are read from
safetensors only. "minilm" is the packaged sentence model. A model that looks both ways (BERT, MiniLM) is shown the
words of a row and `words` words before it, never what comes after; each word of a row has the mean over the pieces of
the row in one layer. States take minutes and depend on the text alone: they are kept on disk (float16), named by a hash
of text, model and settings.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ..datasets.errors import WrongArgument
from ..datasets.prepare import default_cache
from ..datasets.whole_file import whole_file
from .encoding_features import Rows
from .hugging_face import fingerprint, load_states
from .semantic import MINILM

BATCH = 64  # rows at once, of nearly the same length


@dataclass(frozen=True, eq=False)
class StateSource:
    """Hidden states of a language model, one per word.

    Parameters
    ----------
    model
        "minilm", a local folder, or a name in the Hugging Face cache.
    words
        Words of context before those of a row.
    layer
        Which layer's states, from 1 on. Layers above it are not loaded; a network that normalises its last layer's
        states (GPT-2) does so here.
    folder
        Where states are kept.
    """

    model: str = MINILM
    words: int = 20
    layer: int = 3
    folder: Path = field(default_factory=lambda: default_cache() / "text_states")

    def __post_init__(self) -> None:
        if self.words < 0 or self.layer < 1:
            raise WrongArgument(
                f"{self.words} words of context, layer {self.layer}",
                "encoding states",
                "Give 0 words or more, and a layer from 1 on.",
            )

    @cached_property
    def n_features(self) -> int:
        return int(load_states(self.model, self.layer)[1].config.hidden_size)

    def __call__(self, rows: Rows) -> Float32[np.ndarray, "word feature"]:
        """From the disk where they are, else computed and kept; a broken file is made again."""
        path = self.folder / f"{self._name(rows)}.safetensors"
        try:
            kept = load_file(path)["states"]
        except (OSError, SafetensorError, KeyError):
            kept = self.compute(rows).astype(np.float16)
            with whole_file(path) as draft:
                save_file({"states": kept}, draft)
        return kept.astype(np.float32)

    def compute(self, rows: Rows) -> Float32[np.ndarray, "word feature"]:
        """States of all words of a text, rows of like length together."""
        shown, first = _with_context(rows, self.words)
        spoken = [i for i in range(len(rows)) if rows[i]]
        order = sorted(spoken, key=lambda i: (sum(map(len, shown[i])), i))
        means = np.zeros((len(rows), self.n_features), np.float32)
        for start in range(0, len(order), BATCH):
            part = order[start : start + BATCH]
            means[part] = self._means([shown[i] for i in part], [first[i] for i in part])
        return np.repeat(means, [len(row) for row in rows], axis=0)

    @torch.inference_mode()
    def _means(self, texts: Sequence[Sequence[str]], first: Sequence[int]) -> Float32[np.ndarray, "text feature"]:
        """Mean over the pieces of the words from `first` on; 0 where the tokenizer passes over all of them."""
        tokenizer, network = load_states(self.model, self.layer)
        pieces = tokenizer([list(text) for text in texts], is_split_into_words=True, return_tensors="pt", padding=True)
        states = network(**pieces).last_hidden_state.float()
        own = [[word is not None and word >= n for word in pieces.word_ids(i)] for i, n in enumerate(first)]
        weight = torch.tensor(own).float()[..., None]
        means: np.ndarray = ((states * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)).numpy()
        return means

    def _name(self, rows: Rows) -> str:
        about = [self.model, fingerprint(self.model), self.words, self.layer, [list(row) for row in rows]]
        return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:32]


def _with_context(rows: Rows, words: int) -> tuple[list[list[str]], list[int]]:
    """Each row's words after those before it, and how many those are."""
    spoken: list[str] = []
    shown, first = [], []
    for row in rows:
        before = spoken[max(0, len(spoken) - words) :] if words else []
        shown.append([*before, *row])
        first.append(len(before))
        spoken += row
    return shown, first
