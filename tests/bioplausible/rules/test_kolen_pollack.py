"""Oracle: the closed form of W - B under each optimiser. (Autograd and backprop: test_chained_error.py.)"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from plasticode.bioplausible.alignment import angle_to_backprop, feedback_angle
from plasticode.bioplausible.architectures import MLP
from plasticode.bioplausible.layer import Layer
from plasticode.bioplausible.learned_feedback import learning_pairs
from plasticode.bioplausible.network import Network
from plasticode.bioplausible.rules.kolen_pollack import KolenPollack
from plasticode.bioplausible.synapse import ConvSynapse, LinearSynapse
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import SGD, Adam, AdamW, Optimizer

RATE, DECAY, STEPS = 0.05, 0.2, 40


def convolutional() -> Network:
    layers = [
        Layer(ConvSynapse(1, 2, 3, padding=1), nn.Tanh()),
        Layer(ConvSynapse(2, 4, 3, stride=2, padding=1, groups=2), nn.Tanh()),
        Layer(LinearSynapse(4 * 3 * 3, 5), nn.Tanh(), before=nn.Flatten()),
        Layer(LinearSynapse(5, 3)),
    ]
    return Network(layers, (1, 6, 6)).double()


def differences(rule: KolenPollack, network: Network) -> list[Tensor]:
    return [(synapse.weight - feedback).detach() for _, synapse, feedback in learning_pairs(rule, network)]


def trained(make: Callable[[Any], Optimizer], decay: float, clip: float | None = None) -> tuple[Any, Any, Any, Any]:
    """The rule and its network after `STEPS` steps, and W - B before and after."""
    torch.manual_seed(1)
    network, rule = convolutional(), KolenPollack()
    rule.bind(network)
    before, optimiser = differences(rule, network), make(rule.parameter_groups(network, {"weight_decay": decay}))
    for _ in range(STEPS):
        optimiser.zero_grad()
        rule.assign_gradients(network, torch.randn(6, 1, 6, 6, dtype=torch.float64), torch.randint(3, (6,)))
        if clip is not None:
            clip_grad_norm_([p for group in optimiser.param_groups for p in group["params"]], clip)
        optimiser.step()
    return rule, network, before, differences(rule, network)


@pytest.mark.parametrize("make", [lambda groups: SGD(groups, lr=RATE), lambda groups: AdamW(groups, lr=RATE)])
@pytest.mark.parametrize("clip", [None, 0.01])
def test_weights_and_feedback_come_together_geometrically(make: Callable[[Any], Optimizer], clip: float | None) -> None:
    _, _, before, after = trained(make, DECAY, clip)
    assert len(before) == 3
    torch.testing.assert_close(after, [(1 - RATE * DECAY) ** STEPS * d for d in before])


def test_with_momentum_they_come_together_as_a_damped_oscillator_does() -> None:
    _, _, before, after = trained(lambda groups: SGD(groups, lr=RATE, momentum=0.9), DECAY)
    # (difference, its velocity) of one step after the other
    step = torch.tensor([[1 - RATE * DECAY, -RATE * 0.9], [DECAY, 0.9]], dtype=torch.float64)
    factor = torch.linalg.matrix_power(step, STEPS)[0, 0]
    torch.testing.assert_close(after, [factor * d for d in before])


@pytest.mark.parametrize("make", [lambda groups: SGD(groups, lr=RATE), lambda groups: Adam(groups, lr=RATE)])
def test_without_decay_they_are_changed_alike_and_never_meet(make: Callable[[Any], Optimizer]) -> None:
    _, network, before, after = trained(make, 0.0)
    torch.testing.assert_close(after, before)
    torch.manual_seed(1)
    start = convolutional()
    assert (network.layers[2].synapse.weight - start.layers[2].synapse.weight).norm() > 0.01


def test_the_feedback_s_gradient_is_the_weight_s_own_also_over_two_batches_and_in_memory_of_its_own() -> None:
    network, rule = convolutional(), KolenPollack()
    rule.bind(network)
    for _ in range(2):
        rule.assign_gradients(network, torch.randn(6, 1, 6, 6, dtype=torch.float64), torch.randint(3, (6,)))
    for _, synapse, feedback in learning_pairs(rule, network):
        assert torch.equal(synapse.weight.grad, feedback.grad)
        assert synapse.weight.grad.data_ptr() != feedback.grad.data_ptr()


def test_feedback_decays_as_the_weights_do_and_both_are_given_to_the_optimiser_once() -> None:
    network, rule = convolutional(), KolenPollack()
    rule.bind(network)
    forward, feedback = rule.parameter_groups(network, {"lr": 0.1, "weight_decay": 0.2})
    assert (
        {**forward, "params": None} == {**feedback, "params": None} == {"params": None, "lr": 0.1, "weight_decay": 0.2}
    )
    assert len({id(p) for p in [*forward["params"], *feedback["params"]]}) == len(list(network.parameters())) + 3


def test_feedback_aligns_and_the_update_becomes_backprop_s_within_a_short_training() -> None:
    draws = torch.Generator().manual_seed(7)
    x = torch.randn(3000, 30, generator=draws)
    target = (x @ torch.randn(30, 10, generator=draws)).argmax(1)
    network, rule = MLP((30, 40, 40, 10)), KolenPollack()
    rule.bind(network)
    assert all(80 < angle_to_backprop(rule, network, x, target)[layer] < 100 for layer in (0, 1))
    optimiser = SGD(rule.parameter_groups(network, {"weight_decay": 0.01}), lr=0.1, momentum=0.9)
    for step in range(150):
        batch = torch.arange(128 * step, 128 * (step + 1)) % len(x)
        optimiser.zero_grad()
        rule.assign_gradients(network, x[batch], target[batch])
        optimiser.step()
    assert max(angle_to_backprop(rule, network, x, target).values()) < 30
    assert max(feedback_angle(network, rule.feedback(network)).values()) < 50


def test_a_synapse_that_does_not_learn_has_feedback_that_does_not_learn() -> None:
    network, rule = convolutional(), KolenPollack()
    rule.bind(network)
    network.layers[1].synapse.weight.requires_grad_(False)
    rule.assign_gradients(network, torch.randn(6, 1, 6, 6, dtype=torch.float64), torch.randint(3, (6,)))
    assert rule.feedback_1_0.grad is None
    assert rule.feedback_2_0.grad is not None
