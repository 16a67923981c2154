"""Channel-wise forward-forward: a layer's channels are divided among the classes, which compete by their goodness.

Papachristodoulou, Kyrkou, Timotheou & Theocharides 2024, arXiv 2312.12668 (AAAI). With S_j the channels that belong to
class j, and the mean going over its channels and all places,
    G_j = mean over S_j of h^2,    L = -log softmax(s G)[target],    mean over the batch,
and each layer descends its own L. Wrong classes take the part of negative data, so one pass does. What a layer hands on
has its length taken away (`length_normalised`). Fully connected layers are divided likewise, unit by unit.
Prediction: the class with the most goodness, summed over the hidden layers. The readout stays as it was drawn, or
(`readout=True`) learns by the delta rule from the last hidden layer, and then predicts.
Local: a unit's input and activity, and its layer's probability of the class that it belongs to. Not local: the softmax
reads all of a layer; the target reaches every layer.
Deviations: the number of channels need not be a multiple of the number of classes, which then have one more or fewer.
The sharpness s is ours (1 in the paper): bounded nonlinearities cannot raise G beyond 1. Lengths are taken away where
the paper has batch normalisation, which reads the batch. The layers are the network's own: no grouped convolutions are
put between them. All layers learn at once, where the paper lets them begin and stop in turn.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..length_normalised import outputs_without_length, record_without_length, without_length
from ..network import Network
from ..objective import CrossEntropy
from ..rule import LearningRule, Pace, RuleFacts


class ChannelwiseForwardForward(LearningRule):
    """Classes compete for a layer's channels; no negative data. For convolutions and fully connected layers.

    Parameters
    ----------
    sharpness
        s: what goodness is multiplied with before the softmax; ReLU, which is unbounded, wants less than tanh.
    readout
        Train the readout, and predict by it.
    """

    facts = RuleFacts(
        name="channel-wise forward-forward",
        paper="Papachristodoulou et al. 2024, arXiv 2312.12668",
        family="forward-forward",
        cost="2 / (3 - s), s: the first layer's share of a forward pass",
    )
    pace = Pace(learning_rate=3e-3, batch_size=64)

    def __init__(self, sharpness: float = 30.0, readout: bool = False, seed: int = 0) -> None:
        super().__init__(seed)
        self.sharpness, self.readout = sharpness, readout

    def reason_against(self, network: Network) -> str | None:
        *hidden, (*places, n_classes) = network.shapes()
        if places:
            return "its readout speaks at several places, and the rule gives a sample one class"
        if not hidden:
            return "it has no hidden layer"
        for i, (layer, shape) in enumerate(zip(network, hidden, strict=False)):
            if not layer.plain:
                return f"layer {i + 1} is a block of several synapses, and the rule needs one synapse a layer"
            if len(shape) not in (1, 3):
                return f"layer {i + 1} has output {shape}: its axes are neither units nor channels with places"
            if shape[0] < n_classes:
                return f"layer {i + 1} has {shape[0]} channels, too few to divide among {n_classes} classes"
        return None

    def infer(self, network: Network, x: Tensor) -> Tensor:
        """Scores of the classes (batch, class): goodness summed over layers, or the readout's."""
        *hidden, last = network
        outputs = outputs_without_length(hidden, x)
        if self.readout:
            found: Tensor = last(without_length(outputs[-1]))
            return found
        n_classes = network.shapes()[-1][-1]
        return torch.stack([self.sharpness * class_goodness(y, n_classes) for y in outputs]).sum(0)

    def states(self, network: Network, x: Tensor) -> list[Tensor]:
        """Each layer given the one below without its length; the readout's last, whether it is trained or not."""
        *hidden, last = network
        outputs = outputs_without_length(hidden, x)
        return [*outputs, last(without_length(outputs[-1]))]

    def assign_gradients(self, network: Network, x: Tensor, target: Tensor) -> Tensor:
        *hidden, last = network
        n_classes = network.shapes()[-1][-1]
        traces = record_without_length(hidden, x)
        losses = []
        for trace in traces:
            loss, error = self.goodness_loss(trace.y, target, n_classes)
            trace.pull_back(error, to_input=False)
            losses.append(loss)
        if self.readout:
            trace = last.record(without_length(traces[-1].y))
            trace.pull_back(network.objective.error(trace.y, target), to_input=False)
        return torch.stack(losses).mean()

    def goodness_loss(
        self, y: Tensor, target: Int[Tensor, " batch"], n_classes: int
    ) -> tuple[Float[Tensor, ""], Tensor]:
        """Loss of a layer's output (batch channel ...), in nats, and its derivative there."""
        logits = self.sharpness * class_goodness(y, n_classes)
        error = self.sharpness * CrossEntropy().error(logits, target) @ shares(y.shape[1], n_classes, y)
        n_places = y[0, 0].numel()
        return CrossEntropy().loss(logits, target), 2 / n_places * error.view(*error.shape, *[1] * (y.ndim - 2)) * y


def class_goodness(y: Tensor, n_classes: int) -> Float[Tensor, "batch class"]:
    """Mean square of each class's channels, over places, of an output (batch channel ...)."""
    by_channel = y.flatten(2).square().mean(2) if y.ndim > 2 else y.square()
    return by_channel @ shares(y.shape[1], n_classes, y).T


def shares(n_channels: int, n_classes: int, like: Tensor) -> Float[Tensor, "class channel"]:
    """Which channels belong to which class, each row summing to one: adjacent ones, as evenly as it goes."""
    owner = torch.arange(n_channels, device=like.device) * n_classes // n_channels
    belongs = (owner == torch.arange(n_classes, device=like.device)[:, None]).to(like)
    return belongs / belongs.sum(1, keepdim=True)
