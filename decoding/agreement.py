"""How well the text written so far agrees with the latent, for all hypotheses at once and while they grow.

Every finished word adds its word vector to the row in which the text-rate model expects it; the rows so far are
embedded as training embeds the true text and compared with the latent. Words are found by a polynomial hash of
their characters, so that no hypothesis passes through a Python string.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .characters import Characters
from .decoder import Memory
from .text_features import N_COUNTS, TextEmbedding, TextFeatures

BASE = 1_000_003  # of the hash; int64 wraps around, which is as good as any modulus


class Vocabulary:
    """From the hash of a word to its row in the table of word vectors; the last row is the zero of unknown words."""

    def __init__(self, features: TextFeatures, characters: Characters) -> None:
        words = features.vectors.vocabulary
        encoded = [characters.encode(word) for word in words]
        hashes = torch.tensor([_hash(ids) for ids in encoded], dtype=torch.long)
        self.sorted, self.order = hashes.sort()
        table = torch.from_numpy(features.vectors.table)
        self.table = torch.cat((table, table.new_zeros(1, table.shape[1])))

    def __call__(self, hashes: Int[Tensor, "*row"]) -> Float[Tensor, "*row feature"]:
        place = torch.searchsorted(self.sorted, hashes).clamp(max=len(self.sorted) - 1)
        known = self.sorted[place] == hashes
        return self.table[torch.where(known, self.order[place], len(self.order))]


class Agreement:
    """Judges hypotheses of windows whose latents are known.

    Parameters
    ----------
    latent, memory
        Latents (window time feature) and the expected centre of each row in characters.
    embedding, features
        The trained text embedding and the text features that it reads.
    vocabulary, space
        Word hashes, and the id of the space.
    """

    def __init__(
        self, memory: Memory, embedding: TextEmbedding, features: TextFeatures, vocabulary: Vocabulary, space: int
    ) -> None:
        self.memory, self.embedding, self.features = memory, embedding, features
        self.vocabulary, self.space = vocabulary, space
        self.mean, self.scale = torch.from_numpy(features.mean), torch.from_numpy(features.scale)

    def part(self, windows: slice) -> Agreement:
        """The same for some of the windows."""
        memory = Memory(self.memory.latent[windows], self.memory.centre[windows])
        return Agreement(memory, self.embedding, self.features, self.vocabulary, self.space)

    def begin(self, hypotheses: int) -> Agreement:
        """Empty texts, `hypotheses` per window."""
        windows, time = self.memory.centre.shape
        shape = (windows, hypotheses)
        self.raw = torch.zeros(*shape, time, self.features.n_features)
        self.hash = torch.zeros(shape, dtype=torch.long)
        self.written, self.begun = torch.zeros(shape), torch.zeros(shape)
        self.score = torch.zeros(shape)
        return self

    def select(self, parents: Int[Tensor, "window hypothesis"]) -> None:
        """Keep these hypotheses of each window."""
        window = torch.arange(len(parents))[:, None]
        self.raw, self.hash = self.raw[window, parents], self.hash[window, parents]
        self.written, self.begun = self.written[window, parents], self.begun[window, parents]
        self.score = self.score[window, parents]

    def hear(self, ids: Int[Tensor, "window hypothesis"]) -> Float[Tensor, "window hypothesis"]:
        """One more character each; returns the similarity of the finished words to the latent."""
        ends = (ids == self.space) & (self.hash != 0)
        if bool(ends.any()):
            self._add(ends)
            self.score = torch.where(ends, self._similarity(), self.score)
        self.written = self.written + 1
        letter = ids != self.space
        self.begun = torch.where(letter & (self.hash == 0), self.written - 1, self.begun)
        self.hash = torch.where(letter, self.hash * BASE + ids, 0)
        return self.score

    def _add(self, ends: Tensor) -> None:
        row = (self.begun[..., None] - self.memory.centre[:, None]).abs().argmin(dim=-1)
        length = self.written - self.begun + 1
        word = torch.cat((self.vocabulary(self.hash), torch.ones_like(length)[..., None], length[..., None]), dim=-1)
        assert word.shape[-1] == self.vocabulary.table.shape[1] + N_COUNTS
        place = row[..., None, None].expand(*row.shape, 1, word.shape[-1])
        self.raw.scatter_add_(2, place, (word * ends[..., None])[:, :, None])

    def _similarity(self) -> Float[Tensor, "window hypothesis"]:
        """Cosine over the rows that the text has reached."""
        windows, hypotheses, time, _ = self.raw.shape
        standard = (self.raw - self.mean) / self.scale
        embedded = self.embedding(standard.flatten(0, 1)).view(windows, hypotheses, time, -1)
        reached = (self.memory.centre[:, None] <= self.written[..., None])[..., None]
        reached[:, :, 0] = True
        latent = self.memory.latent[:, None] * reached
        return torch.nn.functional.cosine_similarity((embedded * reached).flatten(2), latent.flatten(2), dim=-1)


def _hash(ids: list[int]) -> int:
    value = 0
    for i in ids:
        value = (value * BASE + i) % 2**64
    return value - 2**64 if value >= 2**63 else value
