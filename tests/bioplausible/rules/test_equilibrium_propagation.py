"""Equilibrium propagation against backpropagation through the free dynamics, and against closed forms."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from plasticode.bioplausible.architectures import MLP
from plasticode.bioplausible.layer import Block, Layer
from plasticode.bioplausible.network import Network
from plasticode.bioplausible.objective import CrossEntropy, Objective, SquaredError
from plasticode.bioplausible.relaxation import Populations
from plasticode.bioplausible.rule import LearningRule
from plasticode.bioplausible.rules.equilibrium_propagation import (
    EquilibriumPropagation,
    EquilibriumPropagationSeparateWeights,
)
from plasticode.bioplausible.synapse import ConvSynapse, LinearSynapse
from plasticode.datasets.errors import WrongArgument
from torch import Tensor, nn

Case = tuple[Network, Tensor, Tensor]
OBJECTIVES = [CrossEntropy, SquaredError]
LONG = {"free_steps": 150, "nudged_steps": 100, "feedback_gain": 1.0}


def dense(objective: Objective) -> Case:
    x = torch.randn(4, 5, dtype=torch.float64)
    return calm(MLP([5, 7, 6, 3], objective=objective)), x, torch.tensor([0, 2, 1, 1])


def convolutional(objective: Objective) -> Case:
    layers = [
        Layer(ConvSynapse(2, 4, 3, padding=1), nn.Tanh(), after=nn.MaxPool2d(2)),
        Layer(ConvSynapse(4, 4, 3, stride=2, padding=1, groups=2), nn.Sigmoid()),
        Layer(LinearSynapse(16, 3), before=nn.Flatten()),
    ]
    x = torch.randn(3, 2, 8, 8, dtype=torch.float64)
    return calm(Network(layers, (2, 8, 8), objective)), x, torch.tensor([2, 0, 1])


def sequential(objective: Objective) -> Case:
    x = torch.randn(2, 4, 5, dtype=torch.float64)
    return calm(MLP([5, 6, 3], example=(4, 5), objective=objective), nn.Identity()), x, torch.randint(3, (2, 4))


def calm(network: Network, before: nn.Module | None = None) -> Network:
    """Weights small enough that there is one fixed point, reached fast."""
    if before is not None:
        network.layers[0].before = before
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(0.5)
    return network.double()


CASES = [dense, convolutional, sequential]


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def update(rule: LearningRule, case: Case) -> list[Tensor]:
    network, x, target = case
    if not list(rule.parameters()):
        rule.bind(network)
    network.zero_grad()
    rule.assign_gradients(network, x, target)
    return [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None]


def way_down(layer: Layer, below: Tensor, above: Tensor) -> Tensor:
    """d (above . pool(W * below)) / d below, differentiable once more."""
    phi = (above * layer.after(layer.synapse(layer.before(below)))).sum()
    return torch.autograd.grad(phi, below, create_graph=True)[0]


def through_time(case: Case, gain: float = 1.0, steps: int = 200) -> list[Tensor]:
    """The loss's gradient by backpropagation through simultaneous free dynamics from zero, from the equations."""
    network, x, target = case
    outside = isinstance(network.objective, CrossEntropy)
    layers = list(network)[:-1] if outside else list(network)
    states = [torch.zeros(len(x), *shape, dtype=x.dtype).requires_grad_() for shape in network.shapes()[: len(layers)]]
    for _ in range(steps):
        new = []
        for place, (layer, below) in enumerate(zip(layers, [x, *states], strict=False)):
            current = layer.after(layer.synapse(layer.before(below)))
            if place + 1 < len(layers):
                current = current + gain * way_down(layers[place + 1], states[place], states[place + 1])
            new.append(layer.nonlinearity(current))
        states = new
    output = network.layers[-1](states[-1]) if outside else states[-1]
    return list(torch.autograd.grad(network.objective.loss(output, target), list(network.parameters())))


def gap(found: list[Tensor], exact: list[Tensor]) -> float:
    flat, wanted = (torch.cat([value.flatten() for value in values]) for values in (found, exact))
    return ((flat - wanted).norm() / wanted.norm()).item()


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("make", CASES)
def test_as_beta_vanishes_it_is_backpropagation_through_time_with_an_error_of_second_order(make, objective):
    case = make(objective())
    exact = through_time(case)
    gaps = [gap(update(EquilibriumPropagation(beta=beta, **LONG), case), exact) for beta in (0.1, 0.05, 0.025)]
    assert gaps[-1] < 1e-2
    for wide, narrow in pairwise(gaps):
        assert wide / narrow == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_gain_of_the_drive_from_above_leaves_the_estimate_exact(objective):
    case = dense(objective())
    found = update(EquilibriumPropagation(beta=1e-3, **{**LONG, "feedback_gain": 0.3}), case)
    assert gap(found, through_time(case, 0.3)) < 1e-5
    assert gap(found, through_time(case, 1.0)) > 1e-2


