"""The character decoder: a causal transformer that may look at brain latents through gates.

Each block is self-attention over the characters written so far (rotary positions: Su et al. 2021, arXiv 2104.09864),
cross-attention to the latents behind a tanh gate that starts shut (Alayrac et al. 2022, Flamingo, arXiv 2204.14198),
and a feed-forward layer. With the gates shut, or without latents, it is a plain language model, to the last bit.

Cross-attention knows about time: the text-rate model expects the words of row t around character `centre[t]`, and
every head prefers rows whose centre is near the character being written, with a learned width in characters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


@dataclass(frozen=True, eq=False)
class Memory:
    """Brain latents that a text is written from, and around which character each row is expected."""

    latent: Float[Tensor, "batch time feature"]
    centre: Float[Tensor, "batch time"]

    def repeat(self, times: int) -> Memory:
        """Every window `times` times in a row, for hypotheses."""
        return Memory(self.latent.repeat_interleave(times, 0), self.centre.repeat_interleave(times, 0))


@dataclass(frozen=True, eq=False)
class Positions:
    """What every block needs to know about where the new characters stand; the same for all of them."""

    turn: tuple[Tensor, Tensor]
    squared_distance: Float[Tensor, "batch 1 character time"] | None

    @classmethod
    def after(cls, start: int, n_characters: int, head_width: int, memory: Memory | None, like: Tensor) -> Positions:
        """Of `n_characters` that follow `start` others; `like` gives device and type."""
        places = torch.arange(start, start + n_characters, device=like.device)
        squared = None if memory is None else (places[None, None, :, None] - memory.centre[:, None, None, :]) ** 2
        return cls(turns(places, head_width, like.dtype), squared)


class Cache:
    """Keys and values of the characters already written, per block, and what each block made of the latents.

    Parameters
    ----------
    capacity
        The most characters that will be written; room for them is taken once.
    """

    def __init__(self, capacity: int) -> None:
        self.length, self.capacity = 0, capacity
        self.written: list[Float[Tensor, "2 batch head character feature"]] = []
        self.memory: list[tuple[Tensor, Tensor]] = []

    def remember(self, index: int, keys_and_values: Float[Tensor, "2 batch head character feature"]) -> Tensor:
        """Add the new characters' to those of a block; returns all of them."""
        stop = self.length + keys_and_values.shape[3]
        if len(self.written) <= index:
            shape = (*keys_and_values.shape[:3], self.capacity, keys_and_values.shape[4])
            self.written.append(keys_and_values.new_empty(shape))
        self.written[index][:, :, :, self.length : stop] = keys_and_values
        return self.written[index][:, :, :, :stop]

    def select(self, rows: Int[Tensor, " batch"]) -> None:
        """Keep the given hypotheses, in that order; their latents must be the same as before."""
        # Most hypotheses go on from themselves: only the others are copied.
        moved = (rows != torch.arange(len(rows), device=rows.device)).nonzero().flatten()
        if len(moved):
            for block in self.written:
                block[:, moved, :, : self.length] = block[:, rows[moved], :, : self.length]


