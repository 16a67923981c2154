"""Oracles: planted cheats, whose crime is known; honest rules; and the network, which watching must not change."""

import copy
from itertools import pairwise

import pytest
import torch
from plasticode.bioplausible.audit import audit_rule
from plasticode.bioplausible.check import check_learning_rule
from plasticode.bioplausible.instrument import changed, read_as, watch
from plasticode.bioplausible.layer import add_gradient
from plasticode.bioplausible.rule import LearningRule, RuleFacts
from plasticode.bioplausible.rules.backprop import Backprop
from plasticode.bioplausible.rules.feedback_alignment import FeedbackAlignment
from plasticode.bioplausible.rules.random_features import RandomFeatures
from plasticode.bioplausible.zoo import SMALL


def facts(name):
    return RuleFacts(name=name, paper="none", family="test", published=frozenset({"C1", "C2", "C3"}))


class SecretTranspose(FeedbackAlignment):
    """Says feedback alignment; the errors return through W all the same, read as an attribute."""

    facts = facts("secret transpose")

    def feedback(self, network):
        return [[synapse.weight.detach().clone() for synapse in layer.synapses] for layer in network]


class TwoLayers(LearningRule):
    """Says that each layer learns from its neighbour; autograd runs through two layers at a time."""

    facts = facts("two layers")

    def assign_gradients(self, network, x, target):
        layers = list(network)
        with torch.enable_grad():
            for below, above in pairwise(layers):
                loss = above(below(x)).square().mean()
                weight = below.synapse.weight
                add_gradient(weight, torch.autograd.grad(loss, weight)[0])
                x = below(x).detach()
        return loss.detach()


class BatchMean(LearningRule):
    """Says Hebbian; the mean over the batch is taken out of the activity first."""

    facts = facts("batch mean")

    def assign_gradients(self, network, x, target):
        for layer in network:
            y = layer(x)
            centred = y - y.mean(0)
            add_gradient(layer.synapse.weight, -layer.synapse.correlate(layer.before(x), centred)[0] / len(x))
            x = y
        return x.sum() * 0


class PlainHebb(LearningRule):
    """dw = y x: nothing but what a synapse sees."""

    facts = facts("plain hebb")

    def assign_gradients(self, network, x, target):
        for layer in network:
            y = layer(x)
            add_gradient(layer.synapse.weight, -layer.synapse.correlate(layer.before(x), y)[0] / len(x))
            x = y
        return x.sum() * 0


class ReadsItsNeighbours(PlainHebb):
    """Sanger-like: each neuron's change reads the whole layer's activity."""

    facts = facts("neighbours")

    def assign_gradients(self, network, x, target):
        for layer in network:
            y = layer(x)
            shared = y * y.sum(1, keepdim=True)
            add_gradient(layer.synapse.weight, -layer.synapse.correlate(layer.before(x), shared)[0] / len(x))
            x = y
        return x.sum() * 0


def audit(kind, network="mlp"):
    return audit_rule(kind(), SMALL[network]())


@pytest.mark.parametrize("network", ["mlp", "cnn"])
def test_weight_transport_is_caught_whatever_the_rule_calls_itself(network):
    if network == "mlp":
        assert "C1" not in audit(SecretTranspose).criteria
    cheat, honest = audit(SecretTranspose, network), audit(FeedbackAlignment, network)
    last = len(cheat.layers) - 1
    for i, (guilty, clean) in enumerate(zip(cheat.layers[:-1], honest.layers[:-1], strict=True)):
        assert guilty.transported == tuple(range(i + 1, last + 1))
        assert clean.transported == ()
    assert "C1" in honest.criteria


def test_backprop_through_two_layers_is_caught():
    found = audit(TwoLayers)
    assert [layer.transported for layer in found.layers] == [(1,), (2,), ()]
    assert found.crossings > 0
    assert "C2" not in found.criteria
    assert audit(PlainHebb).crossings == 0


