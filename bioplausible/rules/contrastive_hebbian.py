"""Contrastive Hebbian learning: correlations with the output clamped to the target, minus correlations without.

Movellan 1991, Connectionist Models Summer School; with feedback of gain gamma: Xie & Seung 2003, Neural Computation
15:441.
    x_l = f_l(W_l x_{l-1} + gamma W_{l+1}^T x_{l+1})                                  settled, in two phases
    free: the output settles too;        clamped: the output is held at the target
    dW_l = gamma^(l-L) (x_l x_{l-1}^T (clamped) - x_l x_{l-1}^T (free))
As gamma -> 0 this is backprop's update (Xie & Seung), with an error of order gamma. gamma = 1 is Movellan's.
The output's activation is the objective's own, so that target - output is the objective's error: none for
`SquaredError`, softmax for `CrossEntropy`; `infer` gives the scores before it.
Each update reads the two activities that its synapse joins, in two phases. Forward and backward weights are the same.
Deviations: populations move in turn, even places then odd (see `relaxation`); both phases start from the same
feed-forward pass and take as many sweeps, so that what has not settled is common to both and cancels, where a clamped
phase that followed the free one would have it divided by gamma^(L-1), as float32 rounding is; pooling, convolution and
inputs of any rank; nonlinearity follows pooling, which for max pooling is the same network.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from ...datasets.errors import WrongArgument
from ..network import Network
from ..objective import CrossEntropy, Objective, SquaredError
from ..relaxation import Activation, Populations, reason_against_relaxing
from ..rule import LearningRule, RuleFacts

OUTPUTS: dict[type[Objective], Activation] = {SquaredError: nn.Identity(), CrossEntropy: nn.Softmax(-1)}


class ContrastiveHebbian(LearningRule):
    """Clamped minus free correlations.

    `residual`, after a step, is the largest change of any unit in the last sweep of the free phase.

    Parameters
    ----------
    steps
        Sweeps over all populations, in each phase; at least half the number of layers, or the target does not reach
        the first.
    gain
        gamma, of the drive from above.

    Raises `WrongArgument` for values that are not positive.
    """

    facts = RuleFacts(
        name="contrastive Hebbian learning",
        paper="Movellan 1991; Xie & Seung 2003, doi:10.1162/089976603762552988",
        family="energy-based",
        full_precision=True,
        cost="4 T / 3, less the first layer's share, whose drive stands",
    )
    residual: Tensor | None = None

    def __init__(self, steps: int = 5, gain: float = 0.1, seed: int = 0) -> None:
        super().__init__(seed)
        if steps < 1 or gain <= 0:
            raise WrongArgument("steps and gain must be positive", self.facts.name, "Try the defaults.")
        self.steps, self.gain = steps, gain

    def reason_against(self, network: Network) -> str | None:
        reason = reason_against_relaxing(network)
        if reason is None and type(network.objective) not in OUTPUTS:
            return f"{type(network.objective).__name__} has no output to clamp: squared error and cross-entropy have"
        if reason is None and 2 * self.steps < len(network):
            return f"a target needs {(len(network) + 1) // 2} sweeps to the first layer, and steps is {self.steps}"
        return reason

    @torch.no_grad()
    def infer(self, network: Network, x: Tensor) -> Tensor:
        return self._at_rest(self._fed_forward(network, x)).traces[-1].y

    @torch.no_grad()
    def states(self, network: Network, x: Tensor) -> list[Tensor]:
        """The free phase at rest; of the output its scores, before its activation."""
        free = self._at_rest(self._fed_forward(network, x))
        return [*free.states[:-1], free.traces[-1].y]

    @torch.no_grad()
    def assign_gradients(self, network: Network, x: Tensor, target: Tensor) -> Tensor:
        start = self._fed_forward(network, x)
        free, clamped = self._at_rest(start.copy()), start
        output = one_hot(target, free.states[-1].shape[-1]).to(free.states[-1])
        clamped.settle(self.steps, lambda drive, state: output)
        free.correlate(1 / target.numel())
        clamped.correlate(-1 / target.numel())
        return network.objective.loss(free.traces[-1].y, target)

    def _fed_forward(self, network: Network, x: Tensor) -> Populations:
        hidden = [layer.nonlinearity for layer in list(network)[:-1]]
        activations: list[Activation] = [*hidden, OUTPUTS[type(network.objective)]]
        return Populations(list(network), activations, x, self.gain)

    def _at_rest(self, free: Populations) -> Populations:
        self.residual = free.settle(self.steps)
        return free
