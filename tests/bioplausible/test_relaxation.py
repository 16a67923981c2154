"""Relaxation against the energy that it descends, written out by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from plasticode.bioplausible.architectures import MLP
from plasticode.bioplausible.layer import Layer
from plasticode.bioplausible.relaxation import Populations, reason_against_relaxing
from plasticode.bioplausible.synapse import LinearSynapse
from torch import Tensor, nn


def populations(gain: float) -> tuple[Populations, MLP]:
    torch.manual_seed(0)
    network = MLP([5, 6, 4, 3]).double()
    x = torch.randn(4, 5, dtype=torch.float64)
    return Populations(list(network), [torch.tanh, torch.tanh, nn.Identity()], x, gain), network


def energy(states: list[Tensor], network: MLP, x: Tensor, gain: float) -> Tensor:
    """sum_l gain^l (G(s_l) - s_l . (W_l s_{l-1} + b_l)), where G' is artanh, and the identity for the readout."""
    total = torch.zeros((), dtype=torch.float64)
    for place, (state, layer) in enumerate(zip(states, network, strict=True)):
        inverse = 0.5 * ((1 + state) * (1 + state).log() + (1 - state) * (1 - state).log())
        held = inverse if place < 2 else 0.5 * state.square()
        total = total + gain**place * (held - state * layer.synapse(x)).sum()
        x = state
    return total


@pytest.mark.parametrize("gain", [1.0, 0.5])
def test_every_sweep_lowers_the_energy(gain):
    settling, network = populations(gain)
    x, course = settling.traces[0].x, []
    for _ in range(12):
        course.append(energy(settling.states, network, x, gain).item())
        settling.settle(1)
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(course))
    assert course[-1] < course[0] - 1e-3


@pytest.mark.parametrize("gain", [1.0, 0.5])
def test_at_rest_the_energy_is_stationary_and_correlate_is_its_gradient_by_the_weights(gain):
    settling, network = populations(gain)
    assert settling.settle(600) < 1e-10
    states = [state.clone().requires_grad_() for state in settling.states]
    found = energy(states, network, settling.traces[0].x, gain)
    for slope in torch.autograd.grad(found, states, retain_graph=True):
        assert slope.abs().max().item() < 1e-8
    settling.correlate(1.0)
    for weight, exact in zip(network.parameters(), torch.autograd.grad(found, list(network.parameters())), strict=True):
        torch.testing.assert_close(weight.grad, -exact / gain**2)


def test_a_copy_settles_without_moving_the_original():
    settling, _ = populations(0.5)
    before = [state.clone() for state in settling.states]
    settling.copy().settle(3)
    assert all(torch.equal(a, b) for a, b in zip(before, settling.states, strict=True))


def test_a_readout_with_a_nonlinearity_is_refused():
    network = MLP([5, 6, 3])
    network.layers[-1] = Layer(LinearSynapse(6, 3), nn.Tanh())
    assert "its readout has a nonlinearity" in str(reason_against_relaxing(network))
