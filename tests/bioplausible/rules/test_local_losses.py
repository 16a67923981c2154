"""Oracle: autograd of one layer's own loss, written out pair by pair; numpy's correlation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from plasticode.bioplausible.layer import Block, Layer
from plasticode.bioplausible.network import Network
from plasticode.bioplausible.rules.local_losses import (
    LocalLosses,
    PredLoss,
    SimLoss,
    SpatialDeviation,
    prediction_head,
    similarity_error,
    similarity_loss,
    similarity_matrix,
)
from plasticode.bioplausible.synapse import LinearSynapse
from plasticode.datasets.errors import WrongArgument
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

KINDS = [LocalLosses, PredLoss, SimLoss]


def bound(kind: type[LocalLosses], network: Network) -> LocalLosses:
    rule = kind()
    rule.bind(network)
    return rule


def own_loss(rule: LocalLosses, i: int, y: Tensor, target: Tensor) -> Tensor:
    """(1 - beta) cross-entropy + beta mean squared difference of similarities, through the heads of layer i."""
    beta, loss = rule.similarity, torch.zeros((), dtype=y.dtype)
    if beta < 1:
        loss = loss + (1 - beta) * cross_entropy(rule.predicting[i](y), target)
    if beta > 0:
        z = rule.comparing[i](y)
        z = z - z.mean(1, keepdim=True)
        pairs = (z[:, None] * z[None]).sum(2) / (z.norm(dim=1)[:, None] * z.norm(dim=1)[None])
        same = torch.where(target[:, None] == target[None], 1.0, -1 / (rule.n_classes - 1))
        loss = loss + beta * (pairs - same).square().mean()
    return loss


def check_layers(rule: LocalLosses, network: Network, x: Tensor, target: Tensor) -> None:
    loss = rule.assign_gradients(network, x, target)
    torch.testing.assert_close(loss, network.objective.loss(network(x), target))
    heads = [[*getattr(rule, name)] for name in ("predicting", "comparing") if hasattr(rule, name)]
    for i, layer in enumerate(network.layers[:-1]):
        x = layer(x.detach())
        trained = [*layer.parameters(), *(p for own in heads for p in own[i].parameters())]
        wanted = own_loss(rule, i, x.flatten(0, target.ndim - 1), target.flatten())
        torch.testing.assert_close([p.grad for p in trained], list(torch.autograd.grad(wanted, trained)))
    readout = list(network.layers[-1].parameters())
    wanted = network.objective.loss(network.layers[-1](x.detach()), target)
    torch.testing.assert_close([p.grad for p in readout], list(torch.autograd.grad(wanted, readout)))


@pytest.mark.parametrize("kind", KINDS)
def test_every_layer_and_its_heads_descend_the_layer_s_own_loss_and_no_other(any_network, batch_for, kind) -> None:
    check_layers(bound(kind, any_network), any_network, *batch_for(any_network))


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_that_keeps_the_readout_s_times_takes_each_time_for_a_sample(kind) -> None:
    network = Network([Layer(LinearSynapse(4, 6), nn.Tanh()), Layer(LinearSynapse(6, 3))], (5, 4)).double()
    x, target = torch.randn(3, 5, 4, dtype=torch.float64), torch.arange(15).view(3, 5) % 3
    check_layers(bound(kind, network), network, x, target)


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_with_several_places_under_one_readout_is_read_whole(kind) -> None:
    first = Layer(LinearSynapse(4, 6), nn.Tanh())
    network = Network([first, Layer(LinearSynapse(30, 3), before=nn.Flatten())], (5, 4)).double()
    check_layers(bound(kind, network), network, torch.randn(6, 5, 4, dtype=torch.float64), torch.arange(6) % 3)


class Branch(Block):
    """x + W_2 tanh(W_1 x)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = LinearSynapse(4, 4), LinearSynapse(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = x + self.second(torch.tanh(self.first(x)))
        return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_block_is_one_layer(kind) -> None:
    network = Network([Branch(), Layer(LinearSynapse(4, 3))], (4,)).double()
    check_layers(bound(kind, network), network, torch.randn(6, 4, dtype=torch.float64), torch.arange(6) % 3)


def test_similarity_is_the_correlation_of_samples() -> None:
    z = torch.randn(6, 5, dtype=torch.float64)
    np.testing.assert_allclose(similarity_matrix(z).numpy(), np.corrcoef(z.numpy()), atol=1e-12)


def test_activities_like_the_labels_cost_nothing_and_ask_for_nothing() -> None:
    target = torch.tensor([0, 2, 1, 1, 3])
    alike = 3 * one_hot(target, 4).double() + 5  # neither scale nor offset counts
    assert similarity_loss(alike, target, 4) < 1e-24
    assert similarity_error(alike, target, 4).abs().max() < 1e-12
    assert similarity_loss(alike, target.roll(1), 4) > 0.1


def test_silent_samples_and_even_feature_maps_leave_finite_errors() -> None:
    target = torch.tensor([0, 1, 1])
    assert torch.isfinite(similarity_error(torch.zeros(3, 4), target, 2)).all()
    maps = torch.ones(3, 4, 5, 5, requires_grad=True)
    SpatialDeviation()(maps).sum().backward()
    assert torch.isfinite(maps.grad).all()


def test_the_deviation_of_maps_is_numpy_s() -> None:
    maps = torch.randn(3, 4, 5, 6, dtype=torch.float64)
    expected = maps.numpy().reshape(3, 4, -1).std(2, ddof=1)
    np.testing.assert_allclose(SpatialDeviation()(maps).numpy(), expected, atol=1e-9)
    assert torch.equal(SpatialDeviation()(maps[..., :1, :1]), maps[..., 0, 0])


@pytest.mark.parametrize(("pooled", "width"), [(2048, 4 * 5 * 5), (40, 4 * 3 * 3), (3, 4)])
def test_feature_maps_are_pooled_to_as_many_values_as_fit(pooled, width) -> None:
    head = prediction_head((4, 5, 7), 3, pooled, torch.Generator())
    assert head.synapse.weight.shape == (3, width)
    assert head(torch.zeros(2, 4, 5, 7)).shape == (2, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_half_batches_average_to_the_whole_where_the_rule_says_so_and_nowhere_else(cnn, batch_for, kind) -> None:
    x, target = batch_for(cnn, 8)

    def first_update(chosen: slice) -> Tensor:
        cnn.zero_grad()
        bound(kind, cnn).assign_gradients(cnn, x[chosen], target[chosen])
        return cnn.layers[0].synapse.weight.grad

    whole = first_update(slice(None))
    halves = (first_update(slice(None, None, 2)) + first_update(slice(1, None, 2))) / 2
    assert torch.allclose(whole, halves, rtol=1e-9, atol=1e-12) is not kind.facts.reads_batch


def test_the_heads_are_parameters_of_the_rule_that_learn(mlp) -> None:
    counts = {kind: len([p for p in bound(kind, mlp).parameters() if p.requires_grad]) for kind in KINDS}
    assert counts == {PredLoss: 4, SimLoss: 2, LocalLosses: 6}  # two hidden layers; weight and bias, or weight alone


def test_a_layer_without_the_readout_s_places_is_refused_with_the_reason() -> None:
    network = Network([Layer(LinearSynapse(4, 6)), Layer(LinearSynapse(3, 2), before=nn.Unflatten(-1, (2, 3)))], (4,))
    with pytest.raises(WrongArgument, match="does not keep the readout's places"):
        bound(LocalLosses, network)
