"""Oracles: torch.nn.RNN with the same weights, and backprop through time written out."""

from __future__ import annotations

import torch
from plasticode.bioplausible.recurrent import Recurrence
from torch import Tensor, nn


def recurrence() -> tuple[Recurrence, Tensor]:
    block = Recurrence(3, 5, torch.Generator().manual_seed(2)).double()
    return block, torch.randn(4, 6, 3, dtype=torch.float64)


def test_it_computes_what_torch_s_rnn_computes() -> None:
    block, x = recurrence()
    theirs = nn.RNN(3, 5, batch_first=True).double()
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(block.input.weight)
        theirs.weight_hh_l0.copy_(block.recurrent.weight)
        theirs.bias_ih_l0.copy_(torch.randn(5))
        theirs.bias_hh_l0.zero_()
        block.input.bias.copy_(theirs.bias_ih_l0)
    torch.testing.assert_close(block(x), theirs(x)[0], rtol=1e-12, atol=1e-14)


def test_errors_go_back_through_time_by_the_feedback_weight_at_every_step() -> None:
    """d_t = (e_t + B^T d_{t+1}) (1 - h_t^2), dU = sum d_t h_{t-1}^T, dW = sum d_t x_t^T, and A^T d_t to the input."""
    block, x = recurrence()
    into, back = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 5, dtype=torch.float64)
    trace = block.record(x, [into, back])
    error = torch.randn_like(trace.y)
    returned = trace.pull_back(error)
    states, delta = trace.y, torch.zeros(4, 5, dtype=torch.float64)
    change, recurrent_change, expected = 0, 0, torch.zeros_like(x)
    for time in reversed(range(6)):
        delta = (error[:, time] + delta @ back) * (1 - states[:, time] ** 2)
        change = change + delta.T @ x[:, time]
        if time > 0:
            recurrent_change = recurrent_change + delta.T @ states[:, time - 1]
        expected[:, time] = delta @ into
    torch.testing.assert_close(block.input.weight.grad, change)
    torch.testing.assert_close(block.recurrent.weight.grad, recurrent_change)
    torch.testing.assert_close(returned, expected)


def test_its_weights_keep_activity_from_growing() -> None:
    block = Recurrence(64, 200, torch.Generator().manual_seed(0))
    largest = torch.linalg.eigvals(block.recurrent.weight.detach()).abs().max().item()
    assert 0.85 < largest < 1.15  # the circular law: 1
