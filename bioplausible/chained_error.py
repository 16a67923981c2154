"""Errors that return from layer to layer through feedback weights: what backprop and alignment rules have in common.

e_{l-1} = B_l (phi'(a_l) e_l), dW_l = (phi'(a_l) e_l) x_l^T, from e_L = dL/dy_L on. The rules differ in B alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from .layer import Feedback
from .network import Network


def returns_errors(network: Network) -> list[bool]:
    """Whether errors pass the feedback weights of each layer: those of a plain first layer are never used."""
    return [i > 0 or not layer.plain for i, layer in enumerate(network)]


def chain_errors(
    network: Network, x: Tensor, target: Tensor, feedback: Sequence[Feedback | None] | None = None
) -> Tensor:
    """Add to every `.grad` what errors ask that return through `feedback`; the loss (a scalar).

    Parameters
    ----------
    x, target
        Inputs (batch ...) and class ids (batch ...).
    feedback
        A weight in the forward weight's shape for each synapse of each layer; by default errors return through the
        forward weights themselves, which is backprop.
    """
    traces = network.record(x, feedback)
    error: Tensor | None = network.objective.error(traces[-1].y, target)
    for trace in reversed(traces):
        assert error is not None  # only the first layer returns none
        error = trace.pull_back(error)
    return network.objective.loss(traces[-1].y, target)
