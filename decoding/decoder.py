"""The character decoder: a causal transformer that may look at brain latents through gates.

Each block is self-attention over the characters written so far (rotary positions: Su et al. 2021, arXiv 2104.09864),
cross-attention to the latents behind a tanh gate that starts shut (Alayrac et al. 2022, Flamingo, arXiv 2204.14198),
and a feed-forward layer. With the gates shut, or without latents, it is a plain language model, to the last bit.

Cross-attention knows about time: the text-rate model expects the words of row t around character `centre[t]`, and
every head prefers rows whose centre is near the character being written, with a learned width in characters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

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


@dataclass(eq=False)
class Cache:
    """Keys and values of the characters already written, per block, and of the latents."""

    length: int = 0
    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)
    memory: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def select(self, rows: Int[Tensor, " batch"]) -> None:
        """Keep the given hypotheses, in that order; their latents must be the same as before."""
        self.keys = [key[rows] for key in self.keys]
        self.values = [value[rows] for value in self.values]


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
        self.embed = nn.Embedding(n_symbols, width)
        self.blocks = nn.ModuleList(Block(width, heads, n_latent, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        nn.init.normal_(self.embed.weight, std=0.02)

    def forward(
        self, ids: Int[Tensor, "batch character"], memory: Memory | None = None, cache: Cache | None = None
    ) -> Float[Tensor, "batch character symbol"]:
        """Logits after each character; with a cache, `ids` are only the characters not yet in it."""
        start = cache.length if cache is not None else 0
        positions = torch.arange(start, start + ids.shape[1], device=ids.device)
        x = self.embed(ids)
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
        self, x: Tensor, positions: Int[Tensor, " character"], memory: Memory | None, cache: Cache | None, index: int
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

    def forward(self, x: Tensor, positions: Int[Tensor, " character"], cache: Cache | None, index: int) -> Tensor:
        query, key, value = (_heads(part, self.heads) for part in self.project(self.norm(x)).chunk(3, dim=-1))
        query, key = rotate(query, positions), rotate(key, positions)
        whole = cache is None or cache.length == 0
        if cache is not None:
            key, value = _remember(cache, index, key, value)
        # One new character may see everything that is cached; a first stretch of several is masked causally.
        mixed = scaled_dot_product_attention(query, key, value, is_causal=whole and x.shape[1] > 1)
        out: Tensor = self.dropout(self.out(mixed.transpose(1, 2).flatten(2)))
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

    def forward(
        self, x: Tensor, positions: Int[Tensor, " character"], memory: Memory, cache: Cache | None, index: int
    ) -> Tensor:
        key, value = self._keys(memory, cache, index)
        query = _heads(self.query(self.norm(x)), self.heads)
        distance = positions[None, None, :, None] - memory.centre[:, None, None, :]
        nearness = -0.5 * (distance / self.log_width.exp()[None, :, None, None]) ** 2
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


def rotate(x: Float[Tensor, "batch head character feature"], positions: Int[Tensor, " character"]) -> Tensor:
    """Rotary positions: pairs of features turned by position * 10000^(-2i/d), so products depend on distance only."""
    half = x.shape[-1] // 2
    rate = 10_000.0 ** (-torch.arange(half, device=x.device, dtype=torch.float32) / half)
    angle = positions[:, None].float() * rate
    cosine, sine = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    first, second = x[..., :half], x[..., half:]
    return torch.cat((first * cosine - second * sine, first * sine + second * cosine), dim=-1)


def _heads(x: Tensor, heads: int) -> Tensor:
    return x.view(*x.shape[:-1], heads, x.shape[-1] // heads).transpose(1, 2)


def _remember(cache: Cache, index: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    if len(cache.keys) <= index:
        cache.keys.append(key)
        cache.values.append(value)
    else:
        cache.keys[index] = torch.cat((cache.keys[index], key), dim=2)
        cache.values[index] = torch.cat((cache.values[index], value), dim=2)
    return cache.keys[index], cache.values[index]
