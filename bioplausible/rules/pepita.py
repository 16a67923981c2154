"""PEPITA: the error is added to the input, and a second pass tells each layer what to change.

Dellaferrera & Kreiman 2022, arXiv 2201.11665 (ICML). With the output's error e = dL/dy of one sample, and F fixed and
random, the input is modulated: h'_0 = x + F e, h'_l = phi(W_l h'_{l-1}). Then, mean over the batch,
    dL/dW_l ~ (h_l - h'_l) h'_{l-1}^T  for hidden layers,    dL/dW_L = e h'_{L-1}^T  for the readout.
Local: a unit's activities in both passes and its input in the second. Not local: e reaches the input from the output,
and there are two passes, of which the first must be remembered.
h is the activity before pooling; convolutions sum over places, as a gradient does. The biases, which the paper has none
of, are weights from a unit that is always 1.
Deviations: F is normal (uniform in the paper); no dropout.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..layer import Layer, add_gradient
from ..network import Network
from ..rule import LearningRule, Pace, RuleFacts, feedback_draws
from ..synapse import EmbeddingSynapse


class Pepita(LearningRule):
    """Two forward passes, the second with the error projected onto the input.

    Parameters
    ----------
    scale
        Norm of F e over that of e, on average.
    """

    facts = RuleFacts(
        name="PEPITA",
        paper="Dellaferrera & Kreiman 2022, arXiv 2201.11665",
        family="forward-forward",
        full_precision=True,  # two near passes: in bf16 updates turn by up to 45 degrees on CIFAR-10
        cost="3 / (3 - s), s: the first layer's share of a forward pass",
    )
    pace = Pace("sgd", learning_rate=0.03, momentum=0.9, batch_size=64)

    def __init__(self, scale: float = 0.2, seed: int = 0) -> None:
        super().__init__(seed)
        self.scale = scale

    def reason_against(self, network: Network) -> str | None:
        for i, layer in enumerate(network):
            if not layer.plain:
                return f"layer {i + 1} is a block of several synapses, and the rule needs one synapse a layer"
        if isinstance(network.layers[0].synapses[0], EmbeddingSynapse):  # type: ignore[index]  # a Layer
            return "its inputs are ids, to which no error can be added"
        if len(network.shapes()[-1]) > 1:
            return "its readout speaks at several places, and the rule projects one error onto a sample"
        return None

    def bind(self, network: Network) -> None:
        super().bind(network)
        n_inputs, (n_classes,) = math.prod(network.example), network.shapes()[-1]
        drawn = torch.randn(n_classes, n_inputs, generator=feedback_draws(self.seed))
        self.register_buffer("projection", (drawn * self.scale / math.sqrt(n_inputs)).to(next(network.parameters())))

    def assign_gradients(self, network: Network, x: Tensor, target: Tensor) -> Tensor:
        with torch.no_grad():
            activities, output = _pass(network, x)
            error = network.objective.error(output, target)  # of the mean: a sample's own is as many times larger
            shift = (len(x) * error) @ self.get_buffer("projection").to(error)
            carried = x + shift.view(x.shape)
            for layer, activity in zip(network, activities, strict=True):
                carried = self._change(layer, carried, activity, None if layer is not network.layers[-1] else error)
        return network.objective.loss(output, target)

    def _change(self, layer: Layer, x: Tensor, activity: Tensor, error: Tensor | None) -> Tensor:
        arriving = layer.before(x)
        modulated = layer.nonlinearity(layer.synapse(arriving))
        wanted = (activity - modulated) / len(x) if error is None else error
        weight, bias = layer.synapse.correlate(arriving, wanted)
        add_gradient(layer.synapse.weight, weight)
        if layer.synapse.bias is not None and bias is not None:
            add_gradient(layer.synapse.bias, bias)
        found: Tensor = layer.after(modulated)
        return found


def _pass(network: Network, x: Tensor) -> tuple[list[Tensor], Tensor]:
    """The activity of each layer before what is behind its nonlinearity, and the network's output."""
    activities = []
    for layer in network:
        activities.append(layer.nonlinearity(layer.synapse(layer.before(x))))
        x = layer.after(activities[-1])
    return activities, x
