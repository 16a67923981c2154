"""Oracles: backprop in the mean over draws; a perturbed network made by hand; what a quadratic loss makes exact."""

from __future__ import annotations

import copy

import pytest
import torch
from plasticode.bioplausible.architectures import CNN, MLP
from plasticode.bioplausible.check import check_learning_rule
from plasticode.bioplausible.layer import Layer
from plasticode.bioplausible.network import Network
from plasticode.bioplausible.objective import SquaredError
from plasticode.bioplausible.rules.weight_perturbation import WeightPerturbation
from plasticode.bioplausible.synapse import EmbeddingSynapse, LinearSynapse
from plasticode.bioplausible.trial import clear, gradients
from plasticode.datasets.errors import WrongArgument
from torch import Tensor, nn


def update(rule: WeightPerturbation, network: Network, x: Tensor, target: Tensor, step: int = 0) -> dict[str, Tensor]:
    clear(network)
    rule.begin_step(step)
    rule.assign_gradients(network, x, target)
    return gradients(rule, network)


@pytest.mark.parametrize("antithetic", [False, True])
def test_the_mean_of_many_draws_is_backprop(antithetic: bool, any_network, batch_for, assert_unbiased) -> None:
    assert_unbiased(WeightPerturbation(antithetic=antithetic), any_network, *batch_for(any_network, 2))


def test_the_mean_of_many_draws_is_backprop_for_symbols_and_linear_layers_on_sequences(assert_unbiased) -> None:
    torch.manual_seed(0)
    layers = [Layer(EmbeddingSynapse(4, 3)), Layer(LinearSynapse(3, 5), nn.Tanh()), Layer(LinearSynapse(5, 4))]
    x, target = torch.tensor([[0, 1, 2], [3, 1, 0]]), torch.tensor([[1, 2, 0]] * 2)
    assert_unbiased(WeightPerturbation(), Network(layers, (3,)).double(), x, target)


@pytest.mark.parametrize("per_sample", [False, True])
def test_one_sample_learns_the_noise_times_the_answer_of_a_network_that_was_shaken_by_it(
    per_sample: bool, strided, batch_for
) -> None:
    x, target = batch_for(strided, 1)
    rule, sigma = WeightPerturbation(sigma=0.1, per_sample=per_sample), 0.1
    found = update(rule, strided, x, target)
    # The update is credit times noise: for the right credit, weights shaken by noise answer with that credit.
    shaken, clean = copy.deepcopy(strided), strided.objective.loss(strided(x), target)

    def answer(credit: float) -> float:
        with torch.no_grad():
            for parameter, own, change in zip(shaken.parameters(), strided.parameters(), found.values(), strict=True):
                parameter.copy_(own + sigma * change / credit)
            return ((shaken.objective.loss(shaken(x), target) - clean) / sigma).item()

    rule.begin_step(0)
    noise = rule._draw(strided.layers[0].synapse, 1)
    credit = (found["network.layers.0.synapse.bias"] / noise.bias[0])[0].item()
    assert answer(credit) == pytest.approx(credit, rel=1e-9)


def test_antithetic_pairs_are_exact_for_a_quadratic_loss_whatever_the_size_of_the_noise(batch_for) -> None:
    network = MLP([5, 3], objective=SquaredError()).double()
    x, target = batch_for(network)
    found = {}
    for antithetic in (True, False):
        pair = [update(WeightPerturbation(sigma, antithetic), network, x, target) for sigma in (1e-3, 1.0)]
        found[antithetic] = max((pair[0][name] - pair[1][name]).abs().max().item() for name in pair[0])
    assert found[True] < 1e-8
    assert found[False] > 1e-2  # the term of second order


def second_moment(rule: WeightPerturbation, network: Network, x: Tensor, target: Tensor, n_draws: int) -> float:
    """E|update|^2 over |gradient|^2."""
    clear(network)
    network.objective.loss(network(x), target).backward()
    gradient = sum(parameter.grad.square().sum() for parameter in network.parameters())
    total = 0.0
    for step in range(n_draws):
        total += sum(value.square().sum().item() for value in update(rule, network, x, target, step).values()) / n_draws
    return total / gradient.item()


@pytest.mark.parametrize("hidden", [1, 10])
def test_the_second_moment_grows_with_the_number_of_weights(hidden: int, batch_for) -> None:
    network = MLP([4, hidden, 2], "tanh").double()
    n_weights = sum(parameter.numel() for parameter in network.parameters())
    found = second_moment(WeightPerturbation(per_sample=False), network, *batch_for(network, 1), 400)
    # A squared normal number has relative deviation sqrt(2): four standard errors of the mean are 28%.
    assert found == pytest.approx(n_weights, rel=0.28)


def test_noise_for_each_sample_averages_over_the_batch_and_noise_for_the_batch_does_not(batch_for) -> None:
    network = MLP([4, 6, 2], "tanh").double()
    x, target = (part.repeat(20, *[1] * (part.ndim - 1)) for part in batch_for(network, 1))
    n_weights = sum(parameter.numel() for parameter in network.parameters())
    shared = second_moment(WeightPerturbation(per_sample=False), network, x, target, 200)
    apart = second_moment(WeightPerturbation(), network, x, target, 200)
    assert shared == pytest.approx(n_weights, rel=0.4)
    assert apart == pytest.approx(1 + (n_weights - 1) / 20, rel=0.2)


@pytest.mark.parametrize("per_sample", [False, True])
def test_half_batches_average_to_the_whole(per_sample: bool, strided, batch_for) -> None:
    x, target = batch_for(strided, 6)
    rule = WeightPerturbation(per_sample=per_sample)
    whole = update(rule, strided, x, target, 3)
    halves = []
    for rank in (0, 1):
        clear(strided)
        rule.begin_step(3, (rank, 2))
        rule.assign_gradients(strided, x[rank::2], target[rank::2])
        halves.append(gradients(rule, strided))
    for name, value in whole.items():
        assert torch.allclose((halves[0][name] + halves[1][name]) / 2, value, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("form", [{}, {"antithetic": True}, {"per_sample": False}])
def test_it_keeps_the_promises_of_a_rule(form) -> None:
    check_learning_rule(lambda: WeightPerturbation(**form))
    check_learning_rule(
        lambda: WeightPerturbation(**form), lambda: CNN((1, 8, 8), (3, 4), (3, 3), ("max", "average"), 6, 4)
    )


def test_noise_too_small_for_float32_is_refused() -> None:
    with pytest.raises(WrongArgument, match=r"below 0\.001 the losses' rounding outweighs their difference"):
        WeightPerturbation(sigma=1e-4).bind(MLP([5, 3]))
    with pytest.raises(WrongArgument, match="sigma must be positive"):
        WeightPerturbation(sigma=-1.0)
