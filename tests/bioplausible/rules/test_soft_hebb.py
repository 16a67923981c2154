"""Oracle: the paper's equation, written out in numpy patch by patch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from plasticode.bioplausible.architectures import CNN, MLP
from plasticode.bioplausible.check import check_learning_rule
from plasticode.bioplausible.rules.soft_hebb import SoftHebb, increment
from plasticode.bioplausible.soft_hebb_network import SoftHebbNetwork, Triangle
from plasticode.bioplausible.synapse import ConvSynapse, LinearSynapse
from plasticode.bioplausible.trial import clear
from plasticode.datasets.errors import WrongArgument


def by_hand(weight: np.ndarray, rows: np.ndarray, beta: float) -> np.ndarray:
    """||w| - 1|^(1/2) D / max |D| for weights (unit tap) and patches (row tap)."""
    change = np.zeros_like(weight)
    for x in rows:
        u = weight @ x
        share = np.exp(beta * (u - u.max()))
        share /= share.sum()
        for k in range(len(u)):
            y = share[k] if k == u.argmax() else -share[k]
            change[k] += y * (x - u[k] * weight[k])
    return np.sqrt(np.abs(np.linalg.norm(weight, axis=1) - 1))[:, None] * change / np.abs(change).max()


@pytest.mark.parametrize("shape", [(6, 5), (3, 4, 5)])
def test_a_linear_layers_increment_is_the_papers(shape) -> None:
    torch.manual_seed(0)
    synapse, x = LinearSynapse(5, 4, bias=False).double(), torch.randn(shape).double()
    found = increment(synapse, x, synapse(x).detach(), 2.0)
    expected = by_hand(synapse.weight.detach().numpy(), x.numpy().reshape(-1, 5), 2.0)
    assert np.allclose(found.numpy(), expected, atol=1e-12)


def test_a_strided_and_padded_convolutions_increment_is_the_papers() -> None:
    torch.manual_seed(0)
    synapse, x = ConvSynapse(2, 3, 3, stride=2, padding=1, bias=False).double(), torch.randn(2, 2, 5, 6).double()
    found = increment(synapse, x, synapse(x).detach(), 0.7)
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)))
    rows = [padded[n, :, i : i + 3, j : j + 3].ravel() for n in range(2) for i in (0, 2, 4) for j in (0, 2, 4)]
    expected = by_hand(synapse.weight.detach().flatten(1).numpy(), np.stack(rows), 0.7)
    assert np.allclose(found.flatten(1).numpy(), expected, atol=1e-12)


def test_the_largest_entry_of_a_layers_change_is_one_before_the_rate() -> None:
    torch.manual_seed(0)
    synapse, x = LinearSynapse(5, 4, bias=False).double(), torch.randn(6, 5).double()
    found = increment(synapse, x, synapse(x).detach(), 1.0)
    rate = (synapse.weight.detach().norm(dim=1) - 1).abs().sqrt()
    assert (found / rate[:, None]).abs().max().item() == pytest.approx(1)


def test_the_gradient_is_minus_the_increment_and_the_optimisers_rate_is_the_layers_own(mlp, batch_for) -> None:
    x, target = batch_for(mlp)
    rule = SoftHebb(rates=[0.5, 0.25])
    rule.bind(mlp)
    synapse = mlp.layers[0].synapse
    before = synapse.weight.detach().clone()
    expected = increment(synapse, x, synapse(x).detach() - synapse.bias.detach(), 1.0)
    rule.assign_gradients(mlp, x, target)
    torch.optim.SGD(rule.parameter_groups(mlp, {"lr": 7.0, "weight_decay": 0.1}), momentum=0.9).step()
    assert torch.allclose(synapse.weight - before, 0.5 * expected)


@pytest.mark.parametrize("radius", [0.3, 5.0])
def test_lengths_converge_to_one(radius: float) -> None:
    draws = torch.Generator().manual_seed(0)
    network = MLP([6, 4, 2], seed=1).double()
    centres = 3 * torch.randn(4, 6, generator=draws, dtype=torch.float64)
    with torch.no_grad():  # each unit wins somewhere: one that never does only unlearns
        weight = network.layers[0].synapse.weight
        weight.copy_(radius * centres / centres.norm(dim=1, keepdim=True))
    rule = SoftHebb(rates=0.05)
    rule.bind(network)
    optimiser = torch.optim.SGD(rule.parameter_groups(network, {"lr": 0.01, "weight_decay": 0.0}))
    for _ in range(600):
        kind = torch.randint(4, (10,), generator=draws)
        clear(network)
        x = centres[kind] + 0.3 * torch.randn(10, 6, generator=draws, dtype=torch.float64)
        rule.assign_gradients(network, x, kind % 2)
        optimiser.step()
    assert torch.allclose(weight.norm(dim=1), torch.ones(4, dtype=torch.float64), atol=0.02)


def test_labels_reach_the_readout_alone(any_network, batch_for) -> None:
    x, target = batch_for(any_network)
    updates = []
    for shift in (0, 1):
        clear(any_network)
        SoftHebb().assign_gradients(any_network, x, (target + shift) % 3)
        updates.append({name: p.grad for name, p in any_network.named_parameters() if p.grad is not None})
    moved = {name for name in updates[0] if not torch.equal(updates[0][name], updates[1][name])}
    assert {name.split(".")[1] for name in moved} == {str(len(any_network) - 1)}
    assert len(updates[0]) == len(any_network) + 1  # no bias but the readout's


def test_hidden_layers_and_what_their_norms_remember_stay_after_their_steps() -> None:
    network = SoftHebbNetwork((1, 8, 8), (3, 4), (3, 3), (0.7, 1.0), n_classes=3)
    rule, x, target = SoftHebb(hidden_steps=5), torch.randn(4, 1, 8, 8), torch.tensor([0, 1, 2, 0])
    rule.bind(network)
    for step, learns in ((4, True), (5, False)):
        clear(network)
        remembered = {name: value.clone() for name, value in network.named_buffers()}
        rule.begin_step(step)
        rule.assign_gradients(network, x, target)
        assert (network.layers[0].synapse.weight.grad is not None) is learns
        assert all(torch.equal(remembered[name], value) for name, value in network.named_buffers()) is not learns
        assert network.layers[-1].synapse.weight.grad is not None


def test_triangle_is_a_power_of_what_exceeds_the_mean_of_the_channels() -> None:
    u = torch.tensor([1.0, 2.0, 6.0]).view(1, 3, 1, 1)
    assert torch.allclose(Triangle(0.5)(u).flatten(), torch.tensor([0.0, 0.0, 3.0**0.5]))


def test_the_network_has_the_papers_sizes_at_each_layer() -> None:
    network = SoftHebbNetwork()
    assert network.shapes() == [(96, 16, 16), (384, 8, 8), (1536, 4, 4), (10,)]
    assert network.layers[0].synapse.weight.flatten(1).norm(dim=1).mean().item() == pytest.approx(25, rel=0.05)


def test_its_first_layer_sees_standardised_channels() -> None:
    network = SoftHebbNetwork((2, 8, 8), (3,), (3,), (1.0,))
    x = 5 + 3 * torch.randn(20, 2, 8, 8)
    seen = network.layers[0].before[0](x)
    assert torch.allclose(seen.mean((0, 2, 3)), torch.zeros(2), atol=1e-5)
    assert torch.allclose(seen.var((0, 2, 3), correction=0), torch.ones(2), atol=1e-4)


def test_it_keeps_the_promises_of_a_rule() -> None:
    check_learning_rule(SoftHebb)
    check_learning_rule(SoftHebb, lambda: CNN((1, 8, 8), (3, 4), (3, 3), ("max", "average"), 6, 4))
    check_learning_rule(SoftHebb, lambda: SoftHebbNetwork((1, 8, 8), (3, 5), (3, 3), (0.7, 1.0), n_classes=4))


def test_a_rate_for_each_hidden_layer_or_none() -> None:
    with pytest.raises(WrongArgument, match="rates has 1 values for 2 hidden layers"):
        SoftHebb(rates=[0.1]).bind(MLP([5, 4, 4, 3]))
