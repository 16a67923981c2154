"""A recurrent network for characters, for every rule: h_t = tanh(W x_t + b + U h_{t-1}), h_0 = 0.

Elman 1990, doi:10.1207/s15516709cog1402_1. A rule sees the recurrence over the whole sequence as one layer: inside, an
error goes back through time, at each step through U or through the feedback weight in its place. To cut that way is a
matter for a rule of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .architectures import initialise
from .layer import Block, Layer
from .network import Network
from .objective import Objective
from .synapse import EmbeddingSynapse, LinearSynapse


class Recurrence(Block):
    """Units that hear the layer below and themselves a step ago.

    Weights of gain 1: with the 5/3 of feed-forward tanh layers the recurrence is chaotic (Sompolinsky, Crisanti &
    Sommers 1988, doi:10.1103/PhysRevLett.61.259).
    """

    def __init__(self, n_inputs: int, n_units: int, draws: torch.Generator) -> None:
        super().__init__()
        self.input = initialise(LinearSynapse(n_inputs, n_units), "identity", draws)
        self.recurrent = initialise(LinearSynapse(n_units, n_units, bias=False), "identity", draws)

    def forward(self, x: Float[Tensor, "batch time feature"]) -> Tensor:
        """States (batch time unit)."""
        drives = self.input(x)
        state = torch.zeros_like(drives[:, 0])
        states = []
        for drive in drives.unbind(1):
            state = torch.tanh(drive + self.recurrent(state))
            states.append(state)
        return torch.stack(states, 1)


class RecurrentNetwork(Network):
    """Characters to vectors of unit variance, recurrent layers, and a readout of the next character at each step.

    Parameters
    ----------
    n_symbols
        Characters of the alphabet.
    length
        Characters in one example; any number passes.
    embedding
        Features of a character.
    widths
        Units of the recurrent layers.
    seed
        Of the weights.
    """

    def __init__(
        self,
        n_symbols: int = 65,
        length: int = 128,
        embedding: int = 64,
        widths: Sequence[int] = (256,),
        objective: Objective | None = None,
        seed: int = 0,
    ) -> None:
        draws = torch.Generator().manual_seed(seed)
        symbols = initialise(EmbeddingSynapse(n_symbols, embedding), "identity", draws)
        layers = [Layer(symbols, after=nn.LayerNorm(embedding, elementwise_affine=False))]
        n_inputs = embedding
        for n_units in widths:
            layers.append(Recurrence(n_inputs, n_units, draws))
            n_inputs = n_units
        layers.append(Layer(initialise(LinearSynapse(n_inputs, n_symbols), "identity", draws)))
        super().__init__(layers, (length,), objective)
