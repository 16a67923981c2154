"""Small networks in float64 that every test of the zoo may use."""

import pytest
import torch
from plasticode.bioplausible.architectures import CNN, MLP, initialise
from plasticode.bioplausible.layer import Layer
from plasticode.bioplausible.network import Network
from plasticode.bioplausible.synapse import ConvSynapse, LinearSynapse


@pytest.fixture
def mlp():
    return MLP([5, 6, 4, 3], "tanh", seed=2).double()


@pytest.fixture
def cnn():
    return CNN((2, 8, 8), (4, 3), (3, 3), ("max", "average"), 6, 3, seed=3).double()


@pytest.fixture
def strided():
    """Convolutions with stride, padding, dilation and groups under linear layers."""
    draws = torch.Generator().manual_seed(5)
    convolutions = [
        Layer(initialise(ConvSynapse(2, 4, 3, stride=2, padding=1), "tanh", draws), torch.nn.Tanh()),
        Layer(initialise(ConvSynapse(4, 6, 2, padding=2, dilation=2, groups=2), "tanh", draws), torch.nn.Tanh()),
    ]
    x = torch.zeros(1, 2, 9, 8)
    for layer in convolutions:
        x = layer(x)
    flat = Layer(initialise(LinearSynapse(x[0].numel(), 7), "relu", draws), torch.nn.ReLU(), before=torch.nn.Flatten())
    readout = Layer(initialise(LinearSynapse(7, 3), "identity", draws))
    return Network([*convolutions, flat, readout], (2, 9, 8)).double()


@pytest.fixture(params=["mlp", "cnn", "strided"])
def any_network(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def batch_for():
    def make(network, n_samples=5, seed=0):
        draws = torch.Generator().manual_seed(seed)
        x = torch.randn(n_samples, *network.example, generator=draws, dtype=torch.float64)
        return x, torch.randint(network.shapes()[-1][-1], (n_samples,), generator=draws)

    return make
