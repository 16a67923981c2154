"""Oracle: torch's autograd on the whole network; what holds for every architecture with blocks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from plasticode.bioplausible.architectures import NONLINEARITIES
from plasticode.bioplausible.check import check_learning_rule
from plasticode.bioplausible.network import Network
from plasticode.bioplausible.recipe import make
from plasticode.bioplausible.rule import LearningRule
from plasticode.bioplausible.rules.backprop import Backprop
from plasticode.bioplausible.rules.direct_feedback_alignment import DirectFeedbackAlignment
from plasticode.bioplausible.rules.feedback_alignment import FeedbackAlignment
from plasticode.bioplausible.rules.forward_forward import ForwardForward
from plasticode.bioplausible.rules.node_perturbation import NodePerturbation
from plasticode.bioplausible.rules.predictive_coding import FixedPredictionPredictiveCoding, PredictiveCoding
from plasticode.bioplausible.rules.sign_symmetry import SignSymmetry
from plasticode.bioplausible.synapse import EmbeddingSynapse
from plasticode.bioplausible.trial import Trial
from plasticode.bioplausible.zoo import SMALL
from plasticode.datasets.errors import WrongArgument
from torch import Tensor

NAMES = ("residual", "recurrent", "transformer")
CHAINED: list[type[LearningRule]] = [FeedbackAlignment, DirectFeedbackAlignment, SignSymmetry]
OTHERS: list[type[LearningRule]] = [PredictiveCoding, NodePerturbation]


@pytest.fixture(params=NAMES)
def make_network(request: pytest.FixtureRequest) -> Callable[[], Network]:
    return SMALL[request.param]


def sample(network: Callable[[], Network]) -> tuple[Network, Tensor, Tensor]:
    return network().double(), *Trial(Backprop, network).batch(3)


def exact(network: Network, x: Tensor, target: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(network.objective.loss(network(x), target), list(network.parameters())))


def found_by(rule: LearningRule, network: Network, x: Tensor, target: Tensor) -> list[Tensor]:
    network.zero_grad()
    rule.assign_gradients(network, x, target)
    return [parameter.grad for parameter in network.parameters() if parameter.grad is not None]


def test_with_feedback_equal_to_the_weights_every_block_is_backprop(make_network: Callable[[], Network]) -> None:
    network, x, target = sample(make_network)
    rule = FeedbackAlignment()
    rule.bind(network)
    expected = exact(network, x, target)
    assert (found_by(rule, network, x, target)[0] - expected[0]).norm() > 0.1 * expected[0].norm()
    for layer, weights in zip(network, rule.feedback(network) or [], strict=True):
        for synapse, weight in zip(layer.synapses, weights, strict=True):
            weight.copy_(synapse.weight.detach())
    torch.testing.assert_close(found_by(rule, network, x, target), expected, rtol=1e-10, atol=1e-14)


def test_each_feedback_weight_of_a_block_bends_its_error_and_no_value(make_network: Callable[[], Network]) -> None:
    network, x, _ = sample(make_network)
    for place, layer in enumerate(network):
        plain = layer.record(x)
        error = torch.randn_like(plain.y)
        honest = everything_asked(layer, plain, error)
        for j, synapse in enumerate(layer.synapses):
            feedback: list[Tensor | None] = [None] * len(layer.synapses)
            feedback[j] = torch.randn_like(synapse.weight)
            trace = layer.record(x, feedback)
            torch.testing.assert_close(trace.y, plain.y, rtol=1e-12, atol=1e-14)
            asked = everything_asked(layer, trace, error)
            if place > 0:
                assert any((a - b).norm() > 1e-3 * b.norm() for a, b in zip(asked, honest, strict=True))
        x = plain.y


def everything_asked(layer: torch.nn.Module, trace: object, error: Tensor) -> list[Tensor]:
    """Error at the input (where there is one) and gradients of all parameters."""
    layer.zero_grad()
    returned = trace.pull_back(error)  # type: ignore[attr-defined]
    gradients = [parameter.grad.clone() for parameter in layer.parameters() if parameter.grad is not None]
    return gradients if returned is None else [returned, *gradients]


def test_random_feedback_leaves_the_loss_as_it_is(make_network: Callable[[], Network]) -> None:
    network, x, target = sample(make_network)
    expected = network.objective.loss(network(x), target)
    for kind in CHAINED:
        rule = kind()
        rule.bind(network)
        torch.testing.assert_close(rule.assign_gradients(network, x, target), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("kind", [*CHAINED, *OTHERS], ids=lambda kind: kind.__name__)
def test_rules_keep_their_promises_on_blocks(kind: type[LearningRule], make_network: Callable[[], Network]) -> None:
    check_learning_rule(kind, make_network)


def test_fixed_predictions_are_backprop_on_blocks_too(make_network: Callable[[], Network]) -> None:
    network, x, target = sample(make_network)
    rule = FixedPredictionPredictiveCoding()
    rule.bind(network)
    torch.testing.assert_close(found_by(rule, network, x, target), exact(network, x, target))


def test_rules_that_cannot_say_why(make_network: Callable[[], Network]) -> None:
    with pytest.raises(WrongArgument, match="forward-forward cannot run on this network: layer"):
        ForwardForward().bind(make_network())


def test_a_recipe_makes_the_same_network_again(make_network: Callable[[], Network]) -> None:
    network = make_network()
    recipe = network.recipe
    assert recipe is not None
    again = make(recipe)
    assert type(again) is type(network)
    for name, value in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)


def test_every_parameter_lies_in_a_synapse(make_network: Callable[[], Network]) -> None:
    network = make_network()
    in_synapses = {id(p) for layer in network for synapse in layer.synapses for p in synapse.parameters()}
    assert {id(parameter) for parameter in network.parameters()} == in_synapses


def test_a_sample_s_output_does_not_depend_on_the_others(make_network: Callable[[], Network]) -> None:
    network, x, _ = sample(make_network)
    torch.testing.assert_close(network(x)[:1], network(x[:1]), rtol=1e-12, atol=1e-14)


def test_weights_are_drawn_as_for_every_network_and_by_the_seed() -> None:
    big = make({"class_path": "plasticode.bioplausible.residual.ResidualCNN", "init_args": {}})
    again = make({"class_path": "plasticode.bioplausible.residual.ResidualCNN", "init_args": {"seed": 1}})
    gain = NONLINEARITIES["relu"][1]
    for layer, other in zip(big, again, strict=True):
        first, drawn_otherwise = layer.synapses[0], other.synapses[0]
        expected = (1.0 if layer is big.layers[-1] else gain) / first.fan_in**0.5
        n = first.weight.numel()
        assert abs(first.weight.std() / expected - 1) < 5 / (2 * n) ** 0.5  # known to 1 / sqrt(2 n)
        assert not torch.equal(first.weight, drawn_otherwise.weight)


@pytest.mark.parametrize("name", ["recurrent", "transformer"])
def test_characters_come_in_as_ids_and_every_place_has_logits(name: str) -> None:
    network, x, target = sample(SMALL[name])
    first = next(iter(network)).synapses[0]
    assert isinstance(first, EmbeddingSynapse)
    assert x.dtype == torch.long
    assert int(x.max()) < len(first.weight)
    assert network(x).shape == (*target.shape, len(first.weight))
    assert network(x[:, :2]).shape == (len(x), 2, len(first.weight))  # other lengths pass


@pytest.mark.parametrize("name", ["recurrent", "transformer"])
def test_no_character_reads_the_future(name: str) -> None:
    network, x, _ = sample(SMALL[name])
    other = x.clone()
    other[:, 2] = (x[:, 2] + 1) % 5
    before, after = network(x), network(other)
    torch.testing.assert_close(before[:, :2], after[:, :2], rtol=1e-12, atol=1e-14)
    for time in (2, 3):  # and none forgets the past
        assert (before[:, time] - after[:, time]).abs().max() > 1e-6
