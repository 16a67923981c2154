"""Oracle: matrix products written out; the geometry of random directions. (Autograd: test_chained_error.py.)"""

from __future__ import annotations

import torch
from plasticode.bioplausible.alignment import angle_to_backprop, feedback_angle
from plasticode.bioplausible.architectures import CNN, MLP
from plasticode.bioplausible.rules.feedback_alignment import FeedbackAlignment
from torch import Tensor
from torch.optim import Adam


def teacher_s_task(n_samples: int) -> tuple[Tensor, Tensor]:
    """Classes of a random linear map."""
    draws = torch.Generator().manual_seed(7)
    x = torch.randn(n_samples, 30, generator=draws)
    return x, (x @ torch.randn(30, 10, generator=draws)).argmax(1)


def test_the_update_is_the_one_of_the_paper() -> None:
    network, rule = MLP((4, 6, 5, 3)).double(), FeedbackAlignment()
    rule.bind(network)
    x, target = torch.randn(8, 4, dtype=torch.float64), torch.arange(8) % 3
    rule.assign_gradients(network, x, target)
    w = [layer.synapse.weight.detach() for layer in network]
    b = [weights[0] for weights in rule.feedback(network)]
    h1 = torch.tanh(x @ w[0].T)
    h2 = torch.tanh(h1 @ w[1].T)
    e3 = (torch.softmax(h2 @ w[2].T, 1) - torch.eye(3, dtype=torch.float64)[target]) / 8
    e2 = (e3 @ b[2]) * (1 - h2**2)
    e1 = (e2 @ b[1]) * (1 - h1**2)
    for layer, error, activity in zip(network, (e1, e2, e3), (x, h1, h2), strict=True):
        torch.testing.assert_close(layer.synapse.weight.grad, error.T @ activity)
        torch.testing.assert_close(layer.synapse.bias.grad, error.sum(0))


def test_feedback_is_of_the_weights_scale_and_owes_them_nothing_even_with_one_seed() -> None:
    for network in (MLP((50, 60, 70, 10), seed=0), CNN(seed=0)):
        rule = FeedbackAlignment(seed=0)
        rule.bind(network)
        for layer, (feedback,) in zip(network, rule.feedback(network), strict=True):
            weight = layer.synapse.weight.detach()
            # The standard deviation of n normal numbers is known to 1 / sqrt(2 n), their correlation to 1 / sqrt(n).
            assert abs(feedback.std() / weight.std() - 1) < 5 / (2 * weight.numel()) ** 0.5
            correlation = torch.corrcoef(torch.stack([feedback.flatten(), weight.flatten()]))[0, 1]
            assert abs(correlation) < 5 / weight.numel() ** 0.5


def test_the_angle_to_backprop_starts_at_90_degrees_and_falls_as_the_weights_align() -> None:
    network, rule = MLP((30, 40, 40, 10)), FeedbackAlignment()
    rule.bind(network)
    x, target = teacher_s_task(3000)
    first = angle_to_backprop(rule, network, x, target)
    assert all(80 < first[layer] < 100 for layer in (0, 1))
    optimiser = Adam(network.parameters(), lr=3e-3)
    for step in range(300):
        batch = torch.arange(128 * step, 128 * (step + 1)) % len(x)
        optimiser.zero_grad()
        rule.assign_gradients(network, x[batch], target[batch])
        optimiser.step()
    last = angle_to_backprop(rule, network, x, target)
    assert all(last[layer] < 80 for layer in (0, 1))
    assert feedback_angle(network, rule.feedback(network))[2] < 65
