"""Oracles: autograd of the losses in the docstring, Gauss-Newton, torch's transposed convolution, backprop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from plasticode.bioplausible.architectures import MLP
from plasticode.bioplausible.check import check_learning_rule
from plasticode.bioplausible.layer import Block, Layer
from plasticode.bioplausible.network import Network
from plasticode.bioplausible.objective import SquaredError
from plasticode.bioplausible.rules.backprop import Backprop
from plasticode.bioplausible.rules.difference_target_propagation import DifferenceTargetPropagation
from plasticode.bioplausible.synapse import ConvSynapse, LinearSynapse
from plasticode.datasets.errors import WrongArgument
from torch import Tensor, nn

Case = tuple[Network, Tensor, Tensor]
FORMS = [
    {"learned_inverse": learned, "difference": difference, "through_readout": through}
    for learned in (True, False)
    for difference in (True, False)
    for through in (True, False)
]


def dense() -> Case:
    return MLP([5, 7, 6, 4, 3], seed=2).double(), torch.randn(4, 5, dtype=torch.float64), torch.tensor([0, 2, 1, 1])


def convolutional() -> Case:
    layers = [
        Layer(ConvSynapse(1, 4, 3), nn.Tanh()),
        Layer(ConvSynapse(4, 6, 3, stride=2, padding=1, groups=2), nn.Tanh(), after=nn.MaxPool2d(2)),
        Layer(LinearSynapse(24, 5), nn.Tanh(), before=nn.Flatten()),
        Layer(LinearSynapse(5, 3)),
    ]
    return (
        Network(layers, (1, 10, 10)).double(),
        torch.randn(3, 1, 10, 10, dtype=torch.float64),
        torch.tensor([2, 0, 1]),
    )


def sequential() -> Case:
    layers = [Layer(LinearSynapse(5, 6), nn.Tanh()), Layer(LinearSynapse(6, 4), nn.Tanh()), Layer(LinearSynapse(4, 3))]
    return Network(layers, (4, 5)).double(), torch.randn(2, 4, 5, dtype=torch.float64), torch.randint(3, (2, 4))


CASES = [dense, convolutional, sequential]


def bound(case: Callable[[], Case], **arguments: Any) -> tuple[DifferenceTargetPropagation, Case]:
    torch.manual_seed(0)
    made, rule = case(), DifferenceTargetPropagation(**arguments)
    rule.bind(made[0])
    return rule, made


def outputs_of(network: Network, x: Tensor) -> list[Tensor]:
    return [trace.y for trace in network.record(x)]


def goals(rule: DifferenceTargetPropagation, network: Network, x: Tensor, target: Tensor) -> list[Tensor]:
    """Targets of the hidden layers, from backprop's own derivative at the first of them."""
    x = x.detach()
    hidden = []
    for layer in network:
        x = layer(x)
        x.retain_grad()
        hidden.append(x)
    (network.objective.loss(x, target) * target.numel()).backward()
    start = hidden[-2 if rule.through_readout else -1]
    network.zero_grad(set_to_none=True)
    with torch.no_grad():
        return rule.targets(network, [h.detach() for h in hidden], (start - rule.step * start.grad).detach())


def test_with_exact_inverses_targets_are_gauss_newton_steps() -> None:
    """A step of -eta (J^T J)^-1 J^T dL/dy, J being the derivative of the output by the layer."""
    rule, (network, x, target) = bound(lambda: square(SquaredError()), through_readout=False, step=0.3)
    with torch.no_grad():
        for place, inverse in rule.inverses.items():
            layer = network.layers[int(place)]
            inverse.weight.copy_(torch.linalg.inv(layer.synapse.weight).T)
            inverse.bias.copy_(-torch.linalg.solve(layer.synapse.weight, layer.synapse.bias))
    found = goals(rule, network, x, target)
    outputs = outputs_of(network, x)
    error = outputs[-1] - torch.eye(4, dtype=torch.float64)[target]
    for place, (goal, h) in enumerate(zip(found, outputs, strict=False)):
        rest = list(network)[place + 1 :]
        jacobian = torch.linalg.multi_dot(
            [layer.synapse.weight.detach() for layer in reversed(rest)] + [torch.eye(4).double()]
        )
        newton = torch.linalg.solve(jacobian.T @ jacobian, jacobian.T @ error.T).T
        torch.testing.assert_close(goal - h, -0.3 * newton)


def square(objective: SquaredError) -> Case:
    layers = [Layer(LinearSynapse(4, 4)) for _ in range(4)]
    network = Network(layers, (4,), objective).double()
    return network, torch.randn(3, 4, dtype=torch.float64), torch.tensor([3, 0, 1])


