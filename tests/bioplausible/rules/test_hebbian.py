"""Oracle: numpy's eigenvectors of the inputs' second moment."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from plasticode.bioplausible.architectures import CNN, MLP
from plasticode.bioplausible.check import check_learning_rule
from plasticode.bioplausible.layer import Layer
from plasticode.bioplausible.network import Network
from plasticode.bioplausible.rules.hebbian import Oja, Sanger
from plasticode.bioplausible.synapse import ConvSynapse, EmbeddingSynapse, LinearSynapse
from plasticode.bioplausible.trial import clear
from plasticode.datasets.errors import WrongArgument
from torch import Tensor, nn

N_STEPS, RATE = 600, 0.05


def correlated(*shape: int) -> Tensor:
    """Samples (sample ...) whose features differ in size and are mixed."""
    draws = torch.Generator().manual_seed(0)
    n_features = shape[-1]
    scale = torch.linspace(2.0, 0.4, n_features, dtype=torch.float64)
    mixing = torch.linalg.qr(torch.randn(n_features, n_features, generator=draws, dtype=torch.float64))[0]
    return (torch.randn(*shape, generator=draws, dtype=torch.float64) * scale) @ mixing


def learned(rule: Oja, network: Network, x: Tensor) -> np.ndarray:
    """Weights (unit tap) of the first layer after many whole-batch steps."""
    rule.bind(network)
    synapse, target = network.layers[0].synapse, torch.zeros(x.shape[:-1] if x.ndim == 3 else len(x), dtype=torch.long)
    optimiser = torch.optim.SGD(synapse.parameters(), lr=RATE)
    for _ in range(N_STEPS):
        clear(network)
        rule.assign_gradients(network, x, target)
        optimiser.step()
    return synapse.weight.detach().flatten(1).numpy()


def components(rows: np.ndarray) -> np.ndarray:
    """Eigenvectors (component tap), largest eigenvalue first."""
    return np.linalg.eigh(rows.T @ rows)[1].T[::-1]


def two_layers(n_units: int) -> Network:
    torch.manual_seed(1)
    return Network([Layer(LinearSynapse(5, n_units), nn.Tanh()), Layer(LinearSynapse(n_units, 2))], (5,)).double()


def test_every_unit_of_oja_finds_the_first_principal_component() -> None:
    x = correlated(300, 5)
    found = learned(Oja(), two_layers(3), x)
    expected = components(x.numpy())[0]
    assert np.allclose(np.abs(found @ expected), 1, atol=1e-6)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_sangers_units_find_the_first_components_in_their_order() -> None:
    x = correlated(300, 5)
    found = learned(Sanger(), two_layers(3), x)
    assert np.allclose(np.abs(found @ components(x.numpy())[:3].T), np.eye(3), atol=1e-4)


def test_sangers_units_find_the_components_of_sequences_as_well() -> None:
    x = correlated(60, 4, 5)
    found = learned(Sanger(), two_layers(2), x)
    assert np.allclose(np.abs(found @ components(x.numpy().reshape(-1, 5))[:2].T), np.eye(2), atol=1e-4)


def test_kernels_find_the_components_of_strided_and_padded_patches_in_each_group() -> None:
    torch.manual_seed(2)
    convolution = ConvSynapse(2, 4, 2, stride=2, padding=1, groups=2)
    network = Network([Layer(convolution), Layer(LinearSynapse(36, 2), before=nn.Flatten())], (2, 4, 4)).double()
    x = correlated(50, 2, 4, 4)
    found = learned(Sanger(), network, x)
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)))
    for group in range(2):
        patches = [padded[:, group, i : i + 2, j : j + 2].reshape(50, 4) for i in (0, 2, 4) for j in (0, 2, 4)]
        expected = components(np.concatenate(patches))[:2]
        assert np.allclose(np.abs(found[2 * group : 2 * group + 2] @ expected.T), np.eye(2), atol=0.02)


@pytest.mark.parametrize("rule", [Oja, Sanger])
def test_labels_reach_the_readout_alone(rule, any_network, batch_for) -> None:
    x, target = batch_for(any_network)
    updates = []
    for shift in (0, 1):
        clear(any_network)
        rule().assign_gradients(any_network, x, (target + shift) % 3)
        updates.append([parameter.grad for parameter in any_network.parameters()])
    *hidden, weight, bias = [one is other or torch.equal(one, other) for one, other in zip(*updates, strict=True)]
    assert all(hidden)
    assert not weight
    assert not bias


def test_the_readouts_update_is_the_exact_gradient(mlp, batch_for) -> None:
    x, target = batch_for(mlp)
    Sanger().assign_gradients(mlp, x, target)
    found = [parameter.grad for parameter in mlp.layers[-1].parameters()]
    expected = torch.autograd.grad(mlp.objective.loss(mlp(x), target), list(mlp.layers[-1].parameters()))
    assert all(torch.allclose(*pair) for pair in zip(found, expected, strict=True))


@pytest.mark.parametrize("rule", [Oja, Sanger])
def test_they_keep_the_promises_of_a_rule(rule) -> None:
    check_learning_rule(rule)
    check_learning_rule(rule, lambda: CNN((1, 8, 8), (3, 4), (3, 3), ("max", "average"), 6, 4))


def test_symbols_and_lone_readouts_are_refused() -> None:
    with pytest.raises(WrongArgument, match="layer 1 takes symbols"):
        Oja().bind(Network([Layer(EmbeddingSynapse(4, 3)), Layer(LinearSynapse(3, 4))], (3,)))
    with pytest.raises(WrongArgument, match="it has a readout only"):
        Oja().bind(MLP([5, 3]))
