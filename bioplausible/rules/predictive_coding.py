"""Predictive coding: every layer predicts the next, and errors of prediction move activities first, weights after.

Whittington & Bogacz 2017, Neural Computation 29:1229. Nodes x_l, predictions mu_l = layer_l(x_{l-1}), errors
e_l = x_l - mu_l; x_0 is the input:
    E = 1/2 sum_{l<L} |x_l - mu_l|^2 + loss(mu_L, target)                           summed over samples (and characters)
    inference, T times, all nodes at once:   x_l -= step (e_l - (d mu_{l+1} / d x_l)^T e_{l+1})      = step dE/dx_l
    then learning, once:                     dW_l = (d mu_l / d W_l)^T e_l                           = -dE/dW_l
At the top stands the network's own objective. With `SquaredError` that is the paper's clamped output,
1/2 |target - mu_L|^2; with `CrossEntropy` the top error is target - softmax(mu_L).
Each update reads its own node, its own error and the error of the next node, which returns through W^T: weights are
transported. Inference starts from a feed-forward pass, where hidden errors are zero: an error climbs down one layer a
step, so fewer steps than layers leave early layers untrained, and are refused.
Deviations: a node is what a layer gives out, after its nonlinearity and pooling, and a block of several synapses is one
node, inside which errors pass as in backprop; precisions are 1; all nodes take one step size.

Two forms are backprop in other words, and are labelled so:
    fixed prediction    Millidge, Tschantz & Buckley 2020 (arXiv 2006.04182): mu and its derivatives stay those of the
                        feed-forward pass. With step 1 and T >= L - 1 the errors are backprop's exactly.
    zero divergence     Song et al. 2020 (NeurIPS), Z-IL: step 1, and W_l learns at inference step L - l, the moment
                        when the error arrives at node l while all below is still as the feed-forward pass left it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...datasets.errors import WrongArgument
from ..layer import Trace
from ..network import Network
from ..rule import LearningRule, RuleFacts


class PredictiveCoding(LearningRule):
    """Strict predictive coding: predictions follow the nodes during inference.

    Parameters
    ----------
    steps
        Of inference, T; at least the network's number of layers. That number by default.
    step_size
        Of inference. Above 2 / (1 + |d mu / d x|^2) a node overshoots.

    Raises `WrongArgument` for values that are not positive.
    """

    facts = RuleFacts(
        name="predictive coding",
        paper="Whittington & Bogacz 2017, doi:10.1162/NECO_a_00949",
        family="predictive coding",
        published=frozenset({"C2"}),
        full_precision=True,  # errors are activities less predictions: bf16 cost 1.5 points on MNIST
        cost="2 (T + 1) / 3, less the first layer's share, whose prediction stands",
    )

    def __init__(self, steps: int | None = None, step_size: float = 0.1, seed: int = 0) -> None:
        super().__init__(seed)
        if step_size <= 0 or (steps is not None and steps < 1):
            raise WrongArgument("steps and step_size must be positive", self.facts.name, "Leave steps out if in doubt.")
        self.steps, self.step_size = steps, step_size

    def reason_against(self, network: Network) -> str | None:
        if self.steps is None or self.steps >= len(network):
            return None
        return f"an error needs {len(network)} inference steps, one a layer, to the first, and steps is {self.steps}"

    @torch.no_grad()
    def assign_gradients(self, network: Network, x: Tensor, target: Tensor) -> Tensor:
        traces = network.record(x)
        loss = network.objective.loss(traces[-1].y, target)
        nodes, traces = self.relax(network, traces, target)
        for trace, error in zip(traces, errors(network, traces, nodes, target), strict=True):
            trace.pull_back(error / target.numel(), to_input=False)
        return loss

    def relax(self, network: Network, traces: list[Trace], target: Tensor) -> tuple[list[Tensor], list[Trace]]:
        """Hidden nodes after inference from a feed-forward pass, and the passes that predict from them."""
        nodes = [trace.y for trace in traces[:-1]]
        for _ in range(len(network) if self.steps is None else self.steps):
            nodes = moved(nodes, traces, errors(network, traces, nodes, target), self.step_size)
            traces = self.predict(network, traces, nodes)
        return nodes, traces

    def predict(self, network: Network, traces: list[Trace], nodes: list[Tensor]) -> list[Trace]:
        """Passes through each layer from the node below it; the first layer's input never moves."""
        return predicted(network, traces, nodes)


class FixedPredictionPredictiveCoding(PredictiveCoding):
    """Predictions and derivatives stay those of the feed-forward pass: backprop, when inference has converged.

    Parameters
    ----------
    steps
        Of inference; at least the network's number of layers. That number by default.
    step_size
        Of inference; 1 is exact after as many steps as there are hidden layers.
    """

    facts = RuleFacts(
        name="predictive coding, fixed prediction",
        paper="Millidge, Tschantz & Buckley 2020, arXiv 2006.04182",
        family="predictive coding",
        published=frozenset({"C2"}),
        equals_backprop=True,
        cost="(T + 2) / 3",
    )

    def __init__(self, steps: int | None = None, step_size: float = 1.0, seed: int = 0) -> None:
        super().__init__(steps, step_size, seed)

    def predict(self, network: Network, traces: list[Trace], nodes: list[Tensor]) -> list[Trace]:
        return traces


class ZeroDivergencePredictiveCoding(LearningRule):
    """Z-IL: strict inference with step 1, and each layer's weights learn when the error arrives: backprop."""

    facts = RuleFacts(
        name="predictive coding, zero divergence",
        paper="Song, Lukasiewicz, Xu & Bogacz 2020, NeurIPS 33:22566",
        family="predictive coding",
        published=frozenset({"C2"}),
        equals_backprop=True,
        cost="2 L / 3 for L layers, less the first layer's share",
    )

    @torch.no_grad()
    def assign_gradients(self, network: Network, x: Tensor, target: Tensor) -> Tensor:
        traces = network.record(x)
        loss = network.objective.loss(traces[-1].y, target)
        nodes = [trace.y for trace in traces[:-1]]
        for arrived in reversed(range(len(network))):
            found = errors(network, traces, nodes, target)
            traces[arrived].pull_back(found[arrived] / target.numel(), to_input=False, keep=True)
            if arrived > 0:
                nodes = moved(nodes, traces, found, 1.0)
                traces = predicted(network, traces, nodes)
        return loss


def errors(network: Network, traces: list[Trace], nodes: list[Tensor], target: Tensor) -> list[Tensor]:
    """dE / d mu_l = mu_l - x_l of every layer, and the objective's at the top, for each sample (and character)."""
    top = network.objective.error(traces[-1].y, target) * target.numel()
    return [*(trace.y - node for trace, node in zip(traces, nodes, strict=False)), top]


def moved(nodes: list[Tensor], traces: list[Trace], found: list[Tensor], step_size: float) -> list[Tensor]:
    """Hidden nodes one step down dE / dx_l = (d mu_{l+1} / d x_l)^T dE / d mu_{l+1} - dE / d mu_l."""
    new = []
    for node, own, above, error_above in zip(nodes, found, traces[1:], found[1:], strict=False):
        returned = above.pull_back(error_above, to_weights=False, keep=True)
        assert returned is not None
        new.append(node - step_size * (returned - own))
    return new


def predicted(network: Network, traces: list[Trace], nodes: list[Tensor]) -> list[Trace]:
    """Passes from where the nodes are now."""
    return [traces[0], *(layer.record(node) for layer, node in zip(list(network)[1:], nodes, strict=True))]
