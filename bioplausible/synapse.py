"""Synapses: the weights between two populations, whose errors may return through other weights.

A synapse is linear in its input, y = W * x + b. An error e at y asks three things of it:
    returned   W^T e        (the adjoint; with B in place of W where there is a feedback weight)
    change     e x^T        (what descends the loss, whoever brought e)
    bias       sum of e
torch computes the three together, so a synapse with feedback costs what one without costs.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv2d, embedding, linear


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

    def correlate(self, x: Tensor, error: Tensor) -> tuple[Tensor, Tensor | None]:
        """error x^T and the sum of error, in the shapes of weight and bias, summed over batch (and places)."""
        with torch.enable_grad():
            weight = self.weight.detach().requires_grad_()
            bias = None if self.bias is None else self.bias.detach().requires_grad_()
            y = self.drive(x.detach(), weight, bias)
        wanted = [weight] if bias is None else [weight, bias]
        found = torch.autograd.grad(y, wanted, error)
        return found[0], None if bias is None else found[1]

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
        found: Tensor = _LinearFeedback.apply(x, weight, bias, feedback)  # type: ignore[no-untyped-call]  # torch's
        return found

    def transpose(self, error: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        return error @ (self.weight if weight is None else weight)


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
        found: Tensor = _ConvFeedback.apply(x, weight, bias, feedback, *self.shape)  # type: ignore[no-untyped-call]  # torch's
        return found

    def transpose(self, error: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        weight = self.weight if weight is None else weight
        return _convolution_backward(error, x, weight, False, self.shape, (True, False, False))[0]


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


def _convolution_backward(
    error: Tensor, x: Tensor, weight: Tensor, bias: bool, shape: tuple[Any, ...], mask: tuple[bool, bool, bool]
) -> tuple[Tensor, Tensor, Tensor]:
    stride, padding, dilation, groups = shape
    backward: Callable[..., tuple[Tensor, Tensor, Tensor]] = torch.ops.aten.convolution_backward
    sizes = [error.shape[1]] if bias else None
    return backward(error, x, weight, sizes, stride, padding, dilation, False, [0, 0], groups, list(mask))


class _LinearFeedback(torch.autograd.Function):
    """linear(x, W, b) whose error returns through B."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None, feedback: Tensor) -> Tensor:
        return linear(x, weight, bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, _, _, feedback = inputs
        ctx.save_for_backward(x, feedback)

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:
        x, feedback = ctx.saved_tensors
        wants_x, wants_weight, wants_bias, _ = ctx.needs_input_grad
        flat = error.flatten(0, -2)
        # Under autocast the error is of a narrower type than weights and inputs.
        return (
            error @ feedback.to(error) if wants_x else None,
            flat.T @ x.flatten(0, -2).to(error) if wants_weight else None,
            flat.sum(0) if wants_bias else None,
            None,
        )


class _ConvFeedback(torch.autograd.Function):
    """conv2d(x, W, b) whose error returns through B; torch's own kernel, given B for the input's share."""

    @staticmethod
    def forward(
        x: Tensor, weight: Tensor, bias: Tensor | None, feedback: Tensor, *shape: Any
    ) -> Float[Tensor, "batch channel height width"]:
        return conv2d(x, weight, bias, *shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, _, _, feedback, *shape = inputs
        ctx.save_for_backward(x, feedback)
        ctx.shape = tuple(shape)

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:
        x, feedback = ctx.saved_tensors
        wanted = tuple(ctx.needs_input_grad[:3])
        # Under autocast the error is of a narrower type than weights and inputs.
        found = _convolution_backward(error, x.to(error), feedback.to(error), wanted[2], ctx.shape, wanted)
        return (*(value if wants else None for value, wants in zip(found, wanted, strict=True)), None, *[None] * 4)
