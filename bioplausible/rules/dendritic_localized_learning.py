"""Dendritic localized learning: pyramidal neurons whose apical dendrites hold the error, through weights of their own.

Lv, Xu, Lu et al. 2025 (ICML), arXiv 2501.09976; formulas from the authors' code (github.com/Lvchangze/
Dendritic-Localized-Learning, model.py and FC_layer.py at 3242ccb). Three compartments of a neuron in layer l:
    basal     u_l = phi(a_l),   a_l = W_l u_{l-1}
    apical    e_l = Theta_{l+1}^T d_{l+1},   d_l = phi'(a_l) e_l;   at the top e_L = dL/dy_L
    soma      u_l - e_l: what distinguishes it from the basal compartment is the local error
Both kinds of weights learn from errors and activities at their own ends:
    dW_l = d_l u_{l-1}^T                    (descended)
    dTheta_l = - d_l e_{l-1}^T              (so Theta_l grows by the product of the errors at its two ends)
Local: no weight is read on another way than its own. The readout's change is the exact gradient. With Theta = W the
changes of W are backprop's; with Theta held (`feedback_rate=0`) the rule is feedback alignment, whatever the words.
The change of Theta ascends 1/2 |e_{l-1}|^2: <Theta_l, d_l e_{l-1}^T> = |e_{l-1}|^2 >= 0, so that gradient steps never
shorten Theta. It reads nothing of W. It is kept slow, at a tenth of the learning rate, as in the authors' code.
Deviations: errors sit after the nonlinearity, as in the authors' convolutional code (theirs for dense layers puts them
before it); Theta starts at the scale of W, not with standard deviation 1; no label smoothing, no clamp of updates.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor

from ...datasets.errors import WrongArgument
from ..at_synapses import at_synapses
from ..chained_error import chain_errors
from ..layer import add_gradient
from ..learned_feedback import keep_learned_feedback, learned_feedback
from ..network import Network
from ..rule import LearningRule, RuleFacts, feedback_draws, feedback_like, kept_feedback
from ..synapse import Synapse


class DendriticLocalizedLearning(LearningRule):
    """Errors in apical dendrites, and feedback weights that learn from them.

    Parameters
    ----------
    feedback_rate
        Learning rate of the feedback weights in terms of the forward weights'; 0 holds them.

    Raises `WrongArgument` for a negative rate.
    """

    facts = RuleFacts(
        name="dendritic localized learning",
        paper="Lv et al. 2025, arXiv 2501.09976",
        family="feedback alignment",
        published=frozenset({"C1", "C2", "C3"}),
        cost="1 + 2 (1 - s) / (3 - s), s: the first layer's share of a forward pass; 1 with feedback held",
    )

    def __init__(self, feedback_rate: float = 0.1, seed: int = 0) -> None:
        super().__init__(seed)
        if feedback_rate < 0:
            raise WrongArgument(f"feedback_rate {feedback_rate}", self.facts.name, "Give 0 or more.")
        self.feedback_rate = feedback_rate

    def reason_against(self, network: Network) -> str | None:
        for i, layer in enumerate(network):
            if not layer.plain:
                return f"layer {i + 1} is a block of several synapses, and a neuron has one basal dendrite"
        return None

    def bind(self, network: Network) -> None:
        super().bind(network)
        keep_learned_feedback(self, network, feedback_like(network, feedback_draws(self.seed)))
        if self.feedback_rate == 0:
            self.requires_grad_(False)

    def feedback(self, network: Network) -> list[list[Tensor]]:
        return learned_feedback(self, network)

    def assign_gradients(self, network: Network, x: Tensor, target: Tensor) -> Tensor:
        ends: list[_Ends] = []
        with at_synapses(network, lambda *visit: ends.append(_Ends(*visit))):
            loss = chain_errors(network, x, target, self.feedback(network))
        for (theta,), joined in zip(kept_feedback(self, network), ends, strict=True):
            if theta.requires_grad:
                # Errors are shares of a batch's mean: their products would shrink with its square.
                add_gradient(theta, -target.numel() * joined.product())
        return loss

    def parameter_groups(self, network: Network, settings: dict[str, Any]) -> list[dict[str, Any]]:
        """The feedback weights at `feedback_rate` of the learning rate, settings["lr"]."""
        forward, *own = super().parameter_groups(network, settings)
        return [forward, *({**group, "lr": self.feedback_rate * settings["lr"]} for group in own)]


class _Ends:
    """Errors at the two ends of one synapse, noted when they pass."""

    def __init__(self, synapse: Synapse, x: Tensor, drive: Tensor) -> None:
        self.synapse = synapse
        self.errors: dict[str, Tensor] = {}
        for name, value in (("pre", x), ("post", drive)):
            if value.requires_grad:
                value.register_hook(partial(self.errors.__setitem__, name))  # type: ignore[no-untyped-call]  # torch

    def product(self) -> Tensor:
        """post pre^T in the shape of the weight, summed over samples (and places)."""
        return self.synapse.correlate(self.errors["pre"], self.errors["post"])[0]
