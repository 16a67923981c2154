"""Oracles: one image at a time, the closed form of one pair, and the promises of `check_learning_rule`."""

import math

import pytest
import torch
from plasticode.bioplausible.architectures import MLP
from plasticode.bioplausible.check import check_learning_rule
from plasticode.bioplausible.rules.stdp import Stdp
from plasticode.bioplausible.spiking import SpikingNetwork
from plasticode.datasets.errors import WrongArgument


def spiking():
    return SpikingNetwork(6, (12,), n_classes=3, total_weight=6, duration=80, max_rate=200)


def batch(n=5):
    draws = torch.Generator().manual_seed(1)
    return torch.rand(n, 12, generator=draws, dtype=torch.float64), torch.randint(3, (n,), generator=draws)


def bound(rule, network=None):
    network = (network or spiking()).double()
    rule.bind(network)
    return rule, network


def update(rule, network, x, target, step=0, share=(0, 1)):
    network.zero_grad()
    rule.begin_step(step, share)
    rule.assign_gradients(network, x, target)
    return -network.layer.synapse.weight.grad


def test_it_keeps_the_promises_of_every_rule():
    outcomes = check_learning_rule(Stdp, spiking)
    assert {outcome.skipped for outcome in outcomes} <= {None, "has no derivative", "reads no images"}


@pytest.mark.parametrize("mu", [0.0, 1.0])
@pytest.mark.parametrize("lag", [-30, -3, 0, 3, 30])
def test_one_pair_changes_a_weight_by_the_window(lag, mu):
    rule, network = bound(Stdp(potentiation=0.01, depression=0.004, mu=mu))
    pre, post = torch.zeros(1, 80, 12, dtype=torch.float64), torch.zeros(1, 80, 6, dtype=torch.float64)
    pre[0, 40, 2], post[0, 40 + lag, 5] = 1, 1
    w = network.layer.synapse.weight[5, 2].item()
    size = 0.01 * (1 - w) ** mu if lag >= 0 else -0.004 * w**mu
    found = rule.increment(network, pre, post)
    assert found[5, 2].item() == pytest.approx(size * math.exp(-abs(lag) / 20), rel=1e-9)
    assert (found != 0).sum() == 1


def test_a_postsynaptic_spike_weakens_what_stayed_below_the_target():
    rule, network = bound(Stdp(potentiation=0.01, depression=0, target=0.4))
    pre, post = torch.zeros(1, 80, 12, dtype=torch.float64), torch.zeros(1, 80, 6, dtype=torch.float64)
    pre[0, 40, 2], post[0, 40, 5] = 1, 1
    found = rule.increment(network, pre, post)
    expected = torch.zeros(6, 12, dtype=torch.float64)
    expected[5], expected[5, 2] = -0.004, 0.006
    torch.testing.assert_close(found, expected)


def test_a_batch_changes_weights_by_the_sum_over_its_images():
    x, target = batch(4)
    whole = update(*bound(Stdp(target=0.1)), x, target)
    # A process that is one of four draws the numbers of its own image, and counts it four times for the average.
    alone = [update(*bound(Stdp(target=0.1)), x[i : i + 1], target[i : i + 1], 0, (i, 4)) / 4 for i in range(4)]
    assert all(change.abs().max() > 0 for change in alone)
    torch.testing.assert_close(whole, sum(alone), rtol=1e-10, atol=1e-14)


def trained(steps=3):
    rule, network = bound(Stdp())
    for step in range(steps):
        change = update(rule, network, *batch(), step)
        with torch.no_grad():
            network.layer.synapse.weight += change
        rule.after_step(network)
    return rule, network


def test_after_a_step_every_neuron_has_its_total_weight():
    _, network = trained()
    torch.testing.assert_close(
        network.layer.synapse.weight.sum(1), torch.full((6,), 6.0, dtype=torch.float64), rtol=1e-12, atol=0
    )


def test_after_a_step_thresholds_have_grown_by_the_spikes():
    rule, network = bound(Stdp())
    x, target = batch()
    rule.begin_step(0)
    fired = network.present(x, rule.uniform(network.input.blank(x)))[1].sum((0, 1))
    update(rule, network, x, target)
    assert network.neurons.theta.abs().max() == 0
    rule.after_step(network)
    torch.testing.assert_close(network.neurons.theta, 0.05 * fired, rtol=1e-4, atol=1e-6)
    assert fired.max() > 0


def test_labels_come_from_training_and_stay_at_test():
    rule, network = trained()
    assert network.votes.labels.max() >= 0
    before = {name: value.clone() for name, value in network.state_dict().items()}
    rule.infer(network, batch(9)[0])
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_targets_move_labels_and_never_weights():
    x, target = batch()
    one, other = (update(*bound(Stdp()), x, labels) for labels in (target, (target + 1) % 3))
    assert torch.equal(one, other)


def test_patterns_of_two_kinds_are_told_apart_without_being_named():
    draws = torch.Generator().manual_seed(0)
    target = torch.randint(2, (400,), generator=draws)
    x = 0.3 * torch.rand(400, 16, generator=draws)
    x[:, :8] += (target == 0).float()[:, None]
    x[:, 8:] += (target == 1).float()[:, None]
    network = SpikingNetwork(8, (16,), 2, total_weight=6, duration=100, max_rate=200, theta_plus=0.2)
    rule = Stdp(potentiation=0.005)
    rule.bind(network)
    for step, here in enumerate(torch.arange(300).split(10)):
        change = update(rule, network, x[here], target[here], step)
        with torch.no_grad():
            network.layer.synapse.weight += change
        rule.after_step(network)
    assert (rule.infer(network, x[300:]).argmax(1) == target[300:]).float().mean() > 0.9


def test_a_network_that_does_not_spike_is_refused_with_the_reason():
    with pytest.raises(WrongArgument, match="its neurons do not spike, and the rule reads the times of spikes"):
        Stdp().bind(MLP([4, 3, 2]))
