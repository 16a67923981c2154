"""Oracles: closed form of one pair's eligibility, and symmetries of the reward."""

import math
from functools import partial

import pytest
import torch
from plasticode.bioplausible.architectures import MLP
from plasticode.bioplausible.check import check_learning_rule
from plasticode.bioplausible.rules.reward_modulated_stdp import RewardModulatedStdp, first_spike
from plasticode.bioplausible.spiking import SpikingNetwork, Votes
from plasticode.datasets.errors import WrongArgument


def spiking():
    return SpikingNetwork(6, (12,), n_classes=3, total_weight=6, duration=80, max_rate=200)


def bound(rule):
    network = spiking().double()
    rule.bind(network)
    return rule, network


def presented(rule, network, n=5):
    x = torch.rand(n, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return network.present(x, rule.uniform(network.input.blank(x)))


@pytest.mark.parametrize("decision", ["count", "first_spike"])
def test_it_keeps_the_promises_of_every_rule(decision):
    outcomes = check_learning_rule(partial(RewardModulatedStdp, decision), spiking)
    assert {outcome.skipped for outcome in outcomes} <= {None, "has no derivative", "reads no images"}


@pytest.mark.parametrize("lag", [-30, -3, 0, 3, 30])
def test_one_pair_is_worth_its_window_times_what_its_eligibility_has_left_times_the_reward(lag):
    rule, network = bound(RewardModulatedStdp(potentiation=0.01, depression=0.004, eligibility=50))
    pre, post = torch.zeros(1, 80, 12, dtype=torch.float64), torch.zeros(1, 80, 6, dtype=torch.float64)
    pre[0, 40, 2], post[0, 40 + lag, 5] = 1, 1
    found = rule.increment(network, pre, post, torch.tensor([-0.7], dtype=torch.float64))
    left = math.exp(-(80 - max(40, 40 + lag)) / 50)
    size = (0.01 if lag >= 0 else -0.004) * math.exp(-abs(lag) / 20)
    assert found[5, 2].item() == pytest.approx(-0.7 * size * left, rel=1e-6)
    assert (found != 0).sum() == 1


def test_without_reward_nothing_changes():
    rule, network = bound(RewardModulatedStdp())
    pre, post = presented(rule, network)
    assert post.sum() > 0
    assert (rule.increment(network, pre, post, torch.zeros(5, dtype=torch.float64)) == 0).all()


def test_opposite_rewards_change_weights_oppositely():
    rule, network = bound(RewardModulatedStdp())
    pre, post = presented(rule, network)
    reward = torch.tensor([1.0, -0.5, 0.2, 0.0, 1.0], dtype=torch.float64)
    one, other = rule.increment(network, pre, post, reward), rule.increment(network, pre, post, -reward)
    assert one.abs().max() > 0
    assert torch.equal(one, -other)


def test_rewards_balance_right_and_wrong_decisions_and_silence_earns_none():
    rule, _ = bound(RewardModulatedStdp())
    rule.right.fill_(0.8)
    scores = torch.tensor([[2.0, 1, 0], [2.0, 1, 0], [0.0, 0, 0]])
    torch.testing.assert_close(rule.reward(scores, torch.tensor([0, 1, 0])), torch.tensor([0.2, -0.8, 0.0]))


def test_the_first_spike_decides_whatever_follows():
    votes = Votes(3, 3, memory=1.0)
    votes.labels.copy_(torch.arange(3))
    spikes = torch.zeros(2, 10, 3)
    spikes[0, 4, 1] = 1
    spikes[0, 5:, 2] = 1
    assert first_spike(votes, spikes).tolist() == [[0, 1, 0], [0, 0, 0]]


def test_labels_are_given_from_the_start_and_never_move():
    rule, network = bound(RewardModulatedStdp())
    x, target = torch.ones(5, 12, dtype=torch.float64), torch.zeros(5, dtype=torch.long)
    rule.assign_gradients(network, x, target)
    rule.after_step(network)
    assert network.votes.labels.tolist() == [0, 1, 2, 0, 1, 2]


def test_the_share_of_right_decisions_fades_into_the_recent_one():
    rule, network = bound(RewardModulatedStdp(memory=10))
    rule.outcomes.copy_(torch.tensor([4.0, 5.0]))
    rule.after_step(network)
    assert rule.right.item() == pytest.approx(0.1 + (1 - math.exp(-0.5)) * 0.7, rel=1e-5)
    assert rule.outcomes.tolist() == [0, 0]


def test_two_patterns_are_learned_from_right_and_wrong_alone():
    draws = torch.Generator().manual_seed(0)
    target = torch.randint(2, (700,), generator=draws)
    x = 0.3 * torch.rand(700, 16, generator=draws)
    x[:, :8] += (target == 0).float()[:, None]
    x[:, 8:] += (target == 1).float()[:, None]
    network = SpikingNetwork(8, (16,), 2, total_weight=6, duration=60, max_rate=200)
    rule = RewardModulatedStdp()
    rule.bind(network)
    before = (rule.infer(network, x[600:]).argmax(1) == target[600:]).float().mean()
    for step, here in enumerate(torch.arange(600).split(10)):
        network.zero_grad()
        rule.begin_step(step)
        rule.assign_gradients(network, x[here], target[here])
        with torch.no_grad():
            network.layer.synapse.weight -= network.layer.synapse.weight.grad
        rule.after_step(network)
    after = (rule.infer(network, x[600:]).argmax(1) == target[600:]).float().mean()
    assert after > 0.95 > before


def test_another_decision_and_a_network_that_does_not_spike_are_refused_with_the_reason():
    with pytest.raises(WrongArgument, match="no decision 'loudest'"):
        RewardModulatedStdp("loudest")
    with pytest.raises(WrongArgument, match="its neurons do not spike"):
        RewardModulatedStdp().bind(MLP([4, 3, 2]))
