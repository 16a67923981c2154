"""Oracle: autograd of one layer's goodness loss, the loss's closed form, and prediction class by class."""

from __future__ import annotations

import math

import pytest
import torch
from plasticode.bioplausible.architectures import CNN, MLP
from plasticode.bioplausible.check import check_learning_rule
from plasticode.bioplausible.layer import Layer
from plasticode.bioplausible.length_normalised import without_length
from plasticode.bioplausible.network import Network
from plasticode.bioplausible.rules.forward_forward import ForwardForward, shifted
from plasticode.bioplausible.synapse import LinearSynapse
from plasticode.datasets.errors import WrongArgument
from torch import Tensor, nn
from torch.nn.functional import one_hot


def sequential() -> Network:
    """A fully connected layer on the last axis of (batch time feature), then over all of it."""
    first = Layer(LinearSynapse(4, 6), nn.ReLU())
    return Network(
        [first, Layer(LinearSynapse(18, 5), nn.Tanh(), nn.Flatten()), Layer(LinearSynapse(5, 3))], (3, 4)
    ).double()


NETWORKS = {"mlp": lambda: MLP((5, 6, 4, 3), seed=2).double(), "sequential": sequential}


@pytest.fixture(params=list(NETWORKS))
def network(request: pytest.FixtureRequest) -> Network:
    return NETWORKS[request.param]()


def goodness(y: Tensor, mean: bool) -> Tensor:
    squares = y.flatten(1).square()
    return squares.mean(1) if mean else squares.sum(1)


def layer_losses(rule: ForwardForward, network: Network, x: Tensor, right: Tensor, wrong: Tensor) -> list[Tensor]:
    """Each hidden layer's loss as the paper writes it, the graph cut below each."""
    pairs = [rule.labelled(x, one_hot(labels, 3)) for labels in (right, wrong)]
    losses = []
    for layer in network.layers[:-1]:
        pairs = [layer(without_length(h.detach())) for h in pairs]
        theta = rule.theta(layer) * (1 if rule.mean else pairs[0][0].numel())
        positive, negative = (goodness(h, rule.mean) for h in pairs)
        losses.append((torch.log1p(torch.exp(theta - positive)) + torch.log1p(torch.exp(negative - theta))).mean())
    return losses


@pytest.mark.parametrize("mean", [False, True])
def test_each_layer_descends_its_own_goodness_loss_and_no_other(network, batch_for, mean) -> None:
    rule = ForwardForward(mean=mean)
    rule.bind(network)
    x, target = batch_for(network)
    wrong = rule.wrong_labels(network, x, target)
    rule.begin_step(0)  # so that the same wrong labels are drawn again
    loss = rule.assign_gradients(network, x, target)
    losses = layer_losses(rule, network, x, target, wrong)
    torch.testing.assert_close(loss, torch.stack(losses).mean())
    for layer, own in zip(network.layers[:-1], losses, strict=True):
        expected = torch.autograd.grad(own, list(layer.parameters()))
        torch.testing.assert_close([p.grad for p in layer.parameters()], list(expected))
    assert all(p.grad is None for p in network.layers[-1].parameters())


def test_the_loss_at_the_threshold_is_two_log_two_and_its_slope_is_half_the_activity() -> None:
    layer = MLP((4, 4, 2), "relu").layers[0]
    y = torch.ones(2, 4, dtype=torch.float64)  # the goodness is theta: four units at one
    loss, error = ForwardForward().goodness_loss(layer, y, torch.tensor([1.0, -1.0]))
    assert loss.item() == pytest.approx(2 * math.log(2))
    torch.testing.assert_close(error, torch.tensor([[-1.0], [1.0]], dtype=torch.float64).expand(2, 4))


@pytest.mark.parametrize("n_classes", [2, 3, 10, 101])
def test_a_wrong_label_is_never_the_right_one_and_can_be_any_other(n_classes) -> None:
    # Every target with every outcome of a draw; the largest number below 1 in float32, and what rounding makes of it.
    draws = torch.cat([(torch.arange(n_classes - 1) + 0.5) / (n_classes - 1), torch.tensor([0.0, 1 - 2**-24, 1.0])])
    target = torch.arange(n_classes).repeat_interleave(len(draws))
    found = shifted(target, n_classes, draws.repeat(n_classes))
    assert not (found == target).any()
    for own in range(n_classes):
        assert set(found[target == own].tolist()) == set(range(n_classes)) - {own}


