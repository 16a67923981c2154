"""What a network is trained for: a loss of its output and the target, mean over samples (and characters), in nats."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from .recipe import Remembered


class Objective(Remembered, ABC):
    """A loss of output (..., class) and target ids (...)."""

    @abstractmethod
    def per_sample(self, output: Tensor, target: Tensor) -> Tensor:
        """Loss of each sample (batch,), mean over its characters where it has several."""

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Mean over the batch."""
        return self.per_sample(output, target).mean()

    def error(self, output: Tensor, target: Tensor) -> Tensor:
        """dL / d output, L being the mean over the batch: the error that every rule starts from."""
        with torch.enable_grad():
            leaf = output.detach().requires_grad_()
            return torch.autograd.grad(self.loss(leaf, target), leaf)[0]


class CrossEntropy(Objective):
    """-log softmax(output)[target]; its error is softmax - one-hot, over the number of samples."""

    def per_sample(self, output: Tensor, target: Tensor) -> Tensor:
        losses = cross_entropy(output.flatten(0, -2), target.flatten(), reduction="none").view(target.shape)
        return losses.flatten(1).mean(1) if losses.ndim > 1 else losses


class SquaredError(Objective):
    """1/2 |output - one-hot|^2."""

    def per_sample(self, output: Tensor, target: Tensor) -> Tensor:
        squares = 0.5 * (output - one_hot(target, output.shape[-1]).to(output)).square().sum(-1)
        return squares.flatten(1).mean(1) if squares.ndim > 1 else squares
