"""Kolen-Pollack: feedback weights that undergo the forward weights' own changes forget how they differed.

Kolen & Pollack 1994, doi:10.1109/ICNN.1994.374486; Akrout et al. 2019, arXiv 1904.05391.
e_{l-1} = B_l^T (phi'(a_l) e_l); dW_l = (phi'(a_l) e_l) x_l^T - lambda W_l, and dB_l the same with lambda B_l. So W - B
changes by -rate lambda (W - B) a step, whatever the data: it shrinks geometrically.
Local: presynaptic activity and postsynaptic error, which the forward and the feedback synapse both have at their ends.
The readout's change is the exact gradient.
Deviation: none; but only decay makes weights agree, and only an optimiser whose decay is apart from its scaling
(sgd, with momentum or without; AdamW) decays both alike. Without decay W - B stays what it was.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..chained_error import chain_errors
from ..learned_feedback import keep_learned_feedback, learned_feedback, learning_pairs
from ..network import Network
from ..rule import LearningRule, Pace, RuleFacts, feedback_draws, feedback_like


class KolenPollack(LearningRule):
    """Feedback that is changed as the forward weights are."""

    facts = RuleFacts(
        name="Kolen-Pollack",
        paper="Kolen & Pollack 1994, doi:10.1109/ICNN.1994.374486; Akrout et al. 2019, arXiv 1904.05391",
        family="feedback alignment",
        cost="1, and the optimiser's step on twice the weights",
    )
    pace = Pace("sgd", learning_rate=0.05, momentum=0.9, weight_decay=1e-3)

    def bind(self, network: Network) -> None:
        super().bind(network)
        keep_learned_feedback(self, network, feedback_like(network, feedback_draws(self.seed)))

    def feedback(self, network: Network) -> list[list[Tensor]]:
        return learned_feedback(self, network)

    def assign_gradients(self, network: Network, x: Tensor, target: Tensor) -> Tensor:
        loss = chain_errors(network, x, target, self.feedback(network))
        for _, synapse, feedback in learning_pairs(self, network):
            gradient = synapse.weight.grad
            # A copy: clipping and averaging work in place, and would do so twice on one tensor.
            feedback.grad = None if gradient is None else gradient.clone()
        return loss

    def parameter_groups(self, network: Network, settings: dict[str, Any]) -> list[dict[str, Any]]:
        """The feedback weights decay as the forward ones do: that is the rule."""
        own = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return [{"params": list(network.parameters()), **settings}, {"params": own, **settings}]