@pytest.mark.parametrize("readout", [False, True])
def test_a_hard_wrong_label_is_never_the_right_one_and_mostly_what_the_network_believes(mlp, readout) -> None:
    rule = ForwardForward(hard=True, readout=readout)
    rule.bind(mlp)
    x = torch.randn(600, 5, dtype=torch.float64)
    target = torch.arange(600) % 3
    scores = rule.infer(mlp, x)
    wrong = rule.wrong_labels(mlp, x, target)
    assert not (wrong == target).any()
    allowed = scores.scatter(1, target[:, None], -math.inf)
    expected = allowed.softmax(1)  # of a class, times 600, within five standard errors
    for label in range(3):
        share = expected[:, label]
        error = (share * (1 - share)).sum().sqrt()
        assert abs((wrong == label).sum() - share.sum()) < 5 * error


def test_one_pass_over_all_classes_predicts_as_a_pass_for_each(network, batch_for) -> None:
    rule = ForwardForward()
    rule.bind(network)
    x, _ = batch_for(network)
    by_class = []
    for label in range(3):
        h = rule.labelled(x, one_hot(torch.full((len(x),), label), 3))
        scores = []
        for layer in network.layers[:-1]:
            h = layer(without_length(h))
            scores.append(goodness(h, mean=False))
        by_class.append(sum(scores[1:]))
    torch.testing.assert_close(rule.infer(network, x), torch.stack(by_class, 1))


def test_the_only_hidden_layer_predicts(batch_for) -> None:
    network = MLP((5, 6, 3)).double()
    x, _ = batch_for(network)
    assert ForwardForward().infer(network, x).std(1).min() > 0


def test_a_label_takes_the_first_features_and_leaves_the_others_their_pattern() -> None:
    x = torch.arange(1.0, 13.0).view(2, 2, 3)
    found = ForwardForward(strength=4.0).labelled(x, torch.eye(2)).flatten(1)
    assert found[:, :2].tolist() == [[4, 0], [0, 4]]
    torch.testing.assert_close(found[:, 2:], without_length(x).flatten(1)[:, 2:])


def test_the_length_of_the_input_and_of_what_a_layer_hands_on_say_nothing(mlp, batch_for) -> None:
    rule = ForwardForward()
    x, _ = batch_for(mlp)
    torch.testing.assert_close(rule.infer(mlp, x), rule.infer(mlp, 7 * x), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(
        without_length(x).square().mean(1), torch.ones(5, dtype=torch.float64), rtol=1e-6, atol=0
    )
    assert not without_length(torch.zeros(2, 3)).any()


def test_the_threshold_is_one_a_unit_two_for_a_mean_and_half_of_a_bounded_unit_s_reach() -> None:
    tanh, relu = (MLP((4, 5, 2), name).layers[0] for name in ("tanh", "relu"))
    thetas = [ForwardForward().theta(relu), ForwardForward(mean=True).theta(relu), ForwardForward().theta(tanh)]
    assert thetas == [1.0, 2.0, 0.5]
    assert ForwardForward(threshold=0.3).theta(tanh) == 0.3


def test_the_readout_learns_from_a_neutral_label_by_the_delta_rule(mlp, batch_for) -> None:
    rule = ForwardForward(readout=True)
    x, target = batch_for(mlp)
    rule.assign_gradients(mlp, x, target)
    logits = rule.infer(mlp, x)  # the readout's, under the neutral label
    readout = list(mlp.layers[-1].parameters())
    expected = torch.autograd.grad(mlp.objective.loss(logits, target), readout)
    torch.testing.assert_close([p.grad for p in readout], list(expected))


@pytest.mark.parametrize(
    "options", [{"mean": True}, {"hard": True}, {"readout": True}, {"hard": True, "readout": True}]
)
def test_every_option_keeps_the_promises_of_a_rule(options) -> None:
    outcomes = check_learning_rule(lambda: ForwardForward(**options))
    assert {outcome.skipped for outcome in outcomes} <= {None, "reads no images"}


def test_it_learns_what_it_is_shown() -> None:
    draws = torch.Generator().manual_seed(1)
    x, target = torch.randn(300, 20, generator=draws), torch.arange(300) % 4
    x[torch.arange(300), 4 + target] += 4  # beside the features that the label takes
    network, rule = MLP((20, 40, 40, 4), "relu"), ForwardForward()
    rule.bind(network)
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    for step in range(100):
        optimiser.zero_grad()
        rule.begin_step(step)
        rule.assign_gradients(network, x, target)
        optimiser.step()
    assert (rule.infer(network, x).argmax(1) == target).float().mean() > 0.9


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (CNN((1, 8, 8), (4,), (3,), ("max",), 6, 3), "layer 1 is not fully connected"),
        (MLP((5, 3)), "no hidden layer"),
        (MLP((2, 4, 3)), "its input has 2 features, too few to write 3 classes into"),
        (Network([Layer(LinearSynapse(4, 6)), Layer(LinearSynapse(6, 2))], (5, 4)), "its readout speaks at several"),
    ],
)
def test_networks_without_room_for_a_label_are_refused_with_the_reason(network, reason) -> None:
    with pytest.raises(WrongArgument, match=reason):
        ForwardForward().bind(network)
