"""Hidden layers that learn without a teacher: which networks have them; their readout learns by the delta rule.

Widrow & Hoff 1960. dW_L = error x_{L-1}^T: one layer's own input and its own output's error. Nothing is returned to
the layers before.
"""

from __future__ import annotations

from torch import Tensor

from .network import Network
from .synapse import EmbeddingSynapse


def teach_readout(network: Network, x: Tensor, target: Tensor) -> Tensor:
    """Add the gradient of the objective to the last layer's `.grad`; the loss (a scalar).

    Parameters
    ----------
    x
        The last layer's input (batch ...), that is, the last hidden layer's output.
    target
        Class ids (batch ...).
    """
    readout = network.layers[-1].record(x, returns=False)  # type: ignore[operator]  # a Layer
    readout.pull_back(network.objective.error(readout.y, target), to_input=False)
    return network.objective.loss(readout.y, target)


def reason_against_hebbian(network: Network) -> str | None:
    """Why hidden layers cannot learn by the correlation of their input and drive, or None."""
    hidden = list(network)[:-1]
    if not hidden:
        return "it has a readout only, which learns with a teacher"
    for i, layer in enumerate(hidden, 1):
        if not layer.plain:
            return f"layer {i} is a block of several synapses, and the rule needs one synapse a layer"
        if isinstance(layer.synapse, EmbeddingSynapse):
            return f"layer {i} takes symbols, and the rule compares a weight with its input"
    return None
