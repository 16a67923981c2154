"""A small transformer for characters, for every rule: attention and feed-forward blocks around a residual stream.

Vaswani et al. 2017, arXiv 1706.03762, with the norm before each branch (Xiong et al. 2020, arXiv 2002.04745):
    x + W_o attention(W_q n, W_k n, W_v n)   and   x + W_2 phi(W_1 n),   n = norm(x).
Deviations: norms without parameters and positions as fixed sinusoids, so that every weight lies in a synapse; no
dropout, so that a pass can be repeated; attention is causal, for reading on.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..datasets.errors import WrongArgument
from .architectures import initialise, nonlinearity_of
from .layer import Block, Layer
from .network import Network
from .objective import Objective
from .synapse import EmbeddingSynapse, LinearSynapse


class Attention(Block):
    """Each character gathers from those up to itself: four synapses, causal, with a skip."""

    def __init__(self, width: int, heads: int, draws: torch.Generator) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.query, self.key, self.value, self.out = (
            initialise(LinearSynapse(width, width), "identity", draws) for _ in range(4)
        )

    def forward(self, x: Float[Tensor, "batch time feature"]) -> Tensor:
        """The stream (batch time feature), with what was gathered."""
        seen = self.norm(x)
        query, key, value = (self._by_head(synapse(seen)) for synapse in (self.query, self.key, self.value))
        gathered = causal_attention(query, key, value).transpose(1, 2).flatten(2)
        found: Tensor = x + self.out(gathered)
        return found

    def _by_head(self, x: Float[Tensor, "batch time feature"]) -> Float[Tensor, "batch head time part"]:
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


def causal_attention(
    query: Float[Tensor, "*batch time part"],
    key: Float[Tensor, "*batch time part"],
    value: Float[Tensor, "*batch time part"],
) -> Float[Tensor, "*batch time part"]:
    """softmax(q k^T / sqrt(d) over the past and now) v.

    Written out: torch's fused kernels have no derivative in forward mode, which forward-gradient rules take, and some
    escape the count of operations.
    """
    n_times = query.shape[-2]
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    future = torch.ones(n_times, n_times, dtype=torch.bool, device=query.device).triu(1)
    return scores.masked_fill(future, -math.inf).softmax(-1) @ value


class FeedForward(Block):
    """Two synapses for each character on its own, with a skip."""

    def __init__(self, width: int, hidden: int, nonlinearity: str, draws: torch.Generator) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.first = initialise(LinearSynapse(width, hidden), nonlinearity, draws)
        self.nonlinearity = nonlinearity_of(nonlinearity)
        self.second = initialise(LinearSynapse(hidden, width), "identity", draws)

    def forward(self, x: Float[Tensor, "batch time feature"]) -> Tensor:
        """The stream (batch time feature), with what was computed."""
        found: Tensor = x + self.second(self.nonlinearity(self.first(self.norm(x))))
        return found


class Positions(nn.Module):
    """Brings vectors to unit variance and adds where in the text they stand: sines and cosines (section 3.5)."""

    def forward(self, x: Float[Tensor, "batch time feature"]) -> Float[Tensor, "batch time feature"]:
        n_times, width = x.shape[1:]
        place = torch.arange(n_times, device=x.device)[:, None]
        pair = torch.arange(0, width, 2, device=x.device)
        phase = place * torch.exp(-math.log(10_000) / width * pair)
        waves = torch.stack((phase.sin(), phase.cos()), -1).flatten(1)[:, :width]
        return nn.functional.layer_norm(x, (width,)) + waves.to(x)


class CharacterTransformer(Network):
    """Reads characters and says at each what comes next.

    Parameters
    ----------
    n_symbols
        Characters of the alphabet.
    length
        Characters in one example; any number passes.
    width
        Features of the stream; a multiple of `heads`.
    heads
        Of each attention block.
    depth
        Pairs of an attention and a feed-forward block.
    hidden
        Units of a feed-forward block; four times the width by default.
    nonlinearity
        Of the feed-forward blocks.
    seed
        Of the weights.

    Raises `WrongArgument` for a width that the heads cannot share.
    """

    def __init__(
        self,
        n_symbols: int = 65,
        length: int = 128,
        width: int = 128,
        heads: int = 4,
        depth: int = 3,
        hidden: int | None = None,
        nonlinearity: str = "gelu",
        objective: Objective | None = None,
        seed: int = 0,
    ) -> None:
        if width % heads:
            raise WrongArgument(f"width {width} for {heads} heads", "network", "Give a multiple of the heads.")
        draws = torch.Generator().manual_seed(seed)
        symbols = initialise(EmbeddingSynapse(n_symbols, width), "identity", draws)
        layers = [Layer(symbols, after=Positions())]
        for _ in range(depth):
            layers.append(Attention(width, heads, draws))
            layers.append(FeedForward(width, hidden or 4 * width, nonlinearity, draws))
        readout = initialise(LinearSynapse(width, n_symbols), "identity", draws)
        layers.append(Layer(readout, before=nn.LayerNorm(width, elementwise_affine=False)))
        super().__init__(layers, (length,), objective)
