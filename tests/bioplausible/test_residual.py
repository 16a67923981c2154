"""Oracle: the block's formula in torch's own functions."""

from __future__ import annotations

import pytest
import torch
from plasticode.bioplausible.residual import ResidualBlock, ResidualCNN
from plasticode.bioplausible.synapse import ConvSynapse
from torch import Tensor
from torch.nn.functional import conv2d


def standardised(x: Tensor) -> Tensor:
    """Each sample by its own mean and variance, over channels and places."""
    centred = x - x.mean((1, 2, 3), keepdim=True)
    return centred / (centred.square().mean((1, 2, 3), keepdim=True) + 1e-5).sqrt()


@pytest.mark.parametrize(("n_outputs", "stride"), [(4, 1), (6, 1), (6, 2)])
def test_a_block_is_the_paper_s_formula(n_outputs: int, stride: int) -> None:
    block = ResidualBlock(4, n_outputs, stride, "relu", torch.Generator().manual_seed(1)).double()
    x = torch.randn(3, 4, 7, 6, dtype=torch.float64)
    first, second, *skip = block.synapses
    inner = standardised(conv2d(x, first.weight, first.bias, stride, padding=1)).relu()
    branch = standardised(conv2d(inner, second.weight, second.bias, padding=1))
    past = conv2d(x, skip[0].weight, skip[0].bias, stride) if skip else x
    assert len(skip) == (n_outputs != 4)
    torch.testing.assert_close(block(x), (branch + past).relu())


def test_the_default_is_resnet_20_on_cifar10() -> None:
    network = ResidualCNN()
    synapses = [synapse for layer in network for synapse in layer.synapses]
    deep = [synapse for synapse in synapses if not isinstance(synapse, ConvSynapse) or synapse.weight.shape[-1] == 3]
    assert len(deep) == 20
    assert network.shapes()[1:-1] == [(16, 32, 32)] * 3 + [(32, 16, 16)] * 3 + [(64, 8, 8)] * 3
