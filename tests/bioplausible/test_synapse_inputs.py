"""Oracle: shapes worked out by hand."""

from __future__ import annotations

import torch
from plasticode.bioplausible.layer import Block, Layer
from plasticode.bioplausible.network import Network
from plasticode.bioplausible.synapse import ConvSynapse, LinearSynapse
from plasticode.bioplausible.synapse_inputs import synapse_inputs
from torch import Tensor, nn


class Pair(Block):
    """W_2 tanh(W_1 x)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = LinearSynapse(8, 5), LinearSynapse(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.second(torch.tanh(self.first(x)))
        return found


def test_every_synapse_s_input_is_found_and_the_network_is_left_without_hooks() -> None:
    convolution = Layer(ConvSynapse(1, 2, 3, stride=2, padding=1), after=nn.Flatten())
    network = Network([convolution, Pair()], (1, 4, 4))
    found = synapse_inputs(network)
    synapses = [synapse for layer in network for synapse in layer.synapses]
    assert [tuple(found[synapse].shape) for synapse in synapses] == [(1, 1, 4, 4), (1, 8), (1, 5)]
    network(torch.ones(1, 1, 4, 4))
    assert not found[synapses[0]].any()
    assert not any(synapse._forward_pre_hooks for synapse in synapses)
