"""Oracle: torch's autograd, with synapses whose value is W x and whose derivative is B's; and plain backprop.

What all rules with feedback weights have in common, on a convolutional net with stride, padding, dilation and groups,
on sequences (Linear on 3-D inputs), and on a net with a block of two synapses.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from plasticode.bioplausible.chained_error import returns_errors
from plasticode.bioplausible.check import check_learning_rule
from plasticode.bioplausible.layer import Block, Layer
from plasticode.bioplausible.network import Network
from plasticode.bioplausible.rule import LearningRule
from plasticode.bioplausible.rules.direct_feedback_alignment import DirectFeedbackAlignment
from plasticode.bioplausible.rules.feedback_alignment import FeedbackAlignment
from plasticode.bioplausible.rules.kolen_pollack import KolenPollack
from plasticode.bioplausible.rules.sign_symmetry import SignSymmetry
from plasticode.bioplausible.rules.weight_mirror import WeightMirror
from plasticode.bioplausible.synapse import ConvSynapse, LinearSynapse, Synapse
from torch import Tensor, nn

MakeRule = Callable[..., LearningRule]
SIGNS: dict[str, MakeRule] = {
    "uSF": lambda seed=0: SignSymmetry("uSF", seed),
    "brSF": lambda seed=0: SignSymmetry("brSF", seed),
    "frSF": lambda seed=0: SignSymmetry("frSF", seed),
}
FREE: dict[str, MakeRule] = {
    "feedback alignment": lambda seed=0: FeedbackAlignment(seed),
    "weight mirror": lambda seed=0: WeightMirror(seed=seed),
    "Kolen-Pollack": lambda seed=0: KolenPollack(seed),
}
CHAINED = SIGNS | FREE
ALL = CHAINED | {"direct": lambda seed=0: DirectFeedbackAlignment(seed)}


class Residual(Block):
    """x + W_2 tanh(W_1 x)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = LinearSynapse(width, width + 1), LinearSynapse(width + 1, width)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = x + self.second(torch.tanh(self.first(x)))
        return found


def convolutional() -> Network:
    layers = [
        Layer(ConvSynapse(2, 4, 3, stride=2, padding=1), nn.Tanh()),
        Layer(ConvSynapse(4, 6, 3, padding=2, dilation=2, groups=2), nn.Tanh(), after=nn.AvgPool2d(2)),
        Layer(LinearSynapse(6 * 2 * 2, 5), nn.Tanh(), before=nn.Flatten()),
        Layer(LinearSynapse(5, 3)),
    ]
    return Network(layers, (2, 7, 7))


def sequential() -> Network:
    layers = [Layer(LinearSynapse(4, 6), nn.Tanh()), Layer(LinearSynapse(6, 5), nn.Tanh()), Layer(LinearSynapse(5, 3))]
    return Network(layers, (5, 4))


def with_block() -> Network:
    return Network([Layer(LinearSynapse(4, 5), nn.Tanh()), Residual(5), Layer(LinearSynapse(5, 3))], (4,))


def block_first() -> Network:
    return Network([Residual(4), Layer(LinearSynapse(4, 3))], (4,))


NETWORKS = [convolutional, sequential, with_block, block_first]
MakeNetwork = Callable[[], Network]


def made(make_network: MakeNetwork) -> tuple[Network, Tensor, Tensor]:
    """The network in float64, inputs and targets."""
    torch.manual_seed(3)
    network = make_network().double()
    x = torch.randn(6, *network.example, dtype=torch.float64)
    return network, x, torch.randint(3, (6, *network.shapes()[-1][:-1]))


def update(rule: LearningRule, network: Network, x: Tensor, target: Tensor) -> list[Tensor]:
    network.zero_grad()
    rule.begin_step(1)
    rule.assign_gradients(network, x, target)
    return [parameter.grad for parameter in network.parameters()]


def backprop(network: Network, x: Tensor, target: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(network.objective.loss(network(x), target), list(network.parameters())))


def with_derivative_of(synapse: Synapse, feedback: Tensor) -> Callable[[Tensor], Tensor]:
    """W x + b, which autograd differentiates by x as if it were B x."""

    def forward(x: Tensor) -> Tensor:
        by_feedback = synapse.drive(x, feedback, None)
        return synapse.drive(x.detach(), synapse.weight, synapse.bias) + by_feedback - by_feedback.detach()

    return forward


