"""Oracles: backprop in the mean over draws; closed forms of the variance; what a quadratic loss makes exact."""

from __future__ import annotations

import pytest
import torch
from plasticode.bioplausible.architectures import CNN, MLP
from plasticode.bioplausible.check import check_learning_rule
from plasticode.bioplausible.layer import Block, Layer
from plasticode.bioplausible.network import Network
from plasticode.bioplausible.objective import SquaredError
from plasticode.bioplausible.rules.node_perturbation import NodePerturbation
from plasticode.bioplausible.synapse import EmbeddingSynapse, LinearSynapse
from plasticode.bioplausible.trial import clear, gradients
from plasticode.datasets.errors import WrongArgument
from torch import Tensor, nn

WEIGHT = "network.layers.0.synapse.weight"
FORMS = [{}, {"antithetic": False, "decorrelation": 0.0}, {"normalised": True}]


class Recurrent(Block):
    """h <- tanh(W x_t + V h): a synapse that is passed once for each character."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = LinearSynapse(width, width), LinearSynapse(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        state, states = torch.zeros_like(x[:, 0]), []
        for now in x.unbind(1):
            state = torch.tanh(self.first(now) + self.second(state))
            states.append(state)
        return torch.stack(states, 1)


def characters() -> Network:
    torch.manual_seed(0)
    return Network([Layer(EmbeddingSynapse(4, 3)), Recurrent(3), Layer(LinearSynapse(3, 4))], (3,)).double()


def update(rule: NodePerturbation, network: Network, x: Tensor, target: Tensor, step: int = 0) -> dict[str, Tensor]:
    clear(rule, network)
    rule.begin_step(step)
    rule.assign_gradients(network, x, target)
    return gradients(rule, network)


@pytest.mark.parametrize("form", FORMS)
def test_the_mean_of_many_draws_is_backprop(form, any_network, batch_for, assert_unbiased) -> None:
    assert_unbiased(NodePerturbation(**form), any_network, *batch_for(any_network, 3))


def test_the_mean_of_many_draws_is_backprop_for_linear_layers_on_sequences(assert_unbiased) -> None:
    network = MLP([5, 4, 3], example=(2, 5)).double()
    network = Network([Layer(layer.synapse, layer.nonlinearity) for layer in network], (2, 5))
    assert_unbiased(NodePerturbation(), network, torch.randn(3, 2, 5).double(), torch.tensor([[0, 1], [2, 0], [1, 1]]))


def test_the_mean_of_many_draws_is_backprop_through_time_in_a_recurrent_block(assert_unbiased) -> None:
    assert_unbiased(
        NodePerturbation(), characters(), torch.tensor([[0, 1, 2], [3, 1, 0]]), torch.tensor([[1, 2, 0]] * 2)
    )


def test_antithetic_pairs_are_exact_for_a_quadratic_loss_whatever_the_size_of_the_noise(batch_for) -> None:
    network = MLP([5, 6, 3], "identity", objective=SquaredError()).double()
    x, target = batch_for(network)
    found = {}
    for antithetic in (True, False):
        small, large = (NodePerturbation(sigma, antithetic) for sigma in (1e-3, 1.0))
        pair = [update(rule, network, x, target) for rule in (small, large)]
        found[antithetic] = max((pair[0][name] - pair[1][name]).abs().max().item() for name in pair[0])
    assert found[True] < 1e-8
    assert found[False] > 1e-2  # the term of second order


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("n_units", [4, 40])
def test_the_second_moment_grows_with_the_number_of_units(n_units: int, normalised: bool) -> None:
    n_draws = 2000
    network, target = MLP([n_draws, n_units]).double(), torch.zeros(n_draws, dtype=torch.long)
    with torch.no_grad():
        network.layers[0].synapse.weight[:] = torch.linspace(-1, 1, n_units).double()[:, None]
    # Each sample drives the units through weights of its own, all alike: each leaves its own draw in its own column.
    x = torch.eye(n_draws, dtype=torch.float64)
    found = n_draws * update(NodePerturbation(normalised=normalised), network, x, target)[WEIGHT]
    gradient = network.objective.error(network(x[:1]), target[:1])
    moment = found.square().sum(0).mean() / gradient.square().sum()
    # A squared normal number has relative deviation sqrt(2): four standard errors of the mean are 13%.
    assert moment.item() == pytest.approx(n_units if normalised else n_units + 2, rel=0.13)


def test_each_drive_learns_its_noise_times_the_derivative_along_all_the_noise(batch_for, mlp) -> None:
    x, target = batch_for(mlp, 1)
    found = update(NodePerturbation(sigma=1e-5), mlp, x, target)
    rule = NodePerturbation()
    noise = [rule.normal(torch.zeros(1, width, dtype=torch.float64))[0] for width in (6, 4, 3)]
    biases = [layer.synapse.bias for layer in mlp]  # a bias has its drive's gradient
    gradients_of_drives = torch.autograd.grad(mlp.objective.loss(mlp(x), target), biases)
    slope = sum(gradient @ xi for gradient, xi in zip(gradients_of_drives, noise, strict=True))
    for i, xi in enumerate(noise):
        assert torch.allclose(found[f"network.layers.{i}.synapse.bias"], slope * xi, rtol=1e-6)


def test_half_batches_average_to_the_whole(strided, batch_for) -> None:
    x, target = batch_for(strided, 6)
    for rule in (NodePerturbation(decorrelation=0.0), NodePerturbation()):
        rule.bind(strided)
        whole = update(rule, strided, x, target, 3)
        halves = []
        for rank in (0, 1):
            clear(rule, strided)
            rule.begin_step(3, (rank, 2))
            rule.assign_gradients(strided, x[rank::2], target[rank::2])
            halves.append(gradients(rule, strided))
        for name, value in whole.items():
            assert torch.allclose((halves[0][name] + halves[1][name]) / 2, value, rtol=1e-7, atol=1e-10)


def test_inputs_lose_what_they_have_in_common_and_the_network_stays_what_it_was() -> None:
    network = MLP([3, 2], "identity").double()
    rule = NodePerturbation(decorrelation=0.05)
    rule.bind(network)
    rule.double()
    draws = torch.Generator().manual_seed(0)
    x = torch.randn(200, 3, generator=draws, dtype=torch.float64)
    x[:, 1] += 2 * x[:, 0]
    scores = rule.infer(network, x)
    for step in range(300):
        update(rule, network, x, torch.zeros(200, dtype=torch.long), step)
        rule.after_step(network)
    z = x @ rule.decorrelation.matrices["0"][0].detach().T
    assert torch.equal(rule.infer(network, x), scores)
    left, there = (moment - moment.diag().diag() for moment in (z.T @ z / 200, x.T @ x / 200))
    assert left.abs().max() < 1e-3 * there.abs().max()


def test_a_decorrelating_matrix_multiplies_each_kernels_update_by_its_square(strided, batch_for) -> None:
    x, target = batch_for(strided)
    plain, rule = NodePerturbation(decorrelation=0.0), NodePerturbation()
    rule.bind(strided)
    expected = update(plain, strided, x, target)
    for matrix in rule.decorrelation.parameters():
        nn.init.normal_(matrix)
    found = update(rule, strided, x, target)
    for i, layer in enumerate(strided):
        matrix, name = rule.decorrelation.matrices[str(i)].detach(), f"network.layers.{i}.synapse.weight"
        rows = expected[name].reshape(len(matrix), -1, matrix.shape[-1]) @ matrix.mT @ matrix
        assert torch.allclose(found[name], rows.reshape(layer.synapse.weight.shape))
        assert torch.allclose(found[name.replace("weight", "bias")], expected[name.replace("weight", "bias")])


def test_the_optimiser_leaves_the_matrices_to_the_rule(mlp, batch_for) -> None:
    rule = NodePerturbation(decorrelation=0.1)
    rule.bind(mlp)
    optimiser = torch.optim.Adam(rule.parameter_groups(mlp, {"lr": 1.0, "weight_decay": 0.5}))
    update(rule, mlp, *batch_for(mlp))
    optimiser.step()
    matrix = rule.decorrelation.matrices["0"]
    assert torch.equal(matrix[0], torch.eye(5, dtype=matrix.dtype))
    rule.after_step(mlp)
    assert torch.allclose(matrix[0], torch.eye(5, dtype=matrix.dtype) - 0.1 * matrix.grad[0])


@pytest.mark.parametrize("form", FORMS)
def test_it_keeps_the_promises_of_a_rule(form) -> None:
    check_learning_rule(lambda: NodePerturbation(**form))
    check_learning_rule(
        lambda: NodePerturbation(**form), lambda: CNN((1, 8, 8), (3, 4), (3, 3), ("max", "average"), 6, 4)
    )


def test_noise_too_small_for_float32_is_refused() -> None:
    with pytest.raises(WrongArgument, match=r"below 0\.001 the losses' rounding outweighs their difference"):
        NodePerturbation(sigma=1e-4).bind(MLP([5, 3]))
    NodePerturbation(sigma=1e-4).bind(MLP([5, 3]).double())
    with pytest.raises(WrongArgument, match="sigma must be positive"):
        NodePerturbation(sigma=0.0)
