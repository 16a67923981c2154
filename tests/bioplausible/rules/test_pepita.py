"""Oracle: the published formula in numpy, convolutions as sums over patches; no update without a projection."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from plasticode.bioplausible.architectures import MLP
from plasticode.bioplausible.layer import Layer
from plasticode.bioplausible.network import Network
from plasticode.bioplausible.rules.pepita import Pepita
from plasticode.bioplausible.synapse import EmbeddingSynapse, LinearSynapse
from plasticode.datasets.errors import WrongArgument
from torch import Tensor, nn


def bound(network: Network) -> Pepita:
    rule = Pepita(scale=2.0)
    rule.bind(network)
    return rule


def gradients(layer: Layer) -> list[Tensor]:
    return [p.grad for p in layer.parameters()]


def test_the_update_of_a_fully_connected_network_is_the_published_one(mlp, batch_for) -> None:
    rule = bound(mlp)
    x, target = batch_for(mlp)
    rule.assign_gradients(mlp, x, target)
    weights = [(layer.synapse.weight.detach().numpy(), layer.synapse.bias.detach().numpy()) for layer in mlp]

    def run(h: np.ndarray) -> list[np.ndarray]:
        found = [h]
        for i, (weight, bias) in enumerate(weights):
            drive = found[-1] @ weight.T + bias
            found.append(drive if i == 2 else np.tanh(drive))
        return found

    clean = run(x.numpy())
    exponent = np.exp(clean[-1])
    error = exponent / exponent.sum(1, keepdims=True) - np.eye(3)[target.numpy()]
    modulated = run(x.numpy() + error @ rule.projection.numpy())
    for i, layer in enumerate(mlp):
        after = error if i == 2 else clean[i + 1] - modulated[i + 1]
        expected = sum(np.outer(a, b) for a, b in zip(after, modulated[i], strict=True)) / len(x)
        np.testing.assert_allclose(layer.synapse.weight.grad.numpy(), expected, atol=1e-12)
        np.testing.assert_allclose(layer.synapse.bias.grad.numpy(), after.mean(0), atol=1e-12)


def test_the_update_of_a_convolution_sums_over_its_patches(strided, batch_for) -> None:
    rule = bound(strided)
    x, target = batch_for(strided)
    rule.assign_gradients(strided, x, target)
    first = strided.layers[0]
    error = (strided(x).softmax(1) - torch.eye(3, dtype=x.dtype)[target]).detach()
    carried = x + (error @ rule.projection).view_as(x)
    change = (first(x) - first(carried)).detach().numpy()
    padded = np.pad(carried.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)))
    expected = np.zeros(first.synapse.weight.shape)
    for row in range(change.shape[2]):
        for column in range(change.shape[3]):
            patch = padded[:, :, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
            expected += np.einsum("bo,bcij->ocij", change[:, :, row, column], patch) / len(x)
    np.testing.assert_allclose(first.synapse.weight.grad.numpy(), expected, atol=1e-12)


def test_every_layer_descends_the_product_of_its_drive_and_the_difference_of_its_activities(
    any_network, batch_for
) -> None:
    rule = bound(any_network)
    x, target = batch_for(any_network)
    rule.assign_gradients(any_network, x, target)
    error = any_network.objective.error(any_network(x), target)
    carried = x + (len(x) * error @ rule.projection).view_as(x)
    for layer in any_network.layers[:-1]:
        drive = layer.synapse(layer.before(carried.detach()))
        difference = layer.nonlinearity(layer.synapse(layer.before(x))) - layer.nonlinearity(drive)
        product = (drive * difference.detach()).sum() / len(x)
        torch.testing.assert_close(gradients(layer), list(torch.autograd.grad(product, list(layer.parameters()))))
        x, carried = layer(x), layer(carried)


def test_without_a_projection_hidden_layers_keep_still_and_the_readout_learns_the_delta_rule(
    any_network, batch_for
) -> None:
    rule = bound(any_network)
    rule.projection.zero_()
    x, target = batch_for(any_network)
    loss = rule.assign_gradients(any_network, x, target)
    wanted = any_network.objective.loss(any_network(x), target)
    readout = any_network.layers[-1]
    torch.testing.assert_close(loss, wanted)
    torch.testing.assert_close(gradients(readout), list(torch.autograd.grad(wanted, list(readout.parameters()))))
    for layer in any_network.layers[:-1]:
        assert not any(gradient.any() for gradient in gradients(layer))


def test_linear_layers_on_several_places_learn_from_all_of_them(batch_for) -> None:
    first = Layer(LinearSynapse(4, 6), nn.Tanh())
    network = Network([first, Layer(LinearSynapse(18, 3), before=nn.Flatten())], (3, 4)).double()
    rule = bound(network)
    x, target = batch_for(network)
    rule.assign_gradients(network, x, target)
    carried = x + (len(x) * network.objective.error(network(x), target) @ rule.projection).view_as(x)
    difference = (first(x) - first(carried)).detach()
    torch.testing.assert_close(first.synapse.weight.grad, torch.einsum("bto,bti->oi", difference, carried) / len(x))


def test_a_modulation_has_the_stated_size() -> None:
    rule = Pepita(scale=0.3)
    rule.bind(MLP((20_000, 4, 3)))
    shift = torch.tensor([0.6, -0.8, 0.0]) @ rule.projection  # of an error of norm 1
    assert abs(shift.square().sum().sqrt().item() - 0.3) < 5 * 0.3 / 40_000**0.5


def test_the_projection_is_in_the_state_and_is_no_parameter(mlp) -> None:
    rule = bound(mlp)
    assert set(rule.state_dict()) == {"projection"}
    assert not list(rule.parameters())


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (Network([Layer(LinearSynapse(4, 6)), Layer(LinearSynapse(6, 2))], (5, 4)), "its readout speaks at several"),
        (Network([Layer(EmbeddingSynapse(5, 4)), Layer(LinearSynapse(4, 2))], (7,)), "its inputs are ids"),
    ],
)
def test_networks_to_whose_input_no_error_can_be_added_are_refused_with_the_reason(network, reason) -> None:
    with pytest.raises(WrongArgument, match=reason):
        Pepita().bind(network)
