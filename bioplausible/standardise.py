"""Standardised channels, without a gain: zero mean, unit variance, of the batch or by what is remembered of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm


class Standardise(nn.Module):
    """(batch channel ...) to the same, each channel standardised.

    In training mode it reads the batch and remembers; otherwise, and for a batch of one, which has no variance (the
    blank passes that ask for shapes), it goes by what it remembers.

    Parameters
    ----------
    n_channels
        Channels, or features of a flat input.
    momentum
        A batch's share in what is remembered.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, n_channels: int, momentum: float = 0.01) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("mean", torch.zeros(n_channels))
        self.register_buffer("variance", torch.ones(n_channels))

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        reads_batch = self.training and len(x) > 1
        return batch_norm(x, self.mean, self.variance, training=reads_batch, momentum=self.momentum)
