"""Oracles: autograd of the losses in the docstring, the closed form of their mean, backprop."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from plasticode.bioplausible.architectures import MLP
from plasticode.bioplausible.check import check_learning_rule
from plasticode.bioplausible.inverse import Inverse
from plasticode.bioplausible.layer import Layer
from plasticode.bioplausible.network import Network
from plasticode.bioplausible.rules.backprop import Backprop
from plasticode.bioplausible.rules.local_difference_reconstruction import LocalDifferenceReconstruction
from plasticode.bioplausible.synapse import ConvSynapse, LinearSynapse
from plasticode.datasets.errors import WrongArgument
from torch import Tensor, nn

Case = tuple[Network, Tensor, Tensor]


def dense() -> Case:
    return MLP([5, 7, 6, 3], seed=2).double(), torch.randn(4, 5, dtype=torch.float64), torch.tensor([0, 2, 1, 1])


def convolutional() -> Case:
    layers = [
        Layer(ConvSynapse(1, 4, 3), nn.Tanh()),
        Layer(ConvSynapse(4, 6, 3, stride=2, padding=1, groups=2), nn.Tanh(), after=nn.MaxPool2d(2)),
        Layer(LinearSynapse(6, 3), before=nn.Flatten()),
    ]
    return Network(layers, (1, 8, 8)).double(), torch.randn(3, 1, 8, 8, dtype=torch.float64), torch.tensor([2, 0, 1])


def linear() -> Case:
    """No nonlinearity: then the way back can be the transposed way forward."""
    layers = [Layer(ConvSynapse(1, 2, 3)), Layer(ConvSynapse(2, 3, 3, stride=2)), Layer(LinearSynapse(12, 3))]
    layers[2].before = nn.Flatten()
    return Network(layers, (1, 7, 7)).double(), torch.randn(3, 1, 7, 7, dtype=torch.float64), torch.tensor([2, 0, 1])


def sequential() -> Case:
    layers = [Layer(LinearSynapse(5, 6), nn.Tanh()), Layer(LinearSynapse(6, 4), nn.Tanh()), Layer(LinearSynapse(4, 3))]
    return Network(layers, (4, 5)).double(), torch.randn(2, 4, 5, dtype=torch.float64), torch.randint(3, (2, 4))


def bound(
    case: Callable[[], Case], step: float = 0.1, noise: float = 0.1, samples: int = 1
) -> tuple[LocalDifferenceReconstruction, Case]:
    torch.manual_seed(0)
    made, rule = case(), LocalDifferenceReconstruction(step, noise, samples)
    rule.bind(made[0])
    return rule, made


def transpose(rule: LocalDifferenceReconstruction, network: Network) -> None:
    """Give every inverse the weight of its layer, whose transpose it then applies."""
    with torch.no_grad():
        for place, inverse in rule.inverses.items():
            inverse.weight.copy_(network.layers[int(place)].synapse.weight)


@pytest.mark.parametrize("step", [0.1, 3.0])
def test_with_the_transposed_derivative_linear_layers_are_trained_by_backprop_times_the_step(step: float) -> None:
    rule, (network, x, target) = bound(linear, step)
    transpose(rule, network)
    rule.assign_gradients(network, x, target)
    found = [layer.synapse.weight.grad.clone() for layer in network]
    network.zero_grad(set_to_none=True)
    Backprop().assign_gradients(network, x, target)
    wanted = [layer.synapse.weight.grad for layer in network]
    torch.testing.assert_close(found, [step * wanted[0], step * wanted[1], wanted[2]])


def test_before_learning_linear_layers_are_not_trained_by_backprop() -> None:
    rule, (network, x, target) = bound(linear)
    rule.assign_gradients(network, x, target)
    found = network.layers[0].synapse.weight.grad.clone()
    network.zero_grad(set_to_none=True)
    Backprop().assign_gradients(network, x, target)
    assert nn.functional.cosine_similarity(found.flatten(), network.layers[0].synapse.weight.grad.flatten(), 0) < 0.9


@pytest.mark.parametrize("case", [dense, convolutional, sequential])
@pytest.mark.parametrize("samples", [1, 3])
def test_the_way_back_descends_the_stated_loss(case: Callable[[], Case], samples: int) -> None:
    rule, (network, x, target) = bound(case, noise=0.4, samples=samples)
    rule.begin_step(5)
    rule.assign_gradients(network, x, target)
    rule.begin_step(5)
    h, places, losses = [trace.y for trace in network.record(x)], range(1, len(network)), dict[int, Tensor]()
    for _ in range(samples):
        xi = {i: 0.4 * rule.normal(h[i - 1]) for i in places}
        eta = {i: 0.4 * rule.normal(h[i]) for i in places}
        for i in places:
            losses[i] = losses.get(i, torch.zeros(())) + loss_of(rule, network, i, h, xi[i], eta[i]) / 0.4**2
    for i in places:
        wanted = torch.autograd.grad(losses[i] / (samples * target.numel()), list(rule.inverses[str(i)].parameters()))
        torch.testing.assert_close([p.grad for p in rule.inverses[str(i)].parameters()], list(wanted))


def loss_of(
    rule: LocalDifferenceReconstruction, network: Network, i: int, h: list[Tensor], xi: Tensor, eta: Tensor
) -> Tensor:
    inverse, layer, below = rule.inverses[str(i)], network.layers[i], network.layers[i - 1]
    assert isinstance(inverse, Inverse)

    def back(value: Tensor) -> Tensor:
        return inverse(value, layer, below, h[i - 1])

    answered = back(layer(h[i - 1] + xi).detach()) - back(h[i])
    return -(xi * answered).sum() + 0.5 * (back(h[i] + eta) - back(h[i])).square().sum()


def test_in_the_mean_a_linear_way_back_is_drawn_to_the_forward_weight() -> None:
    """-tr(V^T W) + 1/2 |V|^2 changes by V - W; the standard error over n draws is about 1 / sqrt(n)."""
    layers = [Layer(LinearSynapse(3, 4)), Layer(LinearSynapse(4, 5)), Layer(LinearSynapse(5, 2))]
    torch.manual_seed(0)
    network, rule, n = Network(layers, (3,)).double(), LocalDifferenceReconstruction(noise=0.3), 40_000
    rule.bind(network)
    rule.assign_gradients(network, torch.randn(n, 3, dtype=torch.float64), torch.zeros(n, dtype=torch.long))
    for place, inverse in rule.inverses.items():
        wanted = inverse.weight - network.layers[int(place)].synapse.weight
        assert wanted.abs().max() > 0.3
        assert (inverse.weight.grad - wanted).abs().max() < 0.05
        torch.testing.assert_close(inverse.bias.grad, torch.zeros_like(inverse.bias))


def test_it_learns_a_way_back_that_brings_backprop_s_errors() -> None:
    rule, (network, x, target) = bound(linear)
    optimiser = torch.optim.SGD(rule.parameters(), lr=0.03)
    for step in range(100):
        optimiser.zero_grad()
        rule.begin_step(step)
        rule.assign_gradients(network, x, target)
        optimiser.step()
    for place, inverse in rule.inverses.items():
        weight = network.layers[int(place)].synapse.weight
        assert nn.functional.cosine_similarity(inverse.weight.flatten(), weight.flatten(), 0) > 0.9


@pytest.mark.parametrize("case", [dense, convolutional])
def test_it_keeps_every_promise_of_a_rule(case: Callable[[], Case]) -> None:
    outcomes = check_learning_rule(lambda: LocalDifferenceReconstruction(samples=2), lambda: bound(case)[1][0])
    assert {outcome.skipped for outcome in outcomes} <= {None, "reads no images"}


@pytest.mark.parametrize("arguments", [{"step": 0.0}, {"noise": 0.0}, {"samples": 0}])
def test_values_that_are_not_positive_are_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(WrongArgument, match="must be positive"):
        LocalDifferenceReconstruction(**arguments)
