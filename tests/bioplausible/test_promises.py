"""Oracles: rules made to break one promise each; the check that names it must fail, and say what it saw."""

from dataclasses import replace

import pytest
import torch
from plasticode.bioplausible.architectures import CNN
from plasticode.bioplausible.check import check_learning_rule
from plasticode.bioplausible.layer import add_gradient
from plasticode.bioplausible.promises import points_the_same_way_in_mixed_precision
from plasticode.bioplausible.rule import LearningRule, RuleFacts
from plasticode.bioplausible.rules.backprop import Backprop
from plasticode.bioplausible.rules.difference_target_propagation import DifferenceTargetPropagation
from plasticode.bioplausible.rules.direct_feedback_alignment import DirectFeedbackAlignment
from plasticode.bioplausible.rules.local_difference_reconstruction import LocalDifferenceReconstruction
from plasticode.bioplausible.rules.node_perturbation import NodePerturbation
from plasticode.bioplausible.rules.pepita import Pepita
from plasticode.bioplausible.trial import Trial
from plasticode.bioplausible.zoo import SMALL, rule_classes, rule_of

FACTS = RuleFacts(name="broken", paper="none", family="none")


class SaysBackprop(DirectFeedbackAlignment):
    facts = RuleFacts(name="broken", paper="none", family="none", equals_backprop=True)


class HidesBackprop(Backprop):
    facts = FACTS


class Small(LearningRule):
    """A gradient from the difference of two losses that are nearly equal."""

    facts = FACTS

    @torch.no_grad()
    def assign_gradients(self, network, x, target):
        loss = network.objective.loss(network(x), target).detach()
        for parameter in network.parameters():
            noise = torch.randn(parameter.shape, generator=self._draws).to(parameter)
            with torch.no_grad():
                parameter += 1e-4 * noise
                shaken = network.objective.loss(network(x), target)
                parameter -= 1e-4 * noise
            add_gradient(parameter, (shaken - loss) / 1e-4 * noise)
        return loss


class ReadsMemory(LearningRule):
    """Takes weights in the order in which they lie in memory."""

    facts = FACTS

    @torch.no_grad()
    def assign_gradients(self, network, x, target):
        for layer in network:
            weight = layer.synapse.weight
            places = torch.arange(weight.numel(), dtype=weight.dtype).as_strided(weight.shape, weight.stride())
            add_gradient(weight, places * x.mean())
        return network.objective.loss(network(x), target).detach()


@pytest.mark.parametrize(
    ("kind", "network", "said"),
    [
        (SaysBackprop, "mlp", "backprop: network"),
        (HidesBackprop, "mlp", "say so with `equals_backprop`"),
        (Small, "mlp", "say `full_precision`"),
        (ReadsMemory, "cnn", "channels last"),
    ],
)
def test_a_rule_that_breaks_a_promise_is_told_which(kind, network, said):
    with pytest.raises(AssertionError, match=said):
        check_learning_rule(kind, SMALL[network])


def photographs_network():
    """As deep, and its images as large, as the published CNN: in smaller ones no difference is lost to rounding."""
    return CNN((3, 32, 32), (16, 32, 16), (3, 3, 3), ("max", "max", "average"), 64)


@pytest.mark.parametrize("path", [path for path, kind in rule_classes().items() if not kind.facts.full_precision])
def test_no_layers_update_is_lost_to_rounding_on_a_deep_network(path):
    rule = rule_of(path)
    if rule.refusal(photographs_network()) is None:
        assert points_the_same_way_in_mixed_precision(Trial(type(rule), photographs_network)) is None


@pytest.mark.parametrize("kind", [DifferenceTargetPropagation, LocalDifferenceReconstruction, Pepita, NodePerturbation])
def test_rules_that_refuse_mixed_precision_lose_an_update_in_it(kind):
    class Mixed(kind):
        facts = replace(kind.facts, full_precision=False)

    with pytest.raises(AssertionError, match=r"layers\.[01]\.synapse\.weight is another"):
        points_the_same_way_in_mixed_precision(Trial(Mixed, photographs_network))
