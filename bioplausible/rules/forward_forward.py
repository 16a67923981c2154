"""Forward-forward: every layer by itself learns to be lively for data with the right label and quiet with a wrong one.

Hinton 2022, arXiv 2212.13345. The label is written into the first features of the input. With the goodness
G = sum h^2 of a layer's activities h, p(right) = sigmoid(G - theta), and each layer descends
    L = log(1 + exp(theta - G(positive))) + log(1 + exp(G(negative) - theta)),   mean over the batch,
theta = units; or G = mean h^2, theta = 2. What a layer hands on has its length taken away (`length_normalised`).
Prediction: every class is written in, in one pass of a larger batch; the scores are the goodness summed over the hidden
layers but the first (over the only one, where there is one).
Local: a unit's input and activity, and one number of its layer, G - theta. Not local: two passes that the whole network
must tell apart, and the label, which reaches all layers through the input.
The readout is no part of the rule: it stays as it was drawn, or (`readout=True`) learns by the delta rule from the last
hidden layer under a neutral label, and then predicts in one pass.
Deviations: theta is half the largest mean square where the nonlinearity is bounded (tanh never reaches 1 a unit). All
layers learn at once. The readout reads the last hidden layer, Hinton's all but the first.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import one_hot, softplus

from ..layer import Layer
from ..length_normalised import outputs_without_length, record_without_length, without_length
from ..network import Network
from ..rule import LearningRule, Pace, RuleFacts
from ..synapse import LinearSynapse

SATURATING = 1e3  # a drive at which a bounded nonlinearity has reached its bound


class ForwardForward(LearningRule):
    """Goodness of positive and negative data, layer by layer, for fully connected networks.

    Parameters
    ----------
    mean
        Goodness is the mean of squares and not their sum: gentler, since a layer is then seldom sure.
    threshold
        theta, in mean squares a unit; by default 1 for a sum, 2 for a mean, or half of what the nonlinearity reaches.
    strength
        Of the written label, in root mean squares of the input.
    hard
        Wrong labels are drawn as the network believes in them, and not uniformly. Costs a prediction a step.
    readout
        Train the readout under a neutral label, and predict by it.
    """

    facts = RuleFacts(
        name="forward-forward",
        paper="Hinton 2022, arXiv 2212.13345",
        family="forward-forward",
        cost="4 / (3 - s), s: the first layer's share of a forward pass; a prediction costs a pass for each class",
    )
    pace = Pace(learning_rate=3e-3, batch_size=64)

    def __init__(
        self,
        mean: bool = False,
        threshold: float | None = None,
        strength: float = 10.0,
        hard: bool = False,
        readout: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(seed)
        self.mean, self.threshold, self.strength = mean, threshold, strength
        self.hard, self.readout = hard, readout

    def reason_against(self, network: Network) -> str | None:
        for i, layer in enumerate(network):
            if not (layer.plain and isinstance(layer.synapses[0], LinearSynapse)):
                return f"layer {i + 1} is not fully connected, and a label written into features reaches few places"
        n_classes = network.shapes()[-1][-1]
        if len(network) < 2:
            return "it has no hidden layer"
        if len(network.shapes()[-1]) > 1:
            return "its readout speaks at several places, and the rule writes one label into a sample"
        if math.prod(network.example) < n_classes:
            return f"its input has {math.prod(network.example)} features, too few to write {n_classes} classes into"
        return None

    def infer(self, network: Network, x: Tensor) -> Tensor:
        """Goodness of each class (batch, class); with a readout, its scores."""
        *hidden, last = network
        n_classes = network.shapes()[-1][-1]
        if self.readout:
            top = outputs_without_length(hidden, self.labelled(x, self._neutral(x, n_classes)))[-1]
            found: Tensor = last(without_length(top))
            return found
        every_class = torch.eye(n_classes, device=x.device).repeat(len(x), 1)
        outputs = outputs_without_length(hidden, self.labelled(x.repeat_interleave(n_classes, 0), every_class))
        goodness = torch.stack([self.sharpness(y) * mean_square(y) for y in outputs[1:] or outputs])
        return goodness.sum(0).view(len(x), n_classes)

    def states(self, network: Network, x: Tensor) -> list[Tensor]:
        """Activities under a neutral label, which favours no class; the readout's last, whether it is trained or not.

        Each layer is given the one below without its length; its own length is left.
        """
        *hidden, last = network
        outputs = outputs_without_length(hidden, self.labelled(x, self._neutral(x, network.shapes()[-1][-1])))
        return [*outputs, last(without_length(outputs[-1]))]

    def assign_gradients(self, network: Network, x: Tensor, target: Tensor) -> Tensor:
        *hidden, last = network
        n_classes = network.shapes()[-1][-1]
        labels = torch.cat([target, self.wrong_labels(network, x, target)])
        traces = record_without_length(
            hidden, self.labelled(x.repeat(2, *[1] * (x.ndim - 1)), one_hot(labels, n_classes))
        )
        sign = torch.ones(len(labels), device=x.device)
        sign[len(x) :] = -1
        losses = []
        for layer, trace in zip(hidden, traces, strict=True):
            loss, error = self.goodness_loss(layer, trace.y, sign)
            trace.pull_back(error, to_input=False)
            losses.append(loss)
        if self.readout:
            self._train_readout(network, last, x, target)
        return torch.stack(losses).mean()

    def goodness_loss(self, layer: Layer, y: Tensor, sign: Float[Tensor, " batch"]) -> tuple[Float[Tensor, ""], Tensor]:
        """Loss of a layer's output (batch ...), in nats, and its derivative; `sign` is 1 for a right label, else -1."""
        sharpness, n_pairs = self.sharpness(y), len(y) / 2
        margin = sign * sharpness * (mean_square(y) - self.theta(layer))
        slope = -sign * torch.sigmoid(-margin) * sharpness * 2 / (y[0].numel() * n_pairs)
        return softplus(-margin).sum() / n_pairs, slope.view(-1, *[1] * (y.ndim - 1)) * y

    def theta(self, layer: Layer) -> float:
        """The threshold of a layer, in mean squares a unit."""
        if self.threshold is not None:
            return self.threshold
        reached: float = layer.nonlinearity(torch.tensor([-SATURATING, SATURATING])).square().max().item()
        return min(2.0 if self.mean else 1.0, reached / 2)

    def sharpness(self, y: Tensor) -> float:
        """What the mean square of an output (batch ...) is multiplied with to be its goodness."""
        return 1.0 if self.mean else float(y[0].numel())

    def labelled(self, x: Tensor, codes: Float[Tensor, "batch class"] | Int[Tensor, "batch class"]) -> Tensor:
        """The input (batch ...) without its length, its first features overwritten by the classes' code."""
        scaled = without_length(x)
        rest = scaled.flatten(1)[:, codes.shape[1] :]
        return torch.cat([self.strength * codes.to(scaled), rest], 1).view(x.shape)

    def wrong_labels(self, network: Network, x: Tensor, target: Int[Tensor, " batch"]) -> Int[Tensor, " batch"]:
        """A class for each sample that is never its own."""
        n_classes = network.shapes()[-1][-1]
        if not self.hard:
            return shifted(target, n_classes, self.uniform(x.new_empty(len(x), dtype=torch.float32)))
        scores = self.infer(network, x).float()
        # The largest of scores with Gumbel noise is a draw from their softmax.
        noise = -torch.log(-torch.log(self.uniform(scores).clamp(min=1e-12)))
        return (scores + noise).scatter(1, target[:, None], -math.inf).argmax(1)

    def _neutral(self, x: Tensor, n_classes: int) -> Tensor:
        return torch.full((len(x), n_classes), 1 / n_classes, device=x.device)

    def _train_readout(self, network: Network, last: Layer, x: Tensor, target: Tensor) -> None:
        *hidden, _ = network
        neutral = self._neutral(x, network.shapes()[-1][-1])
        with torch.no_grad():
            top = outputs_without_length(hidden, self.labelled(x, neutral))[-1]
        trace = last.record(without_length(top))
        trace.pull_back(network.objective.error(trace.y, target), to_input=False)


def mean_square(y: Tensor) -> Float[Tensor, " batch"]:
    """Mean of the squares of a sample's activities (batch ...)."""
    return y.flatten(1).square().mean(1)


def shifted(target: Int[Tensor, " batch"], n_classes: int, uniform: Float[Tensor, " batch"]) -> Int[Tensor, " batch"]:
    """Another class than the target, each other one equally likely; `uniform` in [0, 1)."""
    # Rounding may carry a number just below 1 to n_classes - 1, which would come round to the target itself.
    steps = (uniform * (n_classes - 1)).long().clamp(max=n_classes - 2)
    return (target + 1 + steps) % n_classes