def test_reading_the_batch_s_mean_is_caught():
    assert all(layer.other_samples and layer.grade == "batch" for layer in audit(BatchMean).layers)
    assert not any(layer.other_samples for layer in audit(PlainHebb).layers)


def test_an_honest_local_rule_passes():
    found = audit(PlainHebb)
    assert [layer.grade for layer in found.layers] == ["synapse"] * 3
    assert found.criteria == {"C1", "C2", "C3", "C5"}
    assert found.phases == 1
    assert not found.locked


def test_reading_a_layer_s_other_neurons_is_graded_layer():
    assert [layer.grade for layer in audit(ReadsItsNeighbours).layers] == ["layer"] * 3


def test_backprop_s_card():
    found = audit(Backprop)
    assert found.criteria == frozenset()
    assert found.phases == 2
    assert found.locked
    assert [layer.grade for layer in found.layers] == ["network", "network", "layer"]


def test_layers_that_learn_nothing_have_no_grade():
    assert [layer.grade for layer in audit(RandomFeatures).layers] == ["-", "-", "layer"]


def test_watching_changes_nothing_beyond_rounding(any_network, batch_for):
    x, target = batch_for(any_network)
    watched = copy.deepcopy(any_network)
    log = watch(watched)
    for network in (any_network, watched):
        rule = Backprop()
        rule.bind(network)
        rule.assign_gradients(network, x, target)
    for mine, theirs in zip(any_network.parameters(), watched.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(any_network(x), watched(x), rtol=1e-12, atol=1e-14)
    assert log.count("forward", 0) == 2


def test_a_weight_read_otherwise_than_forward_is_the_other_one(mlp, batch_for):
    x, _ = batch_for(mlp)
    before = mlp(x)
    watch(mlp)
    synapse = next(iter(mlp)).synapses[0]
    other = torch.randn_like(synapse.weight)
    with read_as(synapse, other):
        assert torch.equal(synapse.weight, other)
        torch.testing.assert_close(mlp(x), before, rtol=1e-12, atol=1e-14)
    with changed(synapse, other):
        assert not torch.allclose(mlp(x), before)
    torch.testing.assert_close(mlp(x), before, rtol=1e-12, atol=1e-14)


class WritesWeights(Backprop):
    """Takes its own step."""

    facts = facts("writes weights")

    def assign_gradients(self, network, x, target):
        loss = super().assign_gradients(network, x, target)
        for parameter in network.parameters():
            parameter.data -= 0.1 * parameter.grad
        return loss


class ForgetsItsFeedback(LearningRule):
    """Keeps feedback weights where no checkpoint finds them, drawn from the global generator."""

    facts = facts("forgets")

    def bind(self, network):
        self.kept = [torch.randn_like(layer.synapse.weight) for layer in network]

    def assign_gradients(self, network, x, target):
        traces = network.record(x, [[weight] for weight in self.kept])
        error = network.objective.error(traces[-1].y, target)
        for trace in reversed(traces):
            error = trace.pull_back(error)
        return network.objective.loss(traces[-1].y, target)


class SumsTheBatch(Backprop):
    """A sum where a mean is due: halves of a batch do not average to it."""

    facts = facts("sums")

    def assign_gradients(self, network, x, target):
        loss = super().assign_gradients(network, x, target)
        for parameter in network.parameters():
            parameter.grad = parameter.grad * len(x)
        return loss


class RemembersOnItsClass(Backprop):
    """Counts its steps on the class."""

    facts = facts("class state")
    steps = 0

    def assign_gradients(self, network, x, target):
        type(self).steps = type(self).steps + 1
        return super().assign_gradients(network, x, target)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (WritesWeights, "the rule changed"),
        (ForgetsItsFeedback, "two runs of one step"),
        (SumsTheBatch, "two halves"),
        (RemembersOnItsClass, "the class changed"),
    ],
)
def test_broken_promises_are_named(kind, said):
    with pytest.raises(AssertionError, match=said):
        check_learning_rule(kind)