def test_with_exact_inverses_plain_and_difference_targets_are_the_same() -> None:
    found = []
    for difference in (True, False):
        rule, (network, x, target) = bound(lambda: square(SquaredError()), difference=difference, through_readout=False)
        with torch.no_grad():
            for place, inverse in rule.inverses.items():
                synapse = network.layers[int(place)].synapse
                inverse.weight.copy_(torch.linalg.inv(synapse.weight).T)
                inverse.bias.copy_(-torch.linalg.solve(synapse.weight, synapse.bias))
        found.append(goals(rule, network, x, target))
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("through", [True, False])
def test_without_an_output_error_the_difference_leaves_every_layer_as_it_is_and_plain_targets_are_biased(
    case: Callable[[], Case], through: bool
) -> None:
    for difference in (True, False):
        rule, (network, x, _) = bound(case, difference=difference, through_readout=through)
        outputs = outputs_of(network, x)
        with torch.no_grad():
            found = rule.targets(network, outputs, outputs[-2 if through else -1])
        moved = [not torch.equal(goal, h) for goal, h in zip(found, outputs, strict=False)]
        if difference:
            torch.testing.assert_close(found, outputs[:-1], rtol=0, atol=1e-15)
        else:
            assert moved == [place < len(network) - 1 - through for place in range(len(network) - 1)]
            assert (found[0] - outputs[0]).norm() > 0.1 * outputs[0].norm()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("form", FORMS)
def test_hidden_layers_descend_the_distance_to_their_targets_and_the_readout_the_loss(
    case: Callable[[], Case], form: dict[str, bool]
) -> None:
    rule, (network, x, target) = bound(case, **form)
    wanted_goals, outputs, n = goals(rule, network, x, target), outputs_of(network, x), target.numel()
    rule.assign_gradients(network, x, target)
    for place, layer in enumerate(network):
        y = layer(x if place == 0 else outputs[place - 1])
        last = place == len(network) - 1
        loss = network.objective.loss(y, target) if last else 0.5 * (y - wanted_goals[place]).square().sum() / n
        wanted = torch.autograd.grad(loss, list(layer.parameters()))
        for parameter, gradient in zip(layer.parameters(), wanted, strict=True):
            torch.testing.assert_close(parameter.grad, gradient)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("through", [True, False])
def test_inverses_descend_the_reconstruction_under_noise(case: Callable[[], Case], through: bool) -> None:
    rule, (network, x, target) = bound(case, through_readout=through, noise=0.4)
    rule.begin_step(7)
    rule.assign_gradients(network, x, target)
    rule.begin_step(7)
    outputs, layers = outputs_of(network, x), list(network)
    assert list(rule.inverses) == [str(i) for i in range(1, len(network) - through)]
    for place, inverse in rule.inverses.items():
        h = outputs[int(place) - 1]
        noisy = h + 0.4 * rule.normal(h)
        above = layers[int(place)](noisy).detach()
        back = reference(inverse, layers[int(place)], layers[int(place) - 1], above, h)
        loss = 0.5 * (back - noisy).square().flatten(1).sum(1).sum() / target.numel()
        wanted = torch.autograd.grad(loss, [inverse.weight, inverse.bias])
        torch.testing.assert_close([inverse.weight.grad, inverse.bias.grad], list(wanted))


def reference(inverse: nn.Module, layer: Layer, below: Layer, value: Tensor, x: Tensor) -> Tensor:
    """g by torch's own transposed convolution, unpooling by repeat_interleave."""
    if isinstance(layer.synapse, LinearSynapse):
        back = value @ inverse.weight + inverse.bias
    else:
        spread = value.repeat_interleave(2, 2).repeat_interleave(2, 3)
        stride, padding, dilation, groups = layer.synapse.shape
        back = nn.functional.conv_transpose2d(
            spread, inverse.weight, inverse.bias.flatten(), stride, padding, (1, 1), groups, dilation
        )
    return below.nonlinearity(back.reshape(x.shape))


def test_learning_brings_the_reconstruction_of_a_linear_layer_to_its_least_squares() -> None:
    """For white noise of any size and a square invertible layer the least is zero: V tends to the inverse."""
    torch.manual_seed(0)
    layers = [Layer(LinearSynapse(3, 3, bias=False)) for _ in range(2)]
    network, rule = (
        Network([*layers, Layer(LinearSynapse(3, 2))], (3,)).double(),
        DifferenceTargetPropagation(noise=1.0),
    )
    with torch.no_grad():
        network.layers[1].synapse.weight.copy_(torch.eye(3) + 0.3 * torch.randn(3, 3))
    rule.bind(network)
    optimiser = torch.optim.SGD(rule.parameters(), lr=0.3)
    for step in range(300):
        optimiser.zero_grad()
        rule.begin_step(step)
        rule.assign_gradients(network, torch.randn(32, 3, dtype=torch.float64), torch.randint(2, (32,)))
        optimiser.step()
    exact = torch.linalg.inv(network.layers[1].synapse.weight).T
    assert (rule.inverses["1"].weight - exact).norm() < 1e-3 * exact.norm()


