"""Equilibrium propagation: two relaxations, nudged to the target and away from it, and their difference in activity.

Scellier & Bengio 2017, Frontiers in Computational Neuroscience 11:24; convolutions, pooling, symmetric nudging and the
readout outside the state: Laborieux et al. 2021, Frontiers in Neuroscience 15:633674.
    Phi = sum_l s_l . P(W_l s_{l-1})        s_l = rho(dPhi/ds_l)        free phase, T1 sweeps
    the same with Phi -+ beta loss          from the free fixed point   nudged phases, T2 sweeps each
    dW_l = (dPhi/dW_l (beta) - dPhi/dW_l (-beta)) / 2 beta
which tends to -dloss/dW_l at the free fixed point, with an error of order beta^2.
With `SquaredError` the output is the last population and is nudged itself. With any other objective the readout is
outside the state: the last hidden population is nudged by -beta W^T error, and the readout learns by the objective's
own gradient, averaged over the nudged phases.
Each update reads the two activities that its synapse joins, in two phases. Forward and backward weights are the same
(weight transport), except in `EquilibriumPropagationSeparateWeights`.
Deviations: the free phase starts from a feed-forward pass, not from zero or from states kept for each sample;
populations move in turn, even places then odd (see `relaxation`), so a sweep is worth about two simultaneous steps;
the drive from above has a gain (1 in the papers), with which the estimate stays exact, each layer's update being
divided by gain^(n - l) for n populations: networks initialised for a feed-forward pass do not settle with gain 1.
Nonlinearity follows pooling, which for max pooling is the same network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...datasets.errors import WrongArgument
from ..layer import Feedback, Layer, add_gradient
from ..network import Network
from ..objective import SquaredError
from ..relaxation import Activation, Populations, Top, reason_against_relaxing
from ..rule import LearningRule, Pace, RuleFacts, feedback_draws, feedback_like

ACTIVATIONS: dict[str, Activation] = {
    "hard sigmoid": nn.Hardtanh(0.0, 1.0),
    "sigmoid": nn.Sigmoid(),
    "tanh": nn.Tanh(),
}
BOUNDED = (nn.Tanh, nn.Sigmoid, nn.Hardtanh, nn.Hardsigmoid, nn.Softsign)


class EquilibriumPropagation(LearningRule):
    """Symmetric nudging from one free fixed point.

    `residual`, after a step, is the largest change of any unit in the last sweep of the free phase: near 0 when the
    phase was long enough. It is not averaged over processes.

    Parameters
    ----------
    free_steps, nudged_steps
        Sweeps over all populations, T1 and T2.
    beta
        Strength of nudging; below 1, or a nudged output state runs away.
    feedback_gain
        Of the drive from above; 1 in the papers, for weights that start smaller than ours.
    activation
        A name in `ACTIVATIONS` for all populations; by default each layer's own nonlinearity, which must be bounded.

    Raises `WrongArgument` for values out of range.
    """

    facts = RuleFacts(
        name="equilibrium propagation",
        paper="Scellier & Bengio 2017, doi:10.3389/fncom.2017.00024; Laborieux et al. 2021, 10.3389/fnins.2021.633674",
        family="energy-based",
        full_precision=True,
        published=frozenset({"C1", "C3"}),
        cost="2 (T1 + 2 T2) / 3, less the first layer's share, whose drive stands",
    )
    residual: Tensor | None = None

    def __init__(
        self,
        free_steps: int = 10,
        nudged_steps: int = 5,
        beta: float = 0.5,
        feedback_gain: float = 0.1,
        activation: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(seed)
        if min(free_steps, nudged_steps) < 1 or not 0 < beta < 1 or feedback_gain <= 0:
            raise WrongArgument("steps and gain must be positive, beta in (0, 1)", self.facts.name, "Try the defaults.")
        if activation is not None and activation not in ACTIVATIONS:
            raise WrongArgument(f"no activation {activation!r}", self.facts.name, f"One of: {', '.join(ACTIVATIONS)}.")
        self.free_steps, self.nudged_steps = free_steps, nudged_steps
        self.beta, self.feedback_gain, self.activation = beta, feedback_gain, activation

    def reason_against(self, network: Network) -> str | None:
        reason = reason_against_relaxing(network)
        if reason is None and len(network) == 1 and not isinstance(network.objective, SquaredError):
            return "it has no hidden layer to nudge"
        if reason is not None or self.activation is not None:
            return reason
        for i, layer in enumerate(network.layers[:-1]):
            if not isinstance(layer.nonlinearity, BOUNDED):
                kind = type(layer.nonlinearity).__name__
                return f"layer {i + 1}'s {kind} is unbounded, so states may run away: set activation='hard sigmoid'"
        return None

    def infer(self, network: Network, x: Tensor) -> Tensor:
        output = output_of(network, self.feedback(network))
        return output.scores(self.relaxed(output, x))

    def states(self, network: Network, x: Tensor) -> list[Tensor]:
        """The free phase at rest, and the scores, where a readout outside the state gives them."""
        output = output_of(network, self.feedback(network))
        free = self.relaxed(output, x)
        return [*free.states[: len(network) - 1], output.scores(free)]

    @torch.no_grad()
    def assign_gradients(self, network: Network, x: Tensor, target: Tensor) -> Tensor:
        output = output_of(network, self.feedback(network))
        free = self.relaxed(output, x)
        for beta in (self.beta, -self.beta):
            nudged = free.copy()
            nudged.settle(self.nudged_steps, output.nudge(nudged, target, beta))
            nudged.correlate(-1 / (2 * beta * target.numel()))
            output.learn(nudged, target)
        return network.objective.loss(output.scores(free), target)

    @torch.no_grad()
    def relaxed(self, output: OutputState | OutsideReadout, x: Tensor) -> Populations:
        """The free phase: populations at rest under the input `x`."""
        activations = output.activations(None if self.activation is None else ACTIVATIONS[self.activation])
        free = Populations(output.layers, activations, x, self.feedback_gain, output.feedback)
        self.residual = free.settle(self.free_steps)
        return free


class EquilibriumPropagationSeparateWeights(EquilibriumPropagation):
    """Weights of their own for the way down, which learn by the same Hebbian products and the same decay.

    Kolen & Pollack's alignment in equilibrium propagation (Laborieux et al. 2021): W - B shrinks by the weight decay
    alone, so the two agree in time and the estimate becomes the symmetric one's. Until then it is no gradient.
    B has the shape of W and starts independent of it; the first layer needs none.
    """

    facts = RuleFacts(
        name="equilibrium propagation, separate backward weights",
        paper="Laborieux et al. 2021, doi:10.3389/fnins.2021.633674; Kolen & Pollack 1994",
        family="energy-based",
        full_precision=True,
        published=frozenset({"C1", "C3"}),
        cost="2 (T1 + 2 T2) / 3, less the first layer's share, whose drive stands",
    )
    pace = Pace(weight_decay=1e-4)

    def bind(self, network: Network) -> None:
        super().bind(network)
        drawn = feedback_like(network, feedback_draws(self.seed))
        self.backward_weights = nn.ParameterList(weight for [weight] in drawn[1:])

    def feedback(self, network: Network) -> list[list[Tensor]]:
        """None for the first layer (an empty list), one for each other."""
        return [[], *([weight.detach()] for weight in self.backward_weights)]

    @torch.no_grad()
    def assign_gradients(self, network: Network, x: Tensor, target: Tensor) -> Tensor:
        weights = [layer.synapses[0].weight for layer in list(network)[1:]]
        before = [weight.grad for weight in weights]
        for weight in weights:
            weight.grad = None
        loss = super().assign_gradients(network, x, target)
        for weight, backward, earlier in zip(weights, self.backward_weights, before, strict=True):
            assert weight.grad is not None
            add_gradient(backward, weight.grad.clone())
            if earlier is not None:
                add_gradient(weight, earlier)
        return loss

    def parameter_groups(self, network: Network, settings: dict[str, Any]) -> list[dict[str, Any]]:
        """Both ways decay alike: that is what aligns them."""
        return [{"params": [*network.parameters(), *self.parameters()], **settings}]


class OutputState:
    """Scellier & Bengio's output: the last population, which itself is nudged."""

    def __init__(self, network: Network, feedback: Sequence[Feedback] | None) -> None:
        self.layers: list[Layer] = list(network)
        self.objective, self.feedback = network.objective, feedback

    def activations(self, hidden: Activation | None) -> list[Activation]:
        """What each population does with its drive; the output's does nothing."""
        own = [layer.nonlinearity for layer in self.layers]
        return [*(hidden or activation for activation in own[:-1]), own[-1]]

    def nudge(self, populations: Populations, target: Tensor, beta: float) -> Top:
        """The output moved down the loss."""
        return lambda drive, state: drive - beta * self.objective.error(state, target) * target.numel()

    def learn(self, nudged: Populations, target: Tensor) -> None:
        """Its weights are between populations and learn as all do."""

    def scores(self, populations: Populations) -> Tensor:
        """The output's state."""
        return populations.states[-1]


