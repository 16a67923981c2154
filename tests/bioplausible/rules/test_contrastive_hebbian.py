"""Contrastive Hebbian learning against backprop as the feedback gain vanishes, and against a closed form."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from plasticode.bioplausible.architectures import MLP
from plasticode.bioplausible.layer import Block, Layer
from plasticode.bioplausible.network import Network
from plasticode.bioplausible.objective import CrossEntropy, Objective, SquaredError
from plasticode.bioplausible.rule import LearningRule
from plasticode.bioplausible.rules.backprop import Backprop
from plasticode.bioplausible.rules.contrastive_hebbian import ContrastiveHebbian
from plasticode.bioplausible.synapse import ConvSynapse, LinearSynapse
from plasticode.datasets.errors import WrongArgument
from torch import Tensor, nn

Case = tuple[Network, Tensor, Tensor]
OBJECTIVES = [CrossEntropy, SquaredError]


def dense(objective: Objective) -> Case:
    x = torch.randn(4, 5, dtype=torch.float64)
    return MLP([5, 7, 6, 3], objective=objective).double(), x, torch.tensor([0, 2, 1, 1])


def convolutional(objective: Objective) -> Case:
    layers = [
        Layer(ConvSynapse(2, 4, 3, padding=1), nn.Tanh(), after=nn.MaxPool2d(2)),
        Layer(ConvSynapse(4, 4, 3, stride=2, padding=1, groups=2), nn.Sigmoid()),
        Layer(LinearSynapse(16, 3), before=nn.Flatten()),
    ]
    x = torch.randn(3, 2, 8, 8, dtype=torch.float64)
    return Network(layers, (2, 8, 8), objective).double(), x, torch.tensor([2, 0, 1])


def sequential(objective: Objective) -> Case:
    layers = [Layer(LinearSynapse(5, 6), nn.Tanh()), Layer(LinearSynapse(6, 3))]
    x = torch.randn(2, 4, 5, dtype=torch.float64)
    return Network(layers, (4, 5), objective).double(), x, torch.randint(3, (2, 4))


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def update(rule: LearningRule, case: Case) -> Tensor:
    network, x, target = case
    rule.bind(network)
    network.zero_grad()
    rule.assign_gradients(network, x, target)
    return torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("make", [dense, convolutional, sequential])
def test_as_the_gain_vanishes_it_is_backprop_with_an_error_of_first_order(make, objective):
    case = make(objective())
    exact = update(Backprop(), case)
    found = [update(ContrastiveHebbian(20, gain), case) for gain in (4e-3, 2e-3, 1e-3)]
    gaps = [((estimate - exact).norm() / exact.norm()).item() for estimate in found]
    assert gaps[-1] < 1e-2
    for wide, narrow in pairwise(gaps):
        assert wide / narrow == pytest.approx(2, rel=0.1)


def test_on_one_layer_it_is_the_delta_rule():
    network, x, target = MLP([5, 3], objective=SquaredError()).double(), *dense(SquaredError())[1:]
    error = network(x) - nn.functional.one_hot(target, 3)
    found = update(ContrastiveHebbian(), (network, x, target))
    torch.testing.assert_close(found, torch.cat([(error.T @ x / 4).flatten(), error.mean(0)]))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_no_update_where_the_free_output_is_the_target(objective):
    network, x, target = dense(objective())
    with torch.no_grad():
        for parameter in network.layers[-1].parameters():
            parameter.zero_()
        network.layers[-1].synapse.bias[1] = 1.0 if objective is SquaredError else 800.0
    assert update(ContrastiveHebbian(), (network, x, torch.ones_like(target))).abs().max() < 1e-12


def test_the_free_output_feels_the_gain():
    network, x, _ = dense(SquaredError())
    assert not torch.allclose(ContrastiveHebbian(20, 0.1).infer(network, x), network(x), atol=1e-3)
    torch.testing.assert_close(ContrastiveHebbian(20, 1e-9).infer(network, x), network(x))


def test_the_residual_shrinks_with_the_sweeps():
    found = []
    for steps in (2, 5, 40):
        rule = ContrastiveHebbian(steps)
        update(rule, dense(CrossEntropy()))
        assert rule.residual is not None
        found.append(rule.residual.item())
    assert found[0] > found[1] > found[2]
    assert found[2] < 1e-12


class Elsewhere(SquaredError):
    """A loss whose output is unknown to the rule."""


def test_what_it_cannot_clamp_or_reach_is_refused_with_the_reason():
    with pytest.raises(WrongArgument, match="Elsewhere has no output to clamp"):
        ContrastiveHebbian().bind(MLP([5, 3], objective=Elsewhere()))
    with pytest.raises(WrongArgument, match="needs 2 sweeps to the first layer, and steps is 1"):
        ContrastiveHebbian(steps=1).bind(MLP([5, 4, 4, 3]))
    with pytest.raises(WrongArgument, match="layer 1 is a block"):
        ContrastiveHebbian().bind(Network([Block(), Layer(LinearSynapse(4, 3))], (4,)))
    with pytest.raises(WrongArgument, match="must be positive"):
        ContrastiveHebbian(gain=0.0)
