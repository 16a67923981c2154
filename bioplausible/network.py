"""Network: layers in a chain, and the objective that their output is held to. The same class for every rule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from .layer import Feedback, Layer, Trace
from .objective import CrossEntropy, Objective
from .recipe import Remembered
from .synapse import EmbeddingSynapse


class Network(Remembered, nn.Module):
    """Layers one after the other; the last one's output are the logits.

    Parameters
    ----------
    layers
        From the input to the readout.
    example
        Shape of one input, (channel height width), (feature,) or (time,) for ids: rules that need to know the layers'
        shapes send a blank one through.
    objective
        Cross-entropy by default.
    """

    spiking = False  # whether activities are spikes in time, which have no derivative

    def __init__(self, layers: Sequence[Layer], example: Sequence[int], objective: Objective | None = None) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.example = tuple(example)
        self.objective = objective or CrossEntropy()
        self._shapes: list[tuple[int, ...]] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch ... class)."""
        for layer in self.layers:
            x = layer(x)
        return x

    def __iter__(self) -> Iterator[Layer]:
        for layer in self.layers:
            assert isinstance(layer, Layer)
            yield layer

    def __len__(self) -> int:
        return len(self.layers)

    def record(self, x: Tensor, feedback: Sequence[Feedback | None] | None = None, returns: bool = True) -> list[Trace]:
        """A pass through all layers, each cut from the next.

        No error is brought to the network's input; with `returns=False` to no layer's input.
        """
        traces: list[Trace] = []
        for i, (layer, weights) in enumerate(zip(self, feedback or [None] * len(self), strict=True)):
            traces.append(layer.record(x, weights, returns and i > 0))
            x = traces[-1].y
        return traces

    def compile_layers(self, backend: str = "inductor") -> None:
        """Have torch.compile make every layer's pass; the layers' boundaries, which rules work at, stay."""
        # Rules may go back through one pass twice (predictive coding does): its buffers are not to be given away.
        torch._functorch.config.donated_buffer = False
        for layer in self:
            layer.compile(backend=backend)

    def shapes(self) -> list[tuple[int, ...]]:
        """Shape of one sample's output at every layer; they are looked at once."""
        if self._shapes is None:
            self._shapes = self.blank_pass()
        return list(self._shapes)

    def blank_pass(self) -> list[tuple[int, ...]]:
        """Send one blank sample through; the shape of its output at every layer."""
        device = next(self.parameters()).device
        x = torch.zeros(1, *self.example, device=device, dtype=self._input_type())
        found = []
        with torch.no_grad():
            for layer in self:
                x = layer(x)
                found.append(tuple(x.shape[1:]))
        return found

    @property
    def n_symbols(self) -> int | None:
        """How many symbols the network reads, of one that reads ids; None for one that reads numbers."""
        first = next(iter(self)).synapses[0]
        return len(first.weight) if isinstance(first, EmbeddingSynapse) else None

    def _input_type(self) -> torch.dtype:
        return next(self.parameters()).dtype if self.n_symbols is None else torch.long
