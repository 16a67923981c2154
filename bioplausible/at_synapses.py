"""Looking in at the synapses of layers while they pass: what comes in, what goes out, and putting something else there.

Works inside blocks too, where a synapse can be passed several times (recurrence): each pass is a visit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from .layer import Layer
from .synapse import Synapse

# Synapse, its input and its output (batch ...); what it returns, if anything, goes out in the output's place.
Visitor = Callable[[Synapse, Tensor, Tensor], Tensor | None]


@contextmanager
def at_synapses(layers: Iterable[Layer], visit: Visitor) -> Iterator[None]:
    """Within, `visit` is called whenever one of the layers' synapses has been passed."""

    def hook(synapse: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
        return visit(synapse, inputs[0], output)

    hooks = [synapse.register_forward_hook(hook) for layer in layers for synapse in layer.synapses]
    try:
        # A compiled layer would keep the first visitor that it met.
        with torch.compiler.set_stance("force_eager"):
            yield
    finally:
        for handle in hooks:
            handle.remove()


def visits(layers: Iterable[Layer], x: Tensor) -> tuple[list[tuple[Synapse, Tensor, Tensor]], Tensor]:
    """Synapse, input and output of every visit in one pass of a chain of layers, and the chain's output."""
    layers, found = list(layers), []
    with at_synapses(layers, lambda *visit: found.append(visit)):
        for layer in layers:
            x = layer(x)
    return found, x
