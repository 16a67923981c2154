"""Oracles: closed form of one pair, and a simulation of the two traces step by step."""

import math
from functools import partial

import pytest
import torch
from plasticode.bioplausible.spike_pairs import anticausal, causal, pair_sums

TAU = 20.0
AFTER, BEFORE = partial(causal, per_step=1 / TAU), partial(anticausal, per_step=1 / TAU)


def pair(pre_at, post_at):
    pre, post = torch.zeros(1, 100, 1, dtype=torch.float64), torch.zeros(1, 100, 1, dtype=torch.float64)
    pre[0, pre_at], post[0, post_at] = 1, 1
    return pre, post


@pytest.mark.parametrize("lag", [0, 1, 7, 60])
def test_one_pair_counts_by_the_exponential_window_on_both_sides(lag):
    expected = math.exp(-lag / TAU)
    assert pair_sums(*pair(20, 20 + lag), AFTER).item() == pytest.approx(expected, rel=1e-12)
    assert pair_sums(*pair(20 + lag, 20), BEFORE).item() == pytest.approx(expected if lag else 0, rel=1e-12)
    if lag:
        assert pair_sums(*pair(20, 20 + lag), BEFORE).item() == 0
        assert pair_sums(*pair(20 + lag, 20), AFTER).item() == 0


def trains():
    draws = torch.Generator().manual_seed(0)
    pre = (torch.rand(3, 90, 5, generator=draws) < 0.2).double()
    post = (torch.rand(3, 90, 4, generator=draws) < 0.1).double()
    return pre, post


def by_traces(pre, post):
    """Both sums as the synapses would have them: traces that fade, read at the other side's spikes."""
    kept = math.exp(-1 / TAU)
    trace_pre, trace_post = torch.zeros_like(pre[:, 0]), torch.zeros_like(post[:, 0])
    after = before = torch.zeros(post.shape[2], pre.shape[2], dtype=torch.float64)
    for x, y in zip(pre.unbind(1), post.unbind(1), strict=True):
        trace_pre, trace_post = trace_pre * kept + x, trace_post * kept
        after = after + torch.einsum("bn,bf->nf", y, trace_pre)
        before = before + torch.einsum("bn,bf->nf", trace_post, x)
        trace_post = trace_post + y
    return after, before


def test_sums_over_pairs_are_what_traces_accumulate():
    pre, post = trains()
    after, before = by_traces(pre, post)
    torch.testing.assert_close(pair_sums(pre, post, AFTER), after)
    torch.testing.assert_close(pair_sums(pre, post, BEFORE), before)


def test_a_trace_decays_exponentially():
    pre, post = torch.zeros(1, 100, 1, dtype=torch.float64), torch.zeros(1, 100, 100, dtype=torch.float64)
    pre[0, 10] = 1
    post[0].fill_diagonal_(1)  # neuron t reads the trace at step t
    expected = torch.where(torch.arange(100) >= 10, torch.exp(-(torch.arange(100.0) - 10).double() / TAU), 0)
    torch.testing.assert_close(pair_sums(pre, post, AFTER)[:, 0], expected)


def test_a_share_weighs_the_samples():
    pre, post = trains()
    share = torch.tensor([0.5, -2.0, 0.0], dtype=torch.float64)
    alone = [pair_sums(pre[i : i + 1], post[i : i + 1], AFTER) for i in range(3)]
    torch.testing.assert_close(pair_sums(pre, post, AFTER, share), 0.5 * alone[0] - 2 * alone[1])


def test_without_postsynaptic_spikes_the_sum_is_zero():
    pre, post = trains()
    assert pair_sums(pre, 0 * post, AFTER).abs().sum() == 0