def test_the_hard_sigmoid_takes_the_place_of_each_layers_nonlinearity():
    network, x, target = dense(CrossEntropy())
    twin = MLP([5, 7, 6, 3]).double()
    twin.load_state_dict(network.state_dict())
    for layer in twin.layers[:-1]:
        layer.nonlinearity = nn.Hardtanh(0.0, 1.0)
    found = update(EquilibriumPropagation(activation="hard sigmoid"), (network, x, target))
    for ours, theirs in zip(found, update(EquilibriumPropagation(), (twin, x, target)), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("make", CASES)
def test_the_free_phase_ends_at_a_fixed_point_and_both_nudged_phases_start_there(make, objective, monkeypatch):
    case = make(objective())
    network, x, _ = case
    starts = []
    settle = Populations.settle

    def spied(self, sweeps, top=None):
        if top is not None:
            starts.append([state.clone() for state in self.states])
        return settle(self, sweeps, top)

    monkeypatch.setattr(Populations, "settle", spied)
    rule = EquilibriumPropagation(beta=0.3, **LONG)
    update(rule, case)
    assert rule.residual is not None
    assert rule.residual < 1e-10
    up, down = starts
    assert all(torch.equal(a, b) for a, b in zip(up, down, strict=True))
    for place, state in enumerate(up):
        layer = network.layers[place]
        drive = layer.after(layer.synapse(layer.before([x, *up][place])))
        if place + 1 < len(up):
            drive = drive + way_down(network.layers[place + 1], state.requires_grad_(), up[place + 1])
        torch.testing.assert_close(layer.nonlinearity(drive), state)


def test_the_residual_tells_of_a_free_phase_that_was_too_short():
    rule = EquilibriumPropagation(free_steps=2, feedback_gain=1.0)
    update(rule, dense(SquaredError()))
    assert rule.residual is not None
    assert rule.residual > 1e-4


def test_on_one_linear_layer_the_estimate_is_the_gradient_over_one_minus_beta_squared():
    network, x, target = MLP([5, 3], objective=SquaredError()).double(), *dense(SquaredError())[1:]
    error = network(x) - nn.functional.one_hot(target, 3)
    for beta in (0.5, 0.1):
        found = update(EquilibriumPropagation(beta=beta, free_steps=2, nudged_steps=80), (network, x, target))
        torch.testing.assert_close(found[0], error.T @ x / 4 / (1 - beta**2))
        torch.testing.assert_close(found[1], error.mean(0) / (1 - beta**2))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_inference_reads_the_relaxed_state(objective):
    network, x, target = dense(objective())
    rule = EquilibriumPropagation(**LONG)
    found = rule.assign_gradients(network, x, target)
    torch.testing.assert_close(network.objective.loss(rule.infer(network, x), target), found)
    assert not torch.allclose(rule.infer(network, x), network(x), atol=1e-3)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_separate_weights_equal_to_the_forward_ones_give_the_symmetric_update_for_both(objective):
    case = convolutional(objective())
    network = case[0]
    rule = EquilibriumPropagationSeparateWeights(beta=0.3)
    rule.bind(network)
    with torch.no_grad():
        for backward, layer in zip(rule.backward_weights, network.layers[1:], strict=True):
            backward.copy_(layer.synapse.weight)
    found = update(rule, case)
    for ours, theirs in zip(found, update(EquilibriumPropagation(beta=0.3), case), strict=True):
        torch.testing.assert_close(ours, theirs)
    for backward, layer in zip(rule.backward_weights, network.layers[1:], strict=True):
        assert torch.equal(backward.grad, layer.synapse.weight.grad)


def test_the_difference_of_forward_and_backward_weights_shrinks_by_the_decay_alone():
    network, x, target = dense(CrossEntropy())
    rule = EquilibriumPropagationSeparateWeights()
    rule.bind(network)
    optimiser = torch.optim.SGD(rule.parameter_groups(network, {"lr": 0.1, "weight_decay": 0.5}))
    pairs = [(layer.synapse.weight, b) for layer, b in zip(network.layers[1:], rule.backward_weights, strict=True)]
    before = [(weight - backward).detach() for weight, backward in pairs]
    for _ in range(5):
        optimiser.zero_grad()
        rule.assign_gradients(network, x, target)
        optimiser.step()
    for (weight, backward), difference in zip(pairs, before, strict=True):
        torch.testing.assert_close((weight - backward).detach(), difference * 0.95**5)


def test_separate_weights_that_differ_give_another_update_and_accumulate_like_any_gradient():
    case = dense(CrossEntropy())
    rule = EquilibriumPropagationSeparateWeights(feedback_gain=1.0)
    once = update(rule, case)
    assert gap(once, update(EquilibriumPropagation(feedback_gain=1.0), case)) > 1e-2
    backward = [weight.grad.clone() for weight in rule.backward_weights if weight.grad is not None]
    rule.zero_grad()
    update(rule, case)
    rule.assign_gradients(*case)
    for parameter, single in zip(case[0].parameters(), once, strict=True):
        torch.testing.assert_close(parameter.grad, 2 * single)
    for weight, single in zip(rule.backward_weights, backward, strict=True):
        torch.testing.assert_close(weight.grad, 2 * single)


def test_what_cannot_settle_is_refused_with_the_reason():
    with pytest.raises(WrongArgument, match=r"layer 1's ReLU is unbounded.*set activation='hard sigmoid'"):
        EquilibriumPropagation().bind(MLP([5, 4, 3], "relu"))
    EquilibriumPropagation(activation="hard sigmoid").bind(MLP([5, 4, 3], "relu"))
    with pytest.raises(WrongArgument, match="no hidden layer to nudge"):
        EquilibriumPropagation().bind(MLP([5, 3]))
    with pytest.raises(WrongArgument, match="layer 1 is a block of several synapses"):
        EquilibriumPropagation().bind(Network([Block(), Layer(LinearSynapse(4, 3))], (4,)))
    with pytest.raises(WrongArgument, match="no activation 'swish'"):
        EquilibriumPropagation(activation="swish")
    with pytest.raises(WrongArgument, match="beta in"):
        EquilibriumPropagation(beta=1.5)
