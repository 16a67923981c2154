"""Networks of the published comparison, for every rule: a fully connected one and a convolutional one.

Sizes of "Dendritic Localized Learning" (Lv et al. 2025, arXiv 2501.09976), table 1; the defaults are those for MNIST.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from ..datasets.errors import WrongArgument
from .layer import Layer
from .network import Network
from .objective import Objective
from .synapse import ConvSynapse, LinearSynapse, Synapse

NONLINEARITIES: dict[str, tuple[type[nn.Module], float]] = {
    # with the gain that keeps the variance of activities through the layers (torch.nn.init.calculate_gain)
    "tanh": (nn.Tanh, 5 / 3),
    "relu": (nn.ReLU, math.sqrt(2)),
    "sigmoid": (nn.Sigmoid, 1.0),
    "gelu": (nn.GELU, math.sqrt(2)),
    "identity": (nn.Identity, 1.0),
}


def nonlinearity_of(name: str) -> nn.Module:
    """The module of a name in `NONLINEARITIES`."""
    if name not in NONLINEARITIES:
        raise WrongArgument(f"no nonlinearity {name!r}", "network", f"One of: {', '.join(NONLINEARITIES)}.")
    return NONLINEARITIES[name][0]()


def initialise(synapse: Synapse, nonlinearity: str, generator: torch.Generator) -> Synapse:
    """Normal weights of standard deviation gain / sqrt(fan in), no bias: the same for every rule."""
    gain = NONLINEARITIES[nonlinearity][1]
    with torch.no_grad():
        synapse.weight.normal_(0, gain / math.sqrt(synapse.fan_in), generator=generator)
        if synapse.bias is not None:
            synapse.bias.zero_()
    return synapse


class MLP(Network):
    """Fully connected layers.

    Parameters
    ----------
    widths
        Units from the input to the classes.
    nonlinearity
        Of all layers but the readout.
    example
        Shape of one input, flattened by the first layer; (widths[0],) by default.
    seed
        Of the weights.
    """

    def __init__(
        self,
        widths: Sequence[int] = (784, 1024, 512, 256, 10),
        nonlinearity: str = "tanh",
        example: Sequence[int] | None = None,
        objective: Objective | None = None,
        seed: int = 0,
    ) -> None:
        draws = torch.Generator().manual_seed(seed)
        last = len(widths) - 2
        layers = []
        for i, (n_inputs, n_outputs) in enumerate(pairwise(widths)):
            name = "identity" if i == last else nonlinearity
            synapse = initialise(LinearSynapse(n_inputs, n_outputs), name, draws)
            layers.append(Layer(synapse, nonlinearity_of(name), before=nn.Flatten() if i == 0 else None))
        super().__init__(layers, example or (widths[0],), objective)


class CNN(Network):
    """Convolutions, each followed by 2 x 2 pooling, and fully connected layers.

    Parameters
    ----------
    example
        (channel, height, width) of one image.
    channels, kernels
        Of the convolutions, from the input on; padding keeps the size.
    hidden
        Units of the fully connected layer before the readout.
    pooling
        "max" or "average", for each convolution.
    """

    def __init__(
        self,
        example: Sequence[int] = (1, 28, 28),
        channels: Sequence[int] = (32, 64, 16),
        kernels: Sequence[int] = (5, 3, 3),
        pooling: Sequence[str] = ("max", "max", "none"),
        hidden: int = 200,
        n_classes: int = 10,
        nonlinearity: str = "tanh",
        objective: Objective | None = None,
        seed: int = 0,
    ) -> None:
        draws = torch.Generator().manual_seed(seed)
        pools = {"max": nn.MaxPool2d(2), "average": nn.AvgPool2d(2), "none": nn.Identity()}
        n_inputs, side = example[0], torch.tensor(example[1:])
        layers: list[Layer] = []
        for n_outputs, kernel, pool in zip(channels, kernels, pooling, strict=True):
            synapse = initialise(ConvSynapse(n_inputs, n_outputs, kernel, padding=kernel // 2), nonlinearity, draws)
            layers.append(Layer(synapse, nonlinearity_of(nonlinearity), after=pools[pool]))
            n_inputs, side = n_outputs, side if pool == "none" else side // 2
        flat = n_inputs * int(side.prod())
        first = initialise(LinearSynapse(flat, hidden), nonlinearity, draws)
        layers.append(Layer(first, nonlinearity_of(nonlinearity), before=nn.Flatten()))
        layers.append(Layer(initialise(LinearSynapse(hidden, n_classes), "identity", draws)))
        super().__init__(layers, example, objective)
