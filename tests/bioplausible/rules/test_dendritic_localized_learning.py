"""Oracles: the formulas in matrices, autograd of what feedback ascends, backprop, feedback alignment."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from plasticode.bioplausible.architectures import MLP
from plasticode.bioplausible.check import check_learning_rule
from plasticode.bioplausible.layer import Block, Layer
from plasticode.bioplausible.network import Network
from plasticode.bioplausible.rules.backprop import Backprop
from plasticode.bioplausible.rules.dendritic_localized_learning import DendriticLocalizedLearning
from plasticode.bioplausible.rules.feedback_alignment import FeedbackAlignment
from plasticode.bioplausible.synapse import ConvSynapse, LinearSynapse
from plasticode.bioplausible.trial import gradients
from plasticode.datasets.errors import WrongArgument
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear

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


def sequential() -> Case:
    layers = [Layer(LinearSynapse(5, 6), nn.Tanh()), Layer(LinearSynapse(6, 4), nn.Tanh()), Layer(LinearSynapse(4, 3))]
    return Network(layers, (4, 5)).double(), torch.randn(2, 4, 5, dtype=torch.float64), torch.randint(3, (2, 4))


CASES = [dense, convolutional, sequential]


def bound(case: Callable[[], Case], rate: float = 0.1) -> tuple[DendriticLocalizedLearning, Case]:
    torch.manual_seed(0)
    made, rule = case(), DendriticLocalizedLearning(rate)
    rule.bind(made[0])
    return rule, made


def errors_below(rule: DendriticLocalizedLearning, network: Network, x: Tensor, target: Tensor) -> list[Tensor]:
    """Error of each sample at every layer's output, from the bottom on, with feedback in the weights' place."""
    traces = network.record(x, rule.feedback(network))
    found = [network.objective.error(traces[-1].y, target) * target.numel()]
    for trace in reversed(traces[1:]):
        error = trace.pull_back(found[0], to_weights=False)
        assert error is not None
        found.insert(0, error)
    return found


def test_it_is_the_closed_form_on_a_dense_network() -> None:
    rule, (network, x, target) = bound(dense)
    rule.assign_gradients(network, x, target)
    w = [layer.synapse.weight.detach() for layer in network]
    theta = [weights[0] for weights in rule.feedback(network)]
    u1 = torch.tanh(x @ w[0].T)
    u2 = torch.tanh(u1 @ w[1].T)
    d3 = torch.softmax(u2 @ w[2].T, 1) - torch.eye(3, dtype=torch.float64)[target]
    e2 = d3 @ theta[2]
    d2 = (1 - u2**2) * e2
    e1 = d2 @ theta[1]
    d1 = (1 - u1**2) * e1
    for layer, d, u in zip(network, (d1, d2, d3), (x, u1, u2), strict=True):
        torch.testing.assert_close(layer.synapse.weight.grad, d.T @ u / 4)
        torch.testing.assert_close(layer.synapse.bias.grad, d.mean(0))
    torch.testing.assert_close(rule.feedback_2_0.grad, -(d3.T @ e2) / 4)
    torch.testing.assert_close(rule.feedback_1_0.grad, -(d2.T @ e1) / 4)
    assert rule.feedback_0_0.grad is None


@pytest.mark.parametrize("case", CASES)
def test_feedback_ascends_half_the_square_of_the_error_that_it_brings(case: Callable[[], Case]) -> None:
    rule, (network, x, target) = bound(case)
    rule.assign_gradients(network, x, target)
    above = errors_below(rule, network, x, target)
    inputs = [x, *(trace.y for trace in network.record(x))]
    for place in range(1, len(network)):
        layer, theta = network.layers[place], rule.feedback(network)[place][0].clone().requires_grad_()
        entry = layer.before(inputs[place]).detach().requires_grad_()
        drive = layer.synapse(entry).detach().requires_grad_()
        (post,) = torch.autograd.grad(layer.after(layer.nonlinearity(drive)), drive, above[place])
        driven = (
            linear(entry, theta)
            if isinstance(layer.synapse, LinearSynapse)
            else conv2d(entry, theta, None, *layer.synapse.shape)
        )
        (brought,) = torch.autograd.grad(driven, entry, post, create_graph=True)
        (uphill,) = torch.autograd.grad(0.5 * brought.square().sum() / target.numel(), theta)
        torch.testing.assert_close(getattr(rule, f"feedback_{place}_0").grad, -uphill)


@pytest.mark.parametrize("case", CASES)
def test_a_step_of_feedback_along_itself_is_the_square_of_the_error_below_so_it_never_shrinks(
    case: Callable[[], Case],
) -> None:
    rule, (network, x, target) = bound(case)
    rule.assign_gradients(network, x, target)
    errors = errors_below(rule, network, x, target)
    for place in range(1, len(network)):
        theta = getattr(rule, f"feedback_{place}_0")
        along = -(theta * theta.grad).sum()
        torch.testing.assert_close(along.detach(), errors[place - 1].square().sum() / target.numel())


@pytest.mark.parametrize("case", CASES)
def test_with_feedback_equal_to_the_weights_the_weights_change_as_in_backprop(case: Callable[[], Case]) -> None:
    rule, (network, x, target) = bound(case)
    reference = Backprop()
    reference.assign_gradients(network, x, target)
    wanted = gradients(reference, network)
    network.zero_grad(set_to_none=True)
    with torch.no_grad():
        for i, layer in enumerate(network):
            getattr(rule, f"feedback_{i}_0").copy_(layer.synapse.weight)
    rule.assign_gradients(network, x, target)
    found = {name: value for name, value in gradients(rule, network).items() if name.startswith("network")}
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("case", CASES)
def test_with_feedback_held_it_is_feedback_alignment(case: Callable[[], Case]) -> None:
    rule, (network, x, target) = bound(case, 0.0)
    rule.assign_gradients(network, x, target)
    found = gradients(rule, network)
    network.zero_grad(set_to_none=True)
    reference = FeedbackAlignment()
    reference.bind(network)
    reference.double()
    reference.assign_gradients(network, x, target)
    assert all(name.startswith("network") for name in found)
    torch.testing.assert_close(found, gradients(reference, network))


def test_twice_the_samples_are_the_same_change_of_feedback() -> None:
    rule, (network, x, target) = bound(dense)
    rule.assign_gradients(network, x, target)
    once = rule.feedback_1_0.grad.clone()
    rule.zero_grad(set_to_none=True)
    rule.assign_gradients(network, torch.cat((x, x)), torch.cat((target, target)))
    torch.testing.assert_close(rule.feedback_1_0.grad, once)


def test_feedback_learns_at_its_share_of_the_rate_and_does_not_decay() -> None:
    rule, (network, _, _) = bound(dense, 0.25)
    forward, feedback = rule.parameter_groups(network, {"lr": 0.4, "weight_decay": 0.2})
    assert (forward["lr"], forward["weight_decay"]) == (0.4, 0.2)
    assert (feedback["lr"], feedback["weight_decay"]) == (0.1, 0.0)
    assert {id(p) for p in feedback["params"]} == {id(rule.feedback_1_0), id(rule.feedback_2_0)}


@pytest.mark.parametrize("rate", [0.0, 0.1])
@pytest.mark.parametrize("case", [dense, convolutional])
def test_it_keeps_every_promise_of_a_rule(case: Callable[[], Case], rate: float) -> None:
    outcomes = check_learning_rule(lambda: DendriticLocalizedLearning(rate), lambda: bound(case)[1][0])
    assert {outcome.skipped for outcome in outcomes} <= {None, "reads no images"}


class Pair(Block):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = LinearSynapse(5, 5), LinearSynapse(5, 5)


def test_a_block_and_a_negative_rate_are_refused() -> None:
    network = Network([Layer(LinearSynapse(5, 5)), Pair()], (5,))
    with pytest.raises(WrongArgument, match="layer 2 is a block of several synapses"):
        DendriticLocalizedLearning().bind(network)
    with pytest.raises(WrongArgument, match="Give 0 or more"):
        DendriticLocalizedLearning(feedback_rate=-1)
