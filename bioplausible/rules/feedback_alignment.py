"""Feedback alignment: errors return through fixed random weights, and the forward weights come to agree with them.

Lillicrap, Cownden, Tweed & Akerman 2016, Nature Communications 7:13276.
e_{l-1} = B_l (phi'(a_l) e_l), dW_l = (phi'(a_l) e_l) x_l^T, with B_l drawn once, independent of W_l.
The readout's change is the exact gradient: no error has passed a feedback weight before it.
Deviation: B is drawn with the standard deviation of the initial W of the same synapse, for convolutions as kernels.
"""

from __future__ import annotations

from torch import Tensor

from ..chained_error import chain_errors
from ..network import Network
from ..rule import LearningRule, RuleFacts, feedback_draws, feedback_like, keep_feedback, kept_feedback


class FeedbackAlignment(LearningRule):
    """Fixed random feedback, layer by layer."""

    facts = RuleFacts(
        name="feedback alignment",
        paper="Lillicrap et al. 2016, doi:10.1038/ncomms13276",
        family="feedback alignment",
        published=frozenset({"C1"}),
        cost="1",
    )

    def bind(self, network: Network) -> None:
        super().bind(network)
        keep_feedback(self, feedback_like(network, feedback_draws(self.seed)))

    def feedback(self, network: Network) -> list[list[Tensor]]:
        return kept_feedback(self, network)

    def assign_gradients(self, network: Network, x: Tensor, target: Tensor) -> Tensor:
        return chain_errors(network, x, target, self.feedback(network))
