"""Errors that return from layer to layer through feedback weights: what the alignment rules have in common.

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


def chain_errors(network: Network, x: Tensor, target: Tensor, feedback: Sequence[Feedback]) -> Tensor:
    """Add to every `.grad` what errors ask that return through `feedback`; the loss (a scalar).

    Parameters
    ----------
    x, target
        Inputs (batch ...) and class ids (batch ...).
    feedback
        A weight in the forward weight's shape for each synapse of each layer.
    """
    # Given feedback, torch would compute the error at the input of the first layer, the widest, for nobody.
    used = [weights if needed else None for weights, needed in zip(feedback, returns_errors(network), strict=True)]
    traces = network.record(x, used)
    error: Tensor | None = network.objective.error(traces[-1].y, target)
    for trace in reversed(traces):
        assert error is not None
        error = trace.pull_back(error, to_input=trace is not traces[0])
    return network.objective.loss(traces[-1].y, target)
