"""Local losses: every hidden layer has a loss of its own, and no error passes from layer to layer.

Nokland & Eidnes 2019, arXiv 1901.06656. For a hidden layer's output y and the target t, with heads of the layer's own:
    prediction  L_p = cross-entropy(A y, t)
    similarity  L_s = mean over pairs of samples of (S(B y) - S(one-hot t))^2
    S(z)_ij = cosine of z_i - mean z_i and z_j - mean z_j   (the mean over the features of one sample)
    L = (1 - beta) L_p + beta L_s,  beta = .99 (`LocalLosses`, their predsim), 0 (`PredLoss`) or 1 (`SimLoss`).
A is a linear layer, after pooling feature maps to few values; B is a linear layer as wide as y, or for feature maps a
3 x 3 convolution, each of whose channels is then its standard deviation over places. The readout's change is exact.
Local: a layer, and its heads. Not local: the target, sent to all layers; W of the heads, which return their errors
exactly; and L_s compares all samples of the batch, so that it depends on the batch's size.
Deviations: no batch normalisation and no dropout; the heads' initial weights are normal, of deviation 1 / sqrt(fan in).
Where the readout speaks at several times, each time of a sample counts as a sample. A block of several synapses is one
layer: errors pass inside it.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import mse_loss, normalize, one_hot

from ..architectures import initialise
from ..layer import Layer
from ..network import Network
from ..objective import CrossEntropy
from ..rule import LearningRule, RuleFacts
from ..synapse import ConvSynapse, LinearSynapse

PAPER = "Nokland & Eidnes 2019, arXiv 1901.06656"
COST = "(2 + 3 h) / (3 - s), h and s: the heads' and the first layer's share of a forward pass"
LOCAL_HEADS = 314_159  # apart from the seeds of networks


class LocalLosses(LearningRule):
    """Both losses of each hidden layer (predsim).

    Parameters
    ----------
    pooled
        Most values that a feature map is pooled to before its prediction.
    """

    facts = RuleFacts(name="local losses (predsim)", paper=PAPER, family="local losses", reads_batch=True, cost=COST)
    similarity: ClassVar[float] = 0.99  # beta

    def __init__(self, pooled: int = 2048, seed: int = 0) -> None:
        super().__init__(seed)
        self.pooled = pooled

    def reason_against(self, network: Network) -> str | None:
        *hidden, (*places, _) = network.shapes()
        for i, shape in enumerate(hidden):
            if shape[: len(places)] != tuple(places):
                return f"layer {i + 1} has output {shape}, which does not keep the readout's places {tuple(places)}"
        return None

    def bind(self, network: Network) -> None:
        super().bind(network)
        *hidden, (*places, n_classes) = network.shapes()
        draws = torch.Generator().manual_seed(LOCAL_HEADS + self.seed)
        like = next(network.parameters())
        shapes = [shape[len(places) :] for shape in hidden]
        self.n_classes = n_classes
        if self.similarity < 1:
            self.predicting = nn.ModuleList(prediction_head(s, n_classes, self.pooled, draws) for s in shapes).to(like)
        if self.similarity > 0:
            self.comparing = nn.ModuleList(similarity_head(s, draws) for s in shapes).to(like)

    def assign_gradients(self, network: Network, x: Tensor, target: Tensor) -> Tensor:
        *hidden, readout = network.record(x)
        for i, trace in enumerate(hidden):
            error = self.local_error(i, trace.y.flatten(0, target.ndim - 1), target.flatten())
            trace.pull_back(error.view(trace.y.shape), to_input=False)
        readout.pull_back(network.objective.error(readout.y, target), to_input=False)
        return network.objective.loss(readout.y, target)

    def local_error(self, i: int, y: Tensor, target: Int[Tensor, " batch"]) -> Tensor:
        """The derivative of layer i's loss at its output (batch ...); the heads' `.grad` gain what the loss asks."""
        error = torch.zeros_like(y)
        if self.similarity < 1:
            head: Layer = self.predicting[i]  # type: ignore[assignment]  # ModuleList's own type says Module
            trace = head.record(y)
            wanted = CrossEntropy().error(trace.y, target)
            error = error + _arrived(trace.pull_back((1 - self.similarity) * wanted))
        if self.similarity > 0:
            head = self.comparing[i]  # type: ignore[assignment]  # the same
            trace = head.record(y)
            error = error + _arrived(
                trace.pull_back(self.similarity * similarity_error(trace.y, target, self.n_classes))
            )
        return error


class PredLoss(LocalLosses):
    """Each hidden layer predicts the class by a linear head of its own."""

    facts = RuleFacts(name="local losses (pred)", paper=PAPER, family="local losses", cost=COST)
    similarity = 0.0


class SimLoss(LocalLosses):
    """Each hidden layer makes samples of a class alike, and of different classes unlike."""

    facts = RuleFacts(name="local losses (sim)", paper=PAPER, family="local losses", reads_batch=True, cost=COST)
    similarity = 1.0


def prediction_head(shape: tuple[int, ...], n_classes: int, pooled: int, draws: torch.Generator) -> Layer:
    """A linear layer from an output (of one sample) to the classes; feature maps are pooled first."""
    before: list[nn.Module] = [nn.Flatten()]
    if _is_maps(shape):
        side = max(1, min(*shape[1:], math.isqrt(pooled // shape[0])))
        before.insert(0, nn.AdaptiveAvgPool2d(side))
        shape = (shape[0], side, side)
    return Layer(
        initialise(LinearSynapse(math.prod(shape), n_classes), "identity", draws), before=nn.Sequential(*before)
    )


def similarity_head(shape: tuple[int, ...], draws: torch.Generator) -> Layer:
    """A linear layer as wide as an output (of one sample), or a convolution and its channels' deviations."""
    if _is_maps(shape):
        convolution = ConvSynapse(shape[0], shape[0], 3, padding=1, bias=False)
        return Layer(initialise(convolution, "identity", draws), after=SpatialDeviation())
    width = math.prod(shape)
    return Layer(initialise(LinearSynapse(width, width, bias=False), "identity", draws), before=nn.Flatten())


class SpatialDeviation(nn.Module):
    """Standard deviation of each channel over places; of a single place, its value."""

    def forward(self, x: Float[Tensor, "batch channel y z"]) -> Float[Tensor, "batch channel"]:
        places = x.flatten(2)
        # A channel that is the same everywhere has no derivative of its deviation: the small number gives it zero.
        return places[..., 0] if places.shape[2] == 1 else (places.var(2) + 1e-12).sqrt()


def similarity_matrix(z: Float[Tensor, "batch feature"]) -> Float[Tensor, "batch batch"]:
    """Cosine of every two samples, each less its own mean: their correlation."""
    centred = normalize(z - z.mean(1, keepdim=True), eps=1e-8)
    return centred @ centred.T


def similarity_loss(z: Float[Tensor, "batch feature"], target: Int[Tensor, " batch"], n_classes: int) -> Tensor:
    """Mean squared difference of the samples' similarities from their classes'."""
    return mse_loss(similarity_matrix(z), similarity_matrix(one_hot(target, n_classes).to(z)))


def similarity_error(z: Float[Tensor, "batch feature"], target: Int[Tensor, " batch"], n_classes: int) -> Tensor:
    """The derivative of `similarity_loss` at z."""
    with torch.enable_grad():
        leaf = z.detach().requires_grad_()
        return torch.autograd.grad(similarity_loss(leaf, target, n_classes), leaf)[0]


def _is_maps(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3


def _arrived(error: Tensor | None) -> Tensor:
    assert error is not None  # the head's input is an activity, which has one
    return error
