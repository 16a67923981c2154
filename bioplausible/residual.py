"""A residual network for images, for every rule: blocks of two convolutions with a skip.

He et al. 2015, arXiv 1512.03385: y = phi(norm(W_2 phi(norm(W_1 x))) + s(x)), s the identity or, where the size
changes, a 1 x 1 convolution with stride. Deviations: a norm of each sample for itself, without parameters, in place of
batch norm, so that no update reads another sample; the opening layer has no norm, and no pooling.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .architectures import initialise, nonlinearity_of
from .layer import Block, Layer
from .network import Network
from .objective import Objective
from .synapse import ConvSynapse, LinearSynapse


class ResidualBlock(Block):
    """Two 3 x 3 convolutions and a skip past them.

    Parameters
    ----------
    n_inputs, n_outputs
        Channels.
    stride
        Of the first convolution. Other than 1, or with other channels, the skip is a convolution too.
    nonlinearity
        A name in `architectures.NONLINEARITIES`.
    draws
        Of the weights.
    """

    def __init__(self, n_inputs: int, n_outputs: int, stride: int, nonlinearity: str, draws: torch.Generator) -> None:
        super().__init__()
        first = ConvSynapse(n_inputs, n_outputs, 3, stride, padding=1)
        self.first = initialise(first, nonlinearity, draws)
        self.second = initialise(ConvSynapse(n_outputs, n_outputs, 3, padding=1), "identity", draws)
        self.skip: nn.Module = nn.Identity()
        if stride != 1 or n_inputs != n_outputs:
            self.skip = initialise(ConvSynapse(n_inputs, n_outputs, 1, stride), "identity", draws)
        self.norm = nn.GroupNorm(1, n_outputs, affine=False)
        self.nonlinearity = nonlinearity_of(nonlinearity)

    def forward(self, x: Float[Tensor, "batch channel y x"]) -> Tensor:
        """Output (batch channel y x)."""
        branch = self.second(self.nonlinearity(self.norm(self.first(x))))
        found: Tensor = self.nonlinearity(self.norm(branch) + self.skip(x))
        return found


class ResidualCNN(Network):
    """A convolution, stages of residual blocks, the mean over places, and a readout.

    Parameters
    ----------
    example
        (channel, height, width) of one image.
    channels
        Of the stages; every stage but the first begins by halving height and width.
    blocks
        In each stage. The default is the ResNet-20 of the paper's table 6.
    nonlinearity
        Of all layers but the readout.
    seed
        Of the weights.
    """

    def __init__(
        self,
        example: Sequence[int] = (3, 32, 32),
        channels: Sequence[int] = (16, 32, 64),
        blocks: int = 3,
        n_classes: int = 10,
        nonlinearity: str = "relu",
        objective: Objective | None = None,
        seed: int = 0,
    ) -> None:
        draws = torch.Generator().manual_seed(seed)
        opening = initialise(ConvSynapse(example[0], channels[0], 3, padding=1), nonlinearity, draws)
        layers = [Layer(opening, nonlinearity_of(nonlinearity))]
        width = channels[0]
        for stage, n_outputs in enumerate(channels):
            for i in range(blocks):
                stride = 2 if stage > 0 and i == 0 else 1
                layers.append(ResidualBlock(width, n_outputs, stride, nonlinearity, draws))
                width = n_outputs
        readout = initialise(LinearSynapse(width, n_classes), "identity", draws)
        layers.append(Layer(readout, before=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())))
        super().__init__(layers, example, objective)
