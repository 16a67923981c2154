"""Predictive coding against autograd of its energy, and its two exact forms against backprop."""

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
from plasticode.bioplausible.rules.predictive_coding import (
    FixedPredictionPredictiveCoding,
    PredictiveCoding,
    ZeroDivergencePredictiveCoding,
)
from plasticode.bioplausible.synapse import ConvSynapse, LinearSynapse
from plasticode.datasets.errors import WrongArgument
from torch import Tensor, nn

Case = tuple[Network, Tensor, Tensor]
OBJECTIVES = [CrossEntropy, SquaredError]


class Residual(Block):
    """x + V tanh(W x): two synapses, one node."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = LinearSynapse(width, width), LinearSynapse(width, width)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = x + self.second(torch.tanh(self.first(x)))
        return found


def dense(objective: Objective) -> Case:
    x = torch.randn(4, 5, dtype=torch.float64)
    return MLP([5, 7, 6, 4, 3], objective=objective).double(), x, torch.tensor([0, 2, 1, 1])


def convolutional(objective: Objective) -> Case:
    layers = [
        Layer(ConvSynapse(2, 4, 3, stride=2, padding=1), nn.Tanh()),
        Layer(ConvSynapse(4, 4, 3, padding=1, groups=2), nn.ReLU(), after=nn.MaxPool2d(2)),
        Layer(LinearSynapse(16, 3), before=nn.Flatten()),
    ]
    x = torch.randn(3, 2, 8, 8, dtype=torch.float64)
    return Network(layers, (2, 8, 8), objective).double(), x, torch.tensor([2, 0, 1])


def sequential(objective: Objective) -> Case:
    layers = [Layer(LinearSynapse(5, 6), nn.Tanh()), Residual(6), Layer(LinearSynapse(6, 3))]
    x = torch.randn(2, 4, 5, dtype=torch.float64)
    return Network(layers, (4, 5), objective).double(), x, torch.randint(3, (2, 4))


CASES = [dense, convolutional, sequential]
COURSE = [3, 4, 5, 6, 7, 8, 10, 14, 20, 40]  # inference steps


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def update(rule: LearningRule, case: Case) -> list[Tensor]:
    network, x, target = case
    rule.bind(network)
    network.zero_grad()
    rule.assign_gradients(network, x, target)
    return [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None]


def energy(case: Case, nodes: list[Tensor]) -> Tensor:
    """The paper's energy, written from the layers' forward passes alone; a sum over samples and characters."""
    network, x, target = case
    *hidden, readout = network
    total = torch.zeros((), dtype=x.dtype)
    for layer, node in zip(hidden, nodes, strict=True):
        total = total + 0.5 * (node - layer(x)).square().sum()
        x = node
    return total + network.objective.loss(readout(x), target) * target.numel()


def relaxed(rule: PredictiveCoding, case: Case) -> list[Tensor]:
    network, x, target = case
    return rule.relax(network, network.record(x), target)[0]


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("make", CASES)
def test_fixed_prediction_with_step_one_is_backprop(make, objective):
    case = make(objective())
    found = update(FixedPredictionPredictiveCoding(), case)
    for ours, exact in zip(found, update(Backprop(), case), strict=True):
        torch.testing.assert_close(ours, exact, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("make", CASES)
def test_zero_divergence_is_backprop(make, objective):
    case = make(objective())
    found = update(ZeroDivergencePredictiveCoding(), case)
    for ours, exact in zip(found, update(Backprop(), case), strict=True):
        torch.testing.assert_close(ours, exact, rtol=1e-9, atol=1e-12)


def test_fixed_prediction_with_small_steps_becomes_backprop_as_it_converges():
    case = dense(CrossEntropy())
    exact = torch.cat([g.flatten() for g in update(Backprop(), case)])
    gaps = []
    for steps in (4, 20, 120):
        found = torch.cat([g.flatten() for g in update(FixedPredictionPredictiveCoding(steps, 0.4), case)])
        gaps.append(float((found - exact).norm() / exact.norm()))
    assert gaps[0] > 0.1
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 1e-9


def test_strict_predictive_coding_is_not_backprop():
    case = dense(CrossEntropy())
    found = zip(update(PredictiveCoding(30, 0.1), case), update(Backprop(), case), strict=True)
    assert max(float((ours - exact).abs().max()) for ours, exact in found) > 1e-3


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("make", CASES)
def test_the_weight_update_is_the_gradient_of_the_energy_at_the_relaxed_nodes(make, objective):
    case = make(objective())
    rule = PredictiveCoding(12, 0.1)
    found = update(rule, case)
    total = energy(case, relaxed(rule, case)) / case[2].numel()
    exact = torch.autograd.grad(total, list(case[0].parameters()))
    for ours, theirs in zip(found, exact, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("make", CASES)
def test_the_energy_never_rises_during_inference_with_small_steps(make, objective):
    case = make(objective())
    course = [energy(case, relaxed(PredictiveCoding(steps, 0.03), case)).item() for steps in COURSE]
    assert all(later <= earlier for earlier, later in pairwise(course))
    assert course[-1] < 0.99 * course[0]


def test_inference_ends_where_the_energy_is_stationary():
    case = dense(SquaredError())
    nodes = [node.requires_grad_() for node in relaxed(PredictiveCoding(1500, 0.1), case)]
    for slope in torch.autograd.grad(energy(case, nodes), nodes):
        assert float(slope.abs().max()) < 1e-10


def test_squared_error_is_a_clamped_output():
    network, x, target = dense(SquaredError())
    nodes = relaxed(PredictiveCoding(10, 0.1), (network, x, target))
    clamped = nn.functional.one_hot(target, 3).double()
    ends = [*nodes, clamped]
    by_hand = sum(
        0.5 * (end - layer(start)).square().sum() for layer, start, end in zip(network, [x, *nodes], ends, strict=True)
    )
    torch.testing.assert_close(by_hand, energy((network, x, target), nodes))


def test_an_error_climbs_down_one_layer_a_step():
    case = dense(CrossEntropy())
    network, x, _ = case
    start = [trace.y for trace in network.record(x)]
    for steps in (1, 2, 3):
        moved = [not torch.equal(a, b) for a, b in zip(relaxed(PredictiveCoding(steps), case), start, strict=False)]
        assert moved == [3 - place <= steps for place in range(3)]


@pytest.mark.parametrize("rule", [PredictiveCoding, FixedPredictionPredictiveCoding])
def test_fewer_steps_than_layers_are_refused_with_the_reason(rule):
    network, _, _ = dense(CrossEntropy())
    with pytest.raises(
        WrongArgument, match=r"an error needs 4 inference steps, one a layer, to the first, and steps is 3"
    ):
        rule(steps=3).bind(network)
    rule(steps=4).bind(network)


def test_steps_and_step_size_must_be_positive():
    with pytest.raises(WrongArgument, match="must be positive"):
        PredictiveCoding(step_size=0.0)
    with pytest.raises(WrongArgument, match="must be positive"):
        PredictiveCoding(steps=0)


@pytest.mark.parametrize("rule", [PredictiveCoding, FixedPredictionPredictiveCoding, ZeroDivergencePredictiveCoding])
def test_two_halves_of_a_batch_average_to_the_whole(rule):
    network, x, target = dense(CrossEntropy())
    whole = update(rule(), (network, x, target))
    halves = [update(rule(), (network, x[part], target[part])) for part in (slice(0, 2), slice(2, 4))]
    for all_of_it, one, other in zip(whole, *halves, strict=True):
        torch.testing.assert_close((one + other) / 2, all_of_it)


def test_the_labels_say_which_forms_are_backprop():
    assert not PredictiveCoding.facts.equals_backprop
    assert FixedPredictionPredictiveCoding.facts.equals_backprop
    assert ZeroDivergencePredictiveCoding.facts.equals_backprop
