"""Oracles: rules made to break one promise each; the check that names it must fail, and say what it saw."""

import pytest
import torch
from plasticode.bioplausible.check import check_learning_rule
from plasticode.bioplausible.layer import add_gradient
from plasticode.bioplausible.rule import LearningRule, RuleFacts
from plasticode.bioplausible.rules.backprop import Backprop
from plasticode.bioplausible.rules.direct_feedback_alignment import DirectFeedbackAlignment
from plasticode.bioplausible.zoo import SMALL

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