class OutsideReadout:
    """Laborieux's output: a readout that populations drive and that does not drive them, but by nudging."""

    def __init__(self, network: Network, feedback: Sequence[Feedback] | None) -> None:
        *self.layers, self.readout = network
        self.objective = network.objective
        self.feedback = None if feedback is None else feedback[:-1]
        self.way_back = None if feedback is None else feedback[-1]

    def activations(self, hidden: Activation | None) -> list[Activation]:
        """What each population does with its drive."""
        return [hidden or layer.nonlinearity for layer in self.layers]

    def nudge(self, populations: Populations, target: Tensor, beta: float) -> Top:
        """The last population moved down the loss of the readout."""
        activation = populations.activations[-1]

        def top(drive: Tensor, state: Tensor) -> Tensor:
            trace = self.readout.record(state, self.way_back)
            error = self.objective.error(trace.y, target) * target.numel()
            returned = trace.pull_back(error, to_weights=False)
            assert returned is not None
            return activation(drive - beta * returned)

        return top

    def learn(self, nudged: Populations, target: Tensor) -> None:
        """Half the objective's gradient: the other half comes from the other nudged phase."""
        trace = self.readout.record(nudged.states[-1])
        trace.pull_back(self.objective.error(trace.y, target) / 2, to_input=False)

    def scores(self, populations: Populations) -> Tensor:
        """The readout of the last population."""
        found: Tensor = self.readout(populations.states[-1])
        return found


def output_of(network: Network, feedback: Sequence[Feedback] | None) -> OutputState | OutsideReadout:
    """How the target reaches the populations: squared error nudges the output, other losses through a readout."""
    kind = OutputState if isinstance(network.objective, SquaredError) else OutsideReadout
    return kind(network, feedback)
