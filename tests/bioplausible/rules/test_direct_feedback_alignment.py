"""Oracle: backprop of linear networks, whose errors one matrix brings back; autograd of one layer at a time."""

from __future__ import annotations

import pytest
import torch
from plasticode.bioplausible.alignment import angle_to_backprop
from plasticode.bioplausible.architectures import CNN, MLP
from plasticode.bioplausible.layer import Block, Layer
from plasticode.bioplausible.network import Network
from plasticode.bioplausible.rules.direct_feedback_alignment import DirectFeedbackAlignment
from plasticode.bioplausible.synapse import ConvSynapse, EmbeddingSynapse, LinearSynapse
from plasticode.datasets.errors import WrongArgument
from torch import Tensor, nn
from torch.optim import Adam


def bound(network: Network) -> DirectFeedbackAlignment:
    rule = DirectFeedbackAlignment()
    rule.bind(network)
    return rule


def gradients(rule: DirectFeedbackAlignment, network: Network, x: Tensor, target: Tensor) -> list[Tensor]:
    network.zero_grad()
    rule.assign_gradients(network, x, target)
    return [parameter.grad for parameter in network.parameters()]


def backprop(network: Network, x: Tensor, target: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(network.objective.loss(network(x), target), list(network.parameters())))


def test_with_one_hidden_layer_and_the_readout_s_weights_it_is_backprop() -> None:
    network = MLP((4, 6, 3)).double()
    rule = bound(network)
    rule.direct_0.copy_(network.layers[1].synapse.weight.detach())
    x, target = torch.randn(8, 4, dtype=torch.float64), torch.arange(8) % 3
    torch.testing.assert_close(gradients(rule, network, x, target), backprop(network, x, target))


def linear_convolutional() -> Network:
    layers = [
        Layer(ConvSynapse(2, 4, 3, stride=2, padding=1)),
        Layer(ConvSynapse(4, 4, 3, padding=2, dilation=2, groups=2), after=nn.AvgPool2d(2)),
        Layer(LinearSynapse(4 * 2 * 2, 5), before=nn.Flatten()),
        Layer(LinearSynapse(5, 3)),
    ]
    return Network(layers, (2, 7, 7)).double()


def linear_sequential() -> Network:
    return Network(
        [Layer(LinearSynapse(4, 6)), Layer(LinearSynapse(6, 5)), Layer(LinearSynapse(5, 3))], (5, 4)
    ).double()


@pytest.mark.parametrize("make_network", [linear_convolutional, linear_sequential])
def test_with_the_jacobian_of_what_follows_a_linear_network_learns_by_backprop(make_network) -> None:
    network = make_network()
    rule = bound(network)
    places = len(network.shapes()[-1]) - 1
    for i, shape in enumerate(network.shapes()[:-1]):
        features = shape[places:]

        def rest(h: Tensor, i: int = i) -> Tensor:
            h = h.expand(1, *network.shapes()[i][:places], *h.shape)  # the same at every place
            for layer in network.layers[i + 1 :]:
                h = layer(h)
            return h.flatten(0, -2)[0]

        blank = torch.zeros(features, dtype=torch.float64)
        jacobian = torch.autograd.functional.jacobian(rest, blank)
        rule.get_buffer(f"direct_{i}").copy_(jacobian.flatten(1))
    x = torch.randn(8, *network.example, dtype=torch.float64)
    target = torch.randint(3, (8, *network.shapes()[-1][:-1]))
    torch.testing.assert_close(gradients(rule, network, x, target), backprop(network, x, target))


def test_each_layer_alone_descends_the_product_of_its_output_and_the_error_it_is_sent() -> None:
    network = CNN((1, 8, 8), (3, 4, 2), (3, 3, 3), hidden=6, n_classes=3).double()
    rule = bound(network)
    x, target = torch.randn(6, 1, 8, 8, dtype=torch.float64), torch.arange(6) % 3
    found = gradients(rule, network, x, target)
    error = network.objective.error(network(x), target)
    expected = []
    for i, layer in enumerate(network.layers[:-1]):
        y = layer(x)
        sent = (error @ rule.get_buffer(f"direct_{i}")).view_as(y)
        expected += torch.autograd.grad((y * sent).sum(), list(layer.parameters()))
        x = y.detach()
    torch.testing.assert_close(found[:-2], expected)


class Doubled(Block):
    """x + W_2 tanh(W_1 x)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = LinearSynapse(width, width), LinearSynapse(width, width)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = x + self.second(torch.tanh(self.first(x)))
        return found


def test_inside_a_block_errors_return_through_fixed_weights_and_never_through_the_forward_ones() -> None:
    network = Network([Doubled(4), Layer(LinearSynapse(4, 3))], (4,)).double()
    rule = bound(network)
    x, target = torch.randn(6, 4, dtype=torch.float64), torch.arange(6) % 3
    found = gradients(rule, network, x, target)
    block = network.layers[0]
    inner = torch.tanh(block.first(x))
    sent = network.objective.error(network(x), target) @ rule.direct_0
    at_first = (sent @ rule.feedback_0_1) * (1 - inner**2)
    torch.testing.assert_close(found[:4], [at_first.T @ x, at_first.sum(0), sent.T @ inner, sent.sum(0)])


def test_the_error_at_one_time_reaches_the_layers_at_that_time_and_no_other() -> None:
    symbols = Network([Layer(EmbeddingSynapse(7, 4), nn.Tanh()), Layer(LinearSynapse(4, 3))], (5,)).double()
    rule = bound(symbols)
    ids, target = torch.tensor([[0, 1, 2, 3, 4]]), torch.zeros(1, 5, dtype=torch.long)
    before = gradients(rule, symbols, ids, target)[0]
    target[0, 2] = 1
    moved = (gradients(rule, symbols, ids, target)[0] - before).abs().sum(1) > 0
    assert moved.tolist() == [False, False, True, False, False, False, False]


def test_a_direct_matrix_keeps_the_error_s_norm_on_average() -> None:
    network = MLP((20, 400, 400, 10))
    rule = bound(network)
    # Each squared length is a chi-squared of 400 over 400, so that it lies within 5 sqrt(2 / 400) of 1.
    assert (rule.direct_1.square().sum(1) - 1).abs().max() < 5 * (2 / 400) ** 0.5


def test_a_layer_without_the_readout_s_places_is_refused_with_the_reason() -> None:
    network = Network([Layer(LinearSynapse(4, 6)), Layer(LinearSynapse(3, 2), before=nn.Unflatten(-1, (2, 3)))], (4,))
    with pytest.raises(
        WrongArgument, match=r"layer 1 has output \(6,\), which does not keep the readout's places \(2,\)"
    ):
        bound(network)


def test_the_angle_to_backprop_starts_at_90_degrees_and_falls() -> None:
    draws = torch.Generator().manual_seed(7)
    x = torch.randn(3000, 30, generator=draws)
    target = (x @ torch.randn(30, 10, generator=draws)).argmax(1)
    network = MLP((30, 40, 40, 10))
    rule = bound(network)
    first = angle_to_backprop(rule, network, x, target)
    assert all(80 < first[layer] < 100 for layer in (0, 1))
    optimiser = Adam(network.parameters(), lr=3e-3)
    for step in range(250):
        batch = torch.arange(128 * step, 128 * (step + 1)) % len(x)
        optimiser.zero_grad()
        rule.assign_gradients(network, x[batch], target[batch])
        optimiser.step()
    last = angle_to_backprop(rule, network, x, target)
    assert all(last[layer] < 75 for layer in (0, 1))
