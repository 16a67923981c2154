"""The floor: hidden layers stay as they were drawn, and only the readout learns, by the delta rule.

Widrow & Hoff 1960; as a baseline for learning rules see "extreme learning machines", Huang et al. 2006. Not a claim
about brains: a rule whose hidden layers learn nothing useful scores what this scores.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..network import Network
from ..rule import LearningRule, RuleFacts


class RandomFeatures(LearningRule):
    """dW_L = error x_{L-1}^T for the last layer; nothing elsewhere."""

    facts = RuleFacts(
        name="random features",
        paper="Huang, Zhu & Siew 2006, doi:10.1016/j.neucom.2005.12.126",
        family="baseline",
        cost="1/3 + the readout's share",
    )

    def assign_gradients(self, network: Network, x: Tensor, target: Tensor) -> Tensor:
        *hidden, readout = network
        with torch.no_grad():
            for layer in hidden:
                x = layer(x)
        trace = readout.record(x)
        trace.pull_back(network.objective.error(trace.y, target), to_input=False)
        return network.objective.loss(trace.y, target)
