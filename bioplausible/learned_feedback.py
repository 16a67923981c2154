"""Feedback weights that learn: parameters of the rule, which the optimiser of the network's weights steps too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from .chained_error import returns_errors
from .network import Network
from .rule import kept_feedback
from .synapse import Synapse


def keep_learned_feedback(rule: nn.Module, network: Network, feedback: Sequence[Sequence[Tensor]]) -> None:
    """Register feedback weights as parameters of the rule, `feedback_<layer>_<synapse>`; unused ones do not learn."""
    for i, (weights, used) in enumerate(zip(feedback, returns_errors(network), strict=True)):
        for j, weight in enumerate(weights):
            rule.register_parameter(f"feedback_{i}_{j}", nn.Parameter(weight, requires_grad=used))


def learned_feedback(rule: nn.Module, network: Network) -> list[list[Tensor]]:
    """The weights for each synapse of each layer, cut from autograd; they share memory with the parameters."""
    return [[weight.detach() for weight in weights] for weights in kept_feedback(rule, network)]


def learning_pairs(rule: nn.Module, network: Network) -> Iterator[tuple[str, Synapse, Tensor]]:
    """`<layer>_<synapse>`, the synapse and its feedback parameter, wherever one learns."""
    for i, (layer, weights) in enumerate(zip(network, kept_feedback(rule, network), strict=True)):
        for j, (synapse, feedback) in enumerate(zip(layer.synapses, weights, strict=True)):
            if feedback.requires_grad:
                yield f"{i}_{j}", synapse, feedback