@pytest.mark.parametrize("make_network", NETWORKS)
@pytest.mark.parametrize("name", CHAINED)
def test_errors_return_through_feedback_and_changes_are_products_of_activity_and_error(
    name: str, make_network: MakeNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, x, target = made(make_network)
    rule = CHAINED[name]()
    rule.bind(network)
    found = update(rule, network, x, target)
    feedback = rule.feedback(network)
    assert feedback is not None
    for layer, weights in zip(network, feedback, strict=True):
        for synapse, weight in zip(layer.synapses, weights, strict=True):
            monkeypatch.setattr(synapse, "forward", with_derivative_of(synapse, weight))
    torch.testing.assert_close(found, backprop(network, x, target))


@pytest.mark.parametrize("make_network", NETWORKS)
@pytest.mark.parametrize("name", FREE)
def test_with_feedback_equal_to_the_weights_it_is_backprop(name: str, make_network: MakeNetwork) -> None:
    network, x, target = made(make_network)
    rule = FREE[name]()
    rule.bind(network)
    exact = backprop(network, x, target)
    assert (update(rule, network, x, target)[0] - exact[0]).norm() > 0.1 * exact[0].norm()
    for layer, weights in zip(network, rule.feedback(network) or [], strict=True):
        for synapse, weight in zip(layer.synapses, weights, strict=True):
            weight.copy_(synapse.weight.detach())
    torch.testing.assert_close(update(rule, network, x, target), exact)


@pytest.mark.parametrize("make_network", NETWORKS)
@pytest.mark.parametrize("name", SIGNS)
def test_with_weights_of_the_feedback_s_sizes_sign_symmetry_is_backprop(name: str, make_network: MakeNetwork) -> None:
    network, x, target = made(make_network)
    rule = SIGNS[name]()
    rule.bind(network)
    update(rule, network, x, target)  # brSF draws its sizes of step 1
    for layer, weights in zip(network, rule.feedback(network) or [], strict=True):
        for synapse, weight in zip(layer.synapses, weights, strict=True):
            synapse.weight.data.copy_(weight)
    torch.testing.assert_close(update(rule, network, x, target), backprop(network, x, target))


@pytest.mark.parametrize("make_network", NETWORKS)
@pytest.mark.parametrize("name", ALL)
def test_the_last_layer_s_gradient_is_exact(name: str, make_network: MakeNetwork) -> None:
    network, x, target = made(make_network)
    rule = ALL[name]()
    rule.bind(network)
    found, exact = update(rule, network, x, target), backprop(network, x, target)
    torch.testing.assert_close(found[-2:], exact[-2:])
    assert (found[0] - exact[0]).norm() > 0.1 * exact[0].norm()


@pytest.mark.parametrize("name", ALL)
def test_feedback_is_in_the_rule_s_state_and_not_among_the_network_s_parameters(name: str) -> None:
    network, x, target = made(with_block)
    names = set(network.state_dict())
    rule, another = ALL[name](seed=0), ALL[name](seed=1)
    rule.bind(network)
    another.bind(network)
    assert set(network.state_dict()) == names
    assert not {id(p) for p in rule.parameters()} & {id(p) for p in network.parameters()}
    expected = update(rule, network, x, target)
    if name not in ("uSF", "brSF"):  # of which nothing is drawn for good
        assert not torch.equal(update(another, network, x, target)[0], expected[0])
    another.load_state_dict(rule.state_dict())
    another.seed = 0
    torch.testing.assert_close(update(another, network, x, target), expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["feedback alignment", "direct", "uSF", "brSF", "frSF"])
def test_fixed_feedback_is_no_parameter_so_that_nothing_decays_it(name: str) -> None:
    network, _, _ = made(with_block)
    rule = ALL[name]()
    rule.bind(network)
    assert list(rule.parameters()) == []
    assert list(rule.buffers())


@pytest.mark.parametrize("name", ALL)
def test_every_promise_of_a_rule_is_kept_also_with_convolutions_and_blocks(name: str) -> None:
    for make_network in (convolutional, with_block):
        check_learning_rule(ALL[name], lambda make=make_network: made(make)[0])


def test_only_a_plain_first_layer_has_feedback_that_is_not_used() -> None:
    assert returns_errors(convolutional()) == [False, True, True, True]
    assert returns_errors(block_first()) == [True, True]
