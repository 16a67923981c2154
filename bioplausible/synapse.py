"""Synapses: the weights between two populations, whose errors may return through other weights.

A synapse is linear in its input, y = W * x + b. An error e at y asks three things of it:
    returned   W^T e        (the adjoint; with B in place of W where there is a feedback weight)
    change     e x^T        (what descends the loss, whoever brought e)
    bias       sum of e
A synapse with feedback is the synapse, by torch's own derivatives, with another way back to x laid beside it: each of
the three is computed only where it is asked for, and it costs what a synapse without feedback costs.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, embedding, linear
from torch.nn.grad import conv2d_input, conv2d_weight


class Synapse(nn.Module):
    """What every kind of synapse can do; `weight` and `bias` are its parameters.

    `feedback`, a tensor of the weight's shape, is set for the time of a recorded pass only (see `Layer.record`): then
    the error returns through it, and the weight's own gradient is what it would be anyway.
    """

    weight: nn.Parameter
    bias: nn.Parameter | None
    feedback: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """W * x + b."""
        if self.feedback is None:
            return self.drive(x, self.weight, self.bias)
        return self.drive_with_feedback(x, self.weight, self.bias, self.feedback)

    @abstractmethod
    def drive(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """weight * x + bias, for any weight of the right shape."""

    @abstractmethod
    def drive_with_feedback(self, x: Tensor, weight: Tensor, bias: Tensor | None, feedback: Tensor) -> Tensor:
        """weight * x + bias, whose backward pass returns the error through `feedback`."""

    @abstractmethod
    def transpose(self, error: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """The adjoint: W^T error (or another weight's), in the shape of the input `x`."""

    @abstractmethod
    def correlate(self, x: Tensor, error: Tensor) -> tuple[Tensor, Tensor | None]:
        """error x^T and the sum of error, in the shapes of weight and bias, summed over batch (and places)."""

    def share(self, module: nn.Module) -> None:
        """Have the very parameters of another module."""
        found = dict(module.named_parameters(recurse=False))
        self.weight, self.bias = found["weight"], found.get("bias")

    @property
    def fan_in(self) -> int:
        """Inputs that one unit sums."""
        return self.weight[0].numel()


class LinearSynapse(Synapse):
    """All to all, on the last axis of an input of any rank."""

    def __init__(self, n_inputs: int, n_outputs: int, bias: bool = True) -> None:
        super().__init__()
        self.take(nn.Linear(n_inputs, n_outputs, bias))

    def take(self, module: nn.Linear) -> LinearSynapse:
        """Use a torch module's own parameters (shared, not copied)."""
        self.share(module)
        return self

    def drive(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return linear(x, weight, bias)

    def drive_with_feedback(self, x: Tensor, weight: Tensor, bias: Tensor | None, feedback: Tensor) -> Tensor:
        y = self.drive(x.detach(), weight, bias)
        found: Tensor = _LinearReturn.apply(y, x, feedback)  # type: ignore[no-untyped-call]  # torch's
        return found

    def transpose(self, error: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        return error @ (self.weight if weight is None else weight)

    def correlate(self, x: Tensor, error: Tensor) -> tuple[Tensor, Tensor | None]:
        flat = error.flatten(0, -2)
        return flat.T @ x.flatten(0, -2), None if self.bias is None else flat.sum(0)


class ConvSynapse(Synapse):
    """Shared weights over places: 2-D convolution with stride, padding, dilation and groups."""

    def __init__(
        self,
        n_inputs: int,
        n_outputs: int,
        kernel: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.take(nn.Conv2d(n_inputs, n_outputs, kernel, stride, padding, dilation, groups, bias))

    def take(self, module: nn.Conv2d) -> ConvSynapse:
        """Use a torch module's own parameters (shared, not copied)."""
        self.share(module)
        assert not isinstance(module.padding, str)  # the conversion refuses it
        self.shape = (tuple(module.stride), tuple(module.padding), tuple(module.dilation), module.groups)
        return self

    def drive(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return conv2d(x, weight, bias, *self.shape)

    def drive_with_feedback(self, x: Tensor, weight: Tensor, bias: Tensor | None, feedback: Tensor) -> Tensor:
        y = self.drive(x.detach(), weight, bias)
        found: Tensor = _ConvReturn.apply(y, x, feedback, *self.shape)  # type: ignore[no-untyped-call]  # torch's
        return found

    def transpose(self, error: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        weight = (self.weight if weight is None else weight).to(error)  # autocast passes this function by
        found: Tensor = conv2d_input(x.shape, weight, error, *self.shape)  # type: ignore[no-untyped-call]  # torch's
        return found

    def correlate(self, x: Tensor, error: Tensor) -> tuple[Tensor, Tensor | None]:
        found: Tensor = conv2d_weight(  # type: ignore[no-untyped-call]  # torch's
            x.to(error), self.weight.shape, error, *self.shape
        )
        return found, None if self.bias is None else error.sum((0, 2, 3))


class EmbeddingSynapse(Synapse):
    """Symbols to vectors: a linear synapse on one-hot inputs, which are given as ids. No error returns from it."""

    def __init__(self, n_symbols: int, n_outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_symbols, n_outputs) / n_outputs**0.5)
        self.bias = None

    def drive(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return embedding(x, weight)

    def drive_with_feedback(self, x: Tensor, weight: Tensor, bias: Tensor | None, feedback: Tensor) -> Tensor:
        return self.drive(x, weight, bias)

    def transpose(self, error: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        raise TypeError("symbols have no error")

    def correlate(self, x: Tensor, error: Tensor) -> tuple[Tensor, Tensor | None]:
        found = torch.zeros_like(self.weight)
        return found.index_add(0, x.flatten(), error.flatten(0, -2).to(found)), None


class _LinearReturn(torch.autograd.Function):
    """y unchanged; the error that comes back goes to y as it is, and to x through the feedback weight."""

    @staticmethod
    def forward(y: Tensor, x: Tensor, feedback: Tensor) -> Tensor:
        return y.view_as(y)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(inputs[2])

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor, Tensor | None, None]:
        (feedback,) = ctx.saved_tensors
        # Under autocast the error is of a narrower type than the weights.
        return error, error @ feedback.to(error) if ctx.needs_input_grad[1] else None, None


class _ConvReturn(torch.autograd.Function):
    """The same for a convolution of the given stride, padding, dilation and groups."""

    @staticmethod
    def forward(y: Tensor, x: Tensor, feedback: Tensor, *shape: Any) -> Tensor:
        return y.view_as(y)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, x, feedback, *shape = inputs
        ctx.save_for_backward(feedback)
        ctx.size, ctx.shape = x.shape, shape

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:
        (feedback,) = ctx.saved_tensors
        if not ctx.needs_input_grad[1]:
            return (error, *[None] * 6)
        feedback = feedback.to(error)
        returned = conv2d_input(ctx.size, feedback, error, *ctx.shape)  # type: ignore[no-untyped-call]  # torch's
        return (error, returned, *[None] * 5)
