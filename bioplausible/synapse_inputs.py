"""What reaches each synapse of a network, also inside blocks: found by a blank pass."""

from __future__ import annotations

import torch
from torch import Tensor

from .at_synapses import at_synapses
from .network import Network
from .synapse import Synapse


def synapse_inputs(network: Network) -> dict[Synapse, Tensor]:
    """The input (1 ...) of each synapse for a blank input of the network; of its first use where it has several."""
    found: dict[Synapse, Tensor] = {}

    def look(synapse: Synapse, presynaptic: Tensor, drive: Tensor) -> None:
        found.setdefault(synapse, presynaptic)

    with torch.no_grad(), at_synapses(network, look):
        network.blank_pass()
    return found
