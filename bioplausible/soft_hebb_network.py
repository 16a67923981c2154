"""The convolutional network of SoftHebb: layers that standardise, compete, rectify about their mean, and pool.

Journe et al. 2023, arXiv 2209.11883, section 4 and appendix: norm without gain -> convolution without bias -> Triangle
(Coates, Ng & Lee 2011) to a power -> pooling. Any rule can train it; the defaults are the paper's for CIFAR-10.
Deviations: the readout's input is standardised too, so that one learning rate suits all widths; running means forget
over 100 batches, not 10, since batches are small; no dropout before the readout.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .architectures import initialise
from .layer import Layer
from .network import Network
from .objective import Objective
from .standardise import Standardise
from .synapse import ConvSynapse, LinearSynapse


class Triangle(nn.Module):
    """max(0, u - mean of u over channels)^power: (batch channel height width) to the same."""

    def __init__(self, power: float = 1.0) -> None:
        super().__init__()
        self.power = power

    def forward(self, u: Tensor) -> Tensor:
        """The same shape, none below zero."""
        return (u - u.mean(1, keepdim=True)).relu().pow(self.power)


class SoftHebbNetwork(Network):
    """Convolutions with SoftHebb's norm, activation and pooling, and a readout.

    Parameters
    ----------
    example
        (channel, height, width) of one image.
    channels, kernels, powers
        Of the convolutions, from the input on; padding by reflection keeps the size. Each but the last is followed by
        the largest of 4 x 4 with stride 2, the last by the mean of 2 x 2.
    radius
        Expected length of a unit's weights at the start; they shrink to 1.
    seed
        Of the weights.
    """

    def __init__(
        self,
        example: Sequence[int] = (3, 32, 32),
        channels: Sequence[int] = (96, 384, 1536),
        kernels: Sequence[int] = (5, 3, 3),
        powers: Sequence[float] = (0.7, 1.4, 1.0),
        radius: float = 25.0,
        n_classes: int = 10,
        objective: Objective | None = None,
        seed: int = 0,
    ) -> None:
        draws = torch.Generator().manual_seed(seed)
        n_inputs, layers = example[0], []
        last = len(channels) - 1
        for i, (n_outputs, kernel, power) in enumerate(zip(channels, kernels, powers, strict=True)):
            pool: nn.Module = nn.AvgPool2d(2) if i == last else nn.MaxPool2d(4, 2, 1)
            layers.append(_competing(n_inputs, n_outputs, kernel, power, pool, radius, draws))
            n_inputs = n_outputs
        side = [size // 2 ** len(channels) for size in example[1:]]
        features = n_inputs * math.prod(side)
        before = nn.Sequential(nn.Flatten(), Standardise(features))
        readout = initialise(LinearSynapse(features, n_classes), "identity", draws)
        super().__init__([*layers, Layer(readout, before=before)], example, objective)


def _competing(
    n_inputs: int, n_outputs: int, kernel: int, power: float, pool: nn.Module, radius: float, draws: torch.Generator
) -> Layer:
    synapse = ConvSynapse(n_inputs, n_outputs, kernel, bias=False)
    with torch.no_grad():
        synapse.weight.normal_(0, radius / math.sqrt(synapse.fan_in), generator=draws)
    before = nn.Sequential(Standardise(n_inputs), nn.ReflectionPad2d(kernel // 2))
    return Layer(synapse, Triangle(power), before, pool)