def test_in_the_paper_s_variant_one_hidden_layer_is_trained_by_backprop_and_in_the_pure_one_it_is_not() -> None:
    for through in (True, False):
        rule, (network, x, target) = bound(
            lambda: (MLP([5, 6, 3], seed=1).double(), torch.randn(4, 5).double(), torch.tensor([0, 2, 1, 1])),
            through_readout=through,
            step=0.2,
        )
        rule.assign_gradients(network, x, target)
        found = network.layers[0].synapse.weight.grad.clone()
        network.zero_grad(set_to_none=True)
        Backprop().assign_gradients(network, x, target)
        same = torch.allclose(found, 0.2 * network.layers[0].synapse.weight.grad)
        assert same == through


@pytest.mark.parametrize("case", [dense, convolutional])
def test_a_fixed_inverse_never_changes_and_is_in_the_checkpoint(case: Callable[[], Case]) -> None:
    rule, (network, x, target) = bound(case, learned_inverse=False, through_readout=False)
    before = {name: value.clone() for name, value in rule.state_dict().items()}
    assert {"inverses.1.weight", "inverses.1.bias"} <= before.keys()
    assert not list(rule.parameters())
    optimiser = torch.optim.SGD(rule.parameter_groups(network, {"lr": 0.1, "weight_decay": 0.1}), lr=0.1)
    for step in range(5):
        rule.begin_step(step)
        rule.assign_gradients(network, x, target)
        optimiser.step()
    torch.testing.assert_close(rule.state_dict(), before, rtol=0, atol=0)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", [dense, convolutional])
def test_it_keeps_every_promise_of_a_rule(case: Callable[[], Case], form: dict[str, bool]) -> None:
    outcomes = check_learning_rule(lambda: DifferenceTargetPropagation(**form), lambda: bound(case)[1][0])
    assert {outcome.skipped for outcome in outcomes} <= {None, "reads no images"}


def test_inverses_are_not_drawn_with_the_network_s_numbers() -> None:
    rule, (network, _, _) = bound(lambda: (MLP([6, 6, 6, 6], seed=0).double(), *dense()[1:]), through_readout=False)
    for place, inverse in rule.inverses.items():
        weight = network.layers[int(place)].synapse.weight
        cosine = nn.functional.cosine_similarity(weight.flatten(), inverse.weight.flatten(), dim=0)
        assert abs(cosine) < 0.5


def test_the_weights_of_the_readout_move_targets_below_only_in_the_paper_s_variant() -> None:
    """With the top's error given: through an inverse alone, no forward weight is read on the way down."""
    for through in (True, False):
        rule, (network, x, target) = bound(dense, through_readout=through)
        traces = network.record(x)
        outputs, top = [trace.y for trace in traces], network.objective.error(traces[-1].y, target)
        found = []
        for scale in (1.0, -2.0):
            with torch.no_grad():
                network.layers[-1].synapse.weight.mul_(scale)
            below = network.layers[-1].pull_back(outputs[-2], top)
            first = outputs[-2] - below if through else outputs[-1] - top
            with torch.no_grad():
                found.append(rule.targets(network, outputs, first)[0])
        assert torch.equal(*found) != through


class Pair(Block):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = LinearSynapse(5, 5), LinearSynapse(5, 5)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.second(self.first(x))
        return found


def test_blocks_and_what_cannot_be_undone_are_refused() -> None:
    with pytest.raises(WrongArgument, match="layer 2 is a block of several synapses, and an inverse has one"):
        DifferenceTargetPropagation().bind(
            Network([Layer(LinearSynapse(5, 5)), Pair(), Layer(LinearSynapse(5, 2))], (5,))
        )
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    layers = [Layer(ConvSynapse(1, 2, 3)), Layer(LinearSynapse(2, 4), before=pooled), Layer(LinearSynapse(4, 2))]
    with pytest.raises(WrongArgument, match="layer 2 changes shapes otherwise than by flattening and by pooling"):
        DifferenceTargetPropagation().bind(Network(layers, (1, 6, 6)))


@pytest.mark.parametrize("arguments", [{"step": 0.0}, {"noise": -1.0}])
def test_a_step_of_zero_and_negative_noise_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(WrongArgument, match="Give a step above 0 and a noise of 0 or more"):
        DifferenceTargetPropagation(**arguments)
