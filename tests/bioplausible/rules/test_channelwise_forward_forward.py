"""Oracle: autograd of one layer's competition among classes, its groups of channels taken one by one."""

from __future__ import annotations

import math

import pytest
import torch
from plasticode.bioplausible.architectures import MLP
from plasticode.bioplausible.check import check_learning_rule
from plasticode.bioplausible.layer import Layer
from plasticode.bioplausible.length_normalised import without_length
from plasticode.bioplausible.network import Network
from plasticode.bioplausible.rules.channelwise_forward_forward import ChannelwiseForwardForward, class_goodness, shares
from plasticode.bioplausible.synapse import LinearSynapse
from plasticode.datasets.errors import WrongArgument
from torch import Tensor
from torch.nn.functional import cross_entropy


def goodness_by_loop(y: Tensor, n_classes: int) -> Tensor:
    channels = range(y.shape[1])
    groups = [[c for c in channels if c * n_classes // y.shape[1] == j] for j in range(n_classes)]
    return torch.stack([y[:, group].flatten(1).square().mean(1) for group in groups], 1)


@pytest.mark.parametrize("sharpness", [1.0, 10.0])
def test_each_layer_descends_its_own_competition_and_no_other(any_network, batch_for, sharpness) -> None:
    rule = ChannelwiseForwardForward(sharpness)
    rule.bind(any_network)
    h, target = batch_for(any_network)
    mean_loss = rule.assign_gradients(any_network, h, target)
    losses = []
    for layer in any_network.layers[:-1]:
        h = layer(without_length(h.detach()))
        losses.append(cross_entropy(sharpness * goodness_by_loop(h, 3), target))
        expected = torch.autograd.grad(losses[-1], list(layer.parameters()), retain_graph=True)
        torch.testing.assert_close([p.grad for p in layer.parameters()], list(expected))
    torch.testing.assert_close(mean_loss, torch.stack(losses).mean())


def test_the_readout_learns_the_objective_from_the_last_hidden_layer(any_network, batch_for) -> None:
    rule = ChannelwiseForwardForward(readout=True)
    x, target = batch_for(any_network)
    rule.assign_gradients(any_network, x, target)
    wanted = any_network.objective.loss(rule.infer(any_network, x), target)
    readout = list(any_network.layers[-1].parameters())
    torch.testing.assert_close([p.grad for p in readout], list(torch.autograd.grad(wanted, readout)))


def test_goodness_alone_trains_no_readout_and_predicts_by_the_sum_over_layers(any_network, batch_for) -> None:
    rule = ChannelwiseForwardForward(sharpness=2.0)
    x, target = batch_for(any_network)
    rule.assign_gradients(any_network, x, target)
    assert all(p.grad is None for p in any_network.layers[-1].parameters())
    expected, h = 0, x
    for layer in any_network.layers[:-1]:
        h = layer(without_length(h))
        expected = expected + 2 * goodness_by_loop(h, 3)
    torch.testing.assert_close(rule.infer(any_network, x), expected)


def test_a_learning_readout_keeps_the_promises_of_a_rule() -> None:
    assert check_learning_rule(lambda: ChannelwiseForwardForward(readout=True))


@pytest.mark.parametrize(("n_channels", "n_classes"), [(10, 10), (32, 10), (16, 10), (7, 3)])
def test_every_channel_belongs_to_one_class_and_classes_differ_by_one_at_most(n_channels, n_classes) -> None:
    belongs = shares(n_channels, n_classes, torch.zeros(1)) > 0
    assert (belongs.sum(0) == 1).all()
    sizes = belongs.sum(1)
    assert sizes.min() >= 1
    assert sizes.max() - sizes.min() <= 1


def test_equal_goodness_costs_the_log_of_the_number_of_classes() -> None:
    y = torch.full((2, 7, 3, 3), 0.5, dtype=torch.float64)
    torch.testing.assert_close(class_goodness(y, 3), torch.full((2, 3), 0.25, dtype=torch.float64))
    loss, _ = ChannelwiseForwardForward().goodness_loss(y, torch.tensor([0, 2]), 3)
    assert loss.item() == pytest.approx(math.log(3))


def test_a_hidden_layer_with_fewer_channels_than_classes_is_refused_with_the_reason() -> None:
    with pytest.raises(WrongArgument, match="layer 2 has 4 channels, too few to divide among 5 classes"):
        ChannelwiseForwardForward().bind(MLP((7, 6, 4, 5)))


def test_a_readout_at_several_places_is_refused_with_the_reason() -> None:
    network = Network([Layer(LinearSynapse(4, 6)), Layer(LinearSynapse(6, 2))], (5, 4))
    with pytest.raises(WrongArgument, match="its readout speaks at several places"):
        ChannelwiseForwardForward().bind(network)
