"""What reaches each synapse of a network, also inside blocks: found by a blank pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .network import Network
from .synapse import Synapse


def synapse_inputs(network: Network) -> dict[Synapse, Tensor]:
    """The input (1 ...) of each synapse for a blank input of the network; of its first use where it has several."""
    found: dict[Synapse, Tensor] = {}

    def look(synapse: nn.Module, inputs: tuple[Any, ...]) -> None:
        assert isinstance(synapse, Synapse)
        found.setdefault(synapse, inputs[0])

    hooks = [synapse.register_forward_pre_hook(look) for layer in network for synapse in layer.synapses]
    try:
        with torch.no_grad():
            network.blank_pass()
    finally:
        for hook in hooks:
            hook.remove()
    return found
