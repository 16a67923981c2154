"""Oracle: plane geometry, and rules whose angle to backprop is planted."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from plasticode.bioplausible.alignment import angle, angle_to_backprop, feedback_angle
from plasticode.bioplausible.architectures import MLP
from plasticode.bioplausible.layer import Block, Layer, add_gradient
from plasticode.bioplausible.network import Network
from plasticode.bioplausible.rule import LearningRule, RuleFacts
from plasticode.bioplausible.rules.backprop import Backprop
from plasticode.bioplausible.rules.sign_symmetry import SignSymmetry
from plasticode.bioplausible.rules.weight_mirror import WeightMirror
from plasticode.bioplausible.synapse import LinearSynapse
from torch import Tensor


@pytest.mark.parametrize("degrees", [0.0, 1e-7, 30.0, 90.0, 135.0, 179.9999999, 180.0])
def test_the_angle_of_two_directions_in_a_plane_is_found_to_ten_digits(degrees: float) -> None:
    turned = torch.tensor([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))], dtype=torch.float64)
    assert angle(torch.tensor([1.0, 0.0], dtype=torch.float64), turned) == pytest.approx(degrees, rel=1e-6, abs=1e-10)


def test_the_angle_does_not_depend_on_lengths_and_a_zero_has_none() -> None:
    a, b = torch.randn(3, 4), torch.randn(3, 4)
    assert angle(1e-20 * a, 1e15 * b) == pytest.approx(angle(a, b), rel=1e-5)
    assert math.isnan(angle(a, torch.zeros(3, 4)))


class Turned(LearningRule):
    """Backprop's gradient, turned by `degrees` towards a direction at right angles to it, layer by layer."""

    facts = RuleFacts(name="turned", paper="none", family="planted")

    def __init__(self, degrees: tuple[float | None, ...]) -> None:
        super().__init__()
        self.degrees = degrees

    def assign_gradients(self, network: Network, x: Tensor, target: Tensor) -> Tensor:
        for degrees, layer in zip(self.degrees, network, strict=True):
            if degrees is None:
                continue
            weights = list(layer.parameters())
            with torch.enable_grad():
                found = torch.autograd.grad(network.objective.loss(network(x), target), weights)
            whole = torch.cat([value.flatten() for value in found])
            other = torch.randn_like(whole)
            other -= whole * (other @ whole) / (whole @ whole)
            other *= whole.norm() / other.norm()
            turned = math.cos(math.radians(degrees)) * whole + math.sin(math.radians(degrees)) * other
            for weight, part in zip(weights, turned.split([w.numel() for w in weights]), strict=True):
                add_gradient(weight, part.view_as(weight))
        return network.objective.loss(network(x), target)


def batch() -> tuple[Tensor, Tensor]:
    draws = torch.Generator().manual_seed(5)
    return torch.randn(8, 6, generator=draws, dtype=torch.float64), torch.randint(3, (8,), generator=draws)


def test_a_planted_angle_is_found_and_layers_without_an_update_are_left_out() -> None:
    network = MLP((6, 5, 4, 3)).double()
    torch.manual_seed(0)
    assert angle_to_backprop(Turned((25.0, None, 160.0)), network, *batch()) == pytest.approx({0: 25.0, 2: 160.0})


def test_backprop_is_at_no_angle_to_itself() -> None:
    found = angle_to_backprop(Backprop(), MLP((6, 5, 4, 3)).double(), *batch())
    assert found == pytest.approx({0: 0.0, 1: 0.0, 2: 0.0}, abs=1e-6)


@pytest.mark.parametrize("make_rule", [lambda: SignSymmetry("brSF"), WeightMirror])
def test_a_look_at_the_angles_changes_nothing(make_rule: Any) -> None:
    network, rule, again = MLP((6, 5, 3)).double(), make_rule(), make_rule()
    rule.bind(network)
    again.bind(network)
    for parameter in [*network.parameters(), *rule.parameters()]:
        add_gradient(parameter, torch.ones_like(parameter))
    before = copy.deepcopy((network.state_dict(), rule.state_dict()))
    rule.begin_step(4)
    angle_to_backprop(rule, network, *batch())
    for now, then in zip((network.state_dict(), rule.state_dict()), before, strict=True):
        assert all(torch.equal(now[name], then[name]) for name in then)
    assert all(parameter.grad.eq(1).all() for parameter in [*network.parameters(), *rule.parameters()])
    again.begin_step(4)
    assert torch.equal(rule.normal(torch.empty(3)), again.normal(torch.empty(3)))


class Two(Block):
    """Two synapses, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = LinearSynapse(4, 4), LinearSynapse(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.second(self.first(x))
        return found


def test_feedback_is_compared_where_errors_pass_it() -> None:
    plain_first = Network([Layer(LinearSynapse(4, 4)), Two(), Layer(LinearSynapse(4, 3))], (4,))
    block_first = Network([Two(), Layer(LinearSynapse(4, 3))], (4,))
    for network, layers in ((plain_first, {1, 2}), (block_first, {0, 1})):
        same = [[synapse.weight for synapse in layer.synapses] for layer in network]
        opposite = [[-weight for weight in weights] for weights in same]
        assert feedback_angle(network, same) == pytest.approx(dict.fromkeys(layers, 0.0), abs=1e-4)
        assert feedback_angle(network, opposite) == pytest.approx(dict.fromkeys(layers, 180.0), abs=1e-4)
