"""Backpropagation of errors: the reference that every other rule stands beside.

Rumelhart, Hinton & Williams 1986, Nature 323:533. e_{l-1} = W_l^T (phi'(a_l) e_l), dL/dW_l = (phi'(a_l) e_l) x_l^T.
Written with the layers' own `pull_back`, like every rule, so that the audit sees it and costs compare.
"""

from __future__ import annotations

from torch import Tensor

from ..chained_error import chain_errors
from ..network import Network
from ..rule import LearningRule, RuleFacts


class Backprop(LearningRule):
    """The exact gradient of the objective."""

    facts = RuleFacts(
        name="backprop",
        paper="Rumelhart, Hinton & Williams 1986, doi:10.1038/323533a0",
        family="backprop",
        published=frozenset(),
        equals_backprop=True,
    )

    def assign_gradients(self, network: Network, x: Tensor, target: Tensor) -> Tensor:
        return chain_errors(network, x, target)
