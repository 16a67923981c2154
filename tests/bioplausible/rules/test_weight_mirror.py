"""Oracle: the expectation of noise products, with bounds on its estimate. (Backprop: test_chained_error.py.)"""

from __future__ import annotations

import torch
from plasticode.bioplausible.alignment import feedback_angle
from plasticode.bioplausible.architectures import MLP
from plasticode.bioplausible.layer import Block, Layer
from plasticode.bioplausible.learned_feedback import learning_pairs
from plasticode.bioplausible.network import Network
from plasticode.bioplausible.rules.weight_mirror import WeightMirror
from plasticode.bioplausible.synapse import ConvSynapse, EmbeddingSynapse, LinearSynapse
from torch import Tensor, nn
from torch.optim import SGD

N_PATTERNS = 4000


class Recurrent(Block):
    """Two synapses; the second is used twice, at places of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = LinearSynapse(5, 4), LinearSynapse(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.second(torch.tanh(self.second(torch.tanh(self.first(x)))))
        return found


def convolutional() -> Network:
    layers = [
        Layer(ConvSynapse(1, 2, 3), nn.Tanh()),
        Layer(ConvSynapse(2, 4, 3, stride=2, padding=1, groups=2), nn.Tanh()),
        Layer(ConvSynapse(4, 2, 3, padding=2, dilation=2), nn.Tanh()),
        Layer(LinearSynapse(2 * 3 * 3, 5), nn.Tanh(), before=nn.Flatten()),
        Recurrent(),
        Layer(LinearSynapse(4, 3)),
    ]
    return Network(layers, (1, 7, 7)).double()


def bound(network: Network, **settings: float) -> WeightMirror:
    rule = WeightMirror(**settings)
    rule.bind(network)
    return rule


def test_what_noise_teaches_is_the_forward_weights_on_average() -> None:
    """Also for taps that padding cuts, in groups, in sequences and in blocks.

    A product y_i xi_j of Gaussians has variance |w_i|^2 + w_ij^2 <= 2 |w_i|^2, and a pattern's mean over places no more
    than that; so the mean of n patterns has a standard error of at most sqrt(2 / n) |w_i|, and of a few hundred
    weights none is five of these off but once in ten thousand seeds.
    """
    sequence = Network([Layer(LinearSynapse(2, 3)), Layer(LinearSynapse(3, 4)), Layer(LinearSynapse(4, 3))], (5, 2))
    for network in (convolutional(), sequence.double()):
        rule = bound(network, decay=0.0)
        x = torch.zeros(N_PATTERNS, *network.example, dtype=torch.float64)
        rule.assign_gradients(network, x, torch.zeros(N_PATTERNS, *network.shapes()[-1][:-1], dtype=torch.long))
        pairs = list(learning_pairs(rule, network))
        assert len(pairs) == sum(len(layer.synapses) for layer in network) - 1
        for _, synapse, feedback in pairs:
            weight = synapse.weight.detach()
            lengths = weight.flatten(1).norm(dim=1).view(-1, *[1] * (weight.ndim - 1))
            assert ((-feedback.grad - weight) / lengths).abs().max() < 5 * (2 / N_PATTERNS) ** 0.5
            assert (weight / lengths).abs().max() > 10 * (2 / N_PATTERNS) ** 0.5


def test_decay_is_of_the_feedback_weights_and_added_to_what_noise_teaches() -> None:
    network, x, target = convolutional(), torch.randn(6, 1, 7, 7, dtype=torch.float64), torch.arange(6) % 3
    without, with_decay = bound(network, decay=0.0), bound(network, decay=0.3)
    for rule in (without, with_decay):
        rule.begin_step(2)
        rule.assign_gradients(network, x, target)
    for one, other in zip(without.parameters(), with_decay.parameters(), strict=True):
        if one.requires_grad:
            torch.testing.assert_close(other.grad - one.grad, 0.3 * one.detach())


def test_feedback_comes_to_equal_weights_that_stay_and_the_mirror_leaves_them_alone() -> None:
    network = convolutional()
    rule = bound(network)
    before = [weight.clone() for weight in network.parameters()]
    optimiser = SGD([parameter for parameter in rule.parameters() if parameter.requires_grad], lr=0.03)
    x, target = torch.randn(64, 1, 7, 7, dtype=torch.float64), torch.arange(64) % 3
    assert min(feedback_angle(network, rule.feedback(network)).values()) > 45
    for step in range(150):
        optimiser.zero_grad()
        rule.begin_step(step)
        rule.assign_gradients(network, x, target)
        optimiser.step()
    assert max(feedback_angle(network, rule.feedback(network)).values()) < 5
    assert all(torch.equal(now, then) for now, then in zip(network.parameters(), before, strict=True))


def test_one_pattern_serves_several_samples_and_the_mean_is_over_patterns() -> None:
    network = MLP((3, 4, 3)).double()
    x, target = torch.randn(9, 3, dtype=torch.float64), torch.arange(9) % 3
    sparse, dense = bound(network, samples_a_pattern=4), bound(network)
    for rule, n_patterns in ((sparse, 3), (dense, 9)):
        rule.begin_step(1)
        rule.assign_gradients(network, x, target)
        rule.begin_step(1)
        noise = rule.normal(torch.empty(n_patterns, 4, dtype=torch.float64))
        weight = network.layers[1].synapse.weight.detach()
        expected = rule.feedback_1_0.detach() - (noise @ weight.T).T @ noise / n_patterns
        torch.testing.assert_close(rule.feedback_1_0.grad, expected)


class Symbols(Block):
    """Characters and then a synapse, in one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = EmbeddingSynapse(7, 4), LinearSynapse(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = torch.tanh(self.second(self.first(x)))
        return found


def test_symbols_are_not_mirrored_and_what_follows_them_in_a_block_is() -> None:
    network = Network([Symbols(), Layer(LinearSynapse(4, 3))], (5,)).double()
    rule = bound(network)
    rule.assign_gradients(network, torch.randint(7, (6, 5)), torch.randint(3, (6, 5)))
    assert [name for name, _, _ in learning_pairs(rule, network)] == ["0_1", "1_0"]