class CharDecoder(nn.Module):
    """Characters in, logits of the next character out.

    Parameters
    ----------
    n_symbols
        Ids of the alphabet, the beginning included.
    width, layers, heads
        Size of the transformer.
    n_latent
        Features of the brain latents.
    dropout
        On attention outputs and feed-forward layers.
    """

    def __init__(
        self,
        n_symbols: int,
        width: int = 192,
        layers: int = 4,
        heads: int = 6,
        n_latent: int = 64,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if width % (2 * heads):
            raise ValueError(f"width {width} is not a multiple of twice the {heads} heads, as rotary positions need")
        self.head_width = width // heads
        self.embed = nn.Embedding(n_symbols, width)
        self.blocks = nn.ModuleList(Block(width, heads, n_latent, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        nn.init.normal_(self.embed.weight, std=0.02)

    def forward(
        self, ids: Int[Tensor, "batch character"], memory: Memory | None = None, cache: Cache | None = None
    ) -> Float[Tensor, "batch character symbol"]:
        """Logits after each character; with a cache, `ids` are only the characters not yet in it."""
        start = cache.length if cache is not None else 0
        x = self.embed(ids)
        positions = Positions.after(start, ids.shape[1], self.head_width, memory, x)
        for i, block in enumerate(self.blocks):
            x = block(x, positions, memory, cache, i)
        if cache is not None:
            cache.length = start + ids.shape[1]
        # The output shares the embedding's weights: a third fewer parameters at this size.
        logits: Tensor = self.norm(x) @ self.embed.weight.T
        return logits

    def language_parameters(self) -> list[nn.Parameter]:
        """What the language model alone uses."""
        return [parameter for name, parameter in self.named_parameters() if ".brain." not in name]

    def brain_parameters(self) -> list[nn.Parameter]:
        """What only cross-attention uses."""
        return [parameter for name, parameter in self.named_parameters() if ".brain." in name]


class Block(nn.Module):
    """One layer: self-attention, cross-attention to the latents where there are any, feed-forward; normed first."""

    def __init__(self, width: int, heads: int, n_latent: int, dropout: float) -> None:
        super().__init__()
        self.attention = SelfAttention(width, heads, dropout)
        self.brain = GatedCrossAttention(width, heads, n_latent)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
            nn.Dropout(dropout),
        )

    def forward(
        self, x: Tensor, positions: Positions, memory: Memory | None, cache: Cache | None, index: int
    ) -> Tensor:
        x = x + self.attention(x, positions, cache, index)
        if memory is not None:
            x = x + self.brain(x, positions, memory, cache, index)
        out: Tensor = x + self.feed_forward(x)
        return out


class SelfAttention(nn.Module):
    """Causal attention to the characters so far, with rotary positions."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, positions: Positions, cache: Cache | None, index: int) -> Tensor:
        # (3 batch head character feature): queries, keys and values.
        mixed = self.project(self.norm(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        turned, value = rotate(mixed[:2], positions.turn), mixed[2:]
        query, key = turned
        whole = cache is None or cache.length == 0
        if cache is not None:
            key, value = cache.remember(index, torch.cat((turned[1:], value)))
        else:
            value = value[0]
        # One new character may see everything that is cached; a first stretch of several is masked causally.
        seen = scaled_dot_product_attention(query, key, value, is_causal=whole and x.shape[1] > 1)
        out: Tensor = self.dropout(self.out(seen.transpose(1, 2).flatten(2)))
        return out


class GatedCrossAttention(nn.Module):
    """Attention to the latents, nearest to where each row's text is expected; with the gate shut it adds nothing."""

    def __init__(self, width: int, heads: int, n_latent: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width, bias=False)
        self.memory = nn.Linear(n_latent, 2 * width)
        self.out = nn.Linear(width, width, bias=False)
        self.gate = nn.Parameter(torch.zeros(()))
        # Widths in characters from one row (about 25 characters) to the whole window.
        self.log_width = nn.Parameter(torch.linspace(math.log(12.0), math.log(200.0), heads))

    def forward(self, x: Tensor, positions: Positions, memory: Memory, cache: Cache | None, index: int) -> Tensor:
        key, value = self._keys(memory, cache, index)
        query = _heads(self.query(self.norm(x)), self.heads)
        assert positions.squared_distance is not None  # there are latents
        nearness = positions.squared_distance * (-0.5 * torch.exp(-2 * self.log_width))[:, None, None]
        mixed = scaled_dot_product_attention(query, key, value, attn_mask=nearness.to(query.dtype))
        out: Tensor = torch.tanh(self.gate) * self.out(mixed.transpose(1, 2).flatten(2))
        return out

    def _keys(self, memory: Memory, cache: Cache | None, index: int) -> tuple[Tensor, Tensor]:
        if cache is not None and len(cache.memory) > index:
            return cache.memory[index]
        key, value = (_heads(part, self.heads) for part in self.memory(memory.latent).chunk(2, dim=-1))
        if cache is not None:
            cache.memory.append((key, value))
        return key, value


def turns(places: Int[Tensor, " character"], head_width: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosines and signed sines (character feature) by which pairs of features are turned at each place.

    The angle of pair i of d / 2 is place * 10000^(-2i/d).
    """
    half = head_width // 2
    rate = 10_000.0 ** (-torch.arange(half, device=places.device, dtype=torch.float32) / half)
    angle = places[:, None].float() * rate
    cosine, sine = angle.cos(), angle.sin()
    return torch.cat((cosine, cosine), dim=-1).to(dtype), torch.cat((-sine, sine), dim=-1).to(dtype)


def rotate(x: Float[Tensor, "*any character feature"], turn: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary positions: feature i and feature i + d/2 turned as a pair, so products depend on distance only."""
    cosine, sine = turn
    return x * cosine + x.roll(x.shape[-1] // 2, -1) * sine


def _heads(x: Tensor, heads: int) -> Tensor:
    return x.view(*x.shape[:-1], heads, x.shape[-1] // heads).transpose(1, 2)
