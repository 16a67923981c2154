"""Sums over pairs of spikes: how spike-timing dependent plasticity adds up over a presentation.

A pair of a presynaptic spike at s and a postsynaptic one at t counts by a window, such as exp(-|t - s| / tau).
A synapse sums its pairs by traces that both neurons leave, x <- x exp(-dt / tau) + spike: at a postsynaptic spike it
reads the presynaptic trace (pairs with s <= t), at a presynaptic one the postsynaptic trace (pairs with t < s). While
weights stay, as during a presentation, that is the sum of the window over all pairs, and summing over the few
postsynaptic spikes spares the traces of every input.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

Window = Callable[[Int[Tensor, "spike 1"], Int[Tensor, "1 time"]], Float[Tensor, "spike time"]]


def pair_sums(
    pre: Float[Tensor, "batch time feature"],
    post: Float[Tensor, "batch time neuron"],
    window: Window,
    share: Float[Tensor, " batch"] | None = None,
) -> Float[Tensor, "neuron feature"]:
    """Sum over samples, and over pairs of a post- and a presynaptic spike of each, of share x window(t, s).

    Parameters
    ----------
    window
        What a pair counts, of the steps of its postsynaptic and its presynaptic spike.
    share
        What a sample counts; 1 by default.
    """
    sample, step, neuron = post.nonzero(as_tuple=True)
    n_spikes = torch.bincount(sample, minlength=len(pre))
    # Postsynaptic spikes are few: side by side, filled up to the most that a sample has.
    place = torch.arange(len(sample), device=pre.device) - (n_spikes.cumsum(0) - n_spikes)[sample]
    counted = pre.new_zeros(len(pre), int(n_spikes.max()), pre.shape[1])
    counted[sample, place] = window(step[:, None], torch.arange(pre.shape[1], device=pre.device)[None]).to(pre)
    met = (counted @ pre)[sample, place]
    if share is not None:
        met = met * share[sample, None]
    return pre.new_zeros(post.shape[2], pre.shape[2]).index_add_(0, neuron, met.to(pre))


def causal(post: Tensor, pre: Tensor, per_step: float) -> Float[Tensor, "spike time"]:
    """exp(-(post - pre) per_step) where the presynaptic spike comes first or in the same step, else 0."""
    lag = (post - pre).double()
    return torch.where(lag >= 0, torch.exp(-per_step * lag), 0)


def anticausal(
    post: Int[Tensor, "spike 1"], pre: Int[Tensor, "1 time"], per_step: float
) -> Float[Tensor, "spike time"]:
    """exp(-(pre - post) per_step) where the postsynaptic spike comes first, else 0."""
    return causal(pre, post, per_step).masked_fill(pre == post, 0)
