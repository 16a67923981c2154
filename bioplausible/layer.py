"""Layer: one synapse and one nonlinearity, and what it remembers of a pass.

A learning rule sees no layer type. It sees `forward(x)`, and `pull_back(x, error, feedback)`, which brings an error at
the layer's output to its input, through the weights or through feedback weights in their place. A `Trace` is a pass
whose intermediate values are kept, so that an error can be pulled back without computing them twice. The derivatives
inside one layer are torch's; between layers nothing flows but what a rule carries.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..datasets.errors import WrongArgument
from .synapse import Synapse

Feedback = Sequence[Tensor | None]  # a weight for each of a layer's synapses; None returns through the synapse itself


class Layer(nn.Module):
    """y = after(nonlinearity(synapse(before(x)))).

    Parameters
    ----------
    synapse
        The weights.
    nonlinearity
        Element-wise; none by default, as in a readout.
    before, after
        What carries values without weights of its own: flattening before, pooling after.
    """

    def __init__(
        self,
        synapse: Synapse,
        nonlinearity: nn.Module | None = None,
        before: nn.Module | None = None,
        after: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.before = before or nn.Identity()
        self.synapse = synapse
        self.nonlinearity = nonlinearity or nn.Identity()
        self.after = after or nn.Identity()
        refuse_in_place(self)

    def forward(self, x: Tensor) -> Tensor:
        """Output (batch ...) for an input (batch ...)."""
        found: Tensor = self.after(self.nonlinearity(self.synapse(self.before(x))))
        return found

    @property
    def synapses(self) -> list[Synapse]:
        """Every synapse in the layer, in the order of the pass; a plain layer has one."""
        return [module for module in self.modules() if isinstance(module, Synapse)]

    @property
    def plain(self) -> bool:
        """One synapse and one nonlinearity; False for a `Block`, inside which an error passes several synapses."""
        return True

    @contextmanager
    def through(self, feedback: Feedback | None) -> Iterator[None]:
        """Passes recorded inside return their errors through these weights."""
        synapses = self.synapses
        try:
            for synapse, weight in zip(synapses, feedback or [None] * len(synapses), strict=True):
                # Past nn.Module, which would take a rule's Parameter for one of the network's.
                object.__setattr__(synapse, "feedback", weight)
            yield
        finally:
            for synapse in synapses:
                object.__setattr__(synapse, "feedback", None)

    def record(self, x: Tensor, feedback: Feedback | None = None, returns: bool = True) -> Trace:
        """A pass whose intermediate values are kept; nothing flows back beyond its input.

        `returns=False` for a pass whose error will not be brought to the input: that third of the work is spared.
        """
        leaf = x.detach()
        if returns and leaf.is_floating_point():
            leaf.requires_grad_()
        with torch.enable_grad(), self.through(feedback):
            return Trace(self, leaf, self(leaf))

    def pull_back(self, x: Tensor, error: Tensor, feedback: Feedback | None = None) -> Tensor:
        """Bring the error at the output for input `x` to the input: W^T (phi'(W x + b) error), or with B for W."""
        found = self.record(x, feedback).pull_back(error, to_weights=False)
        assert found is not None
        return found


class Block(Layer):
    """Several synapses that a rule treats as one layer: a residual branch, attention, recurrence.

    Inside, an error passes from synapse to synapse; a rule that claims locality must say so of networks with blocks.
    """

    def __init__(self) -> None:
        nn.Module.__init__(self)

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    @property
    def plain(self) -> bool:
        return False


class Trace:
    """One pass of one layer: its input `x` (a leaf), its output `y`, and what lies between."""

    def __init__(self, layer: Layer, x: Tensor, y: Tensor) -> None:
        self.layer, self.x, self._y = layer, x, y

    @property
    def y(self) -> Tensor:
        """The output, cut from what made it."""
        return self._y.detach()

    def pull_back(
        self, error: Tensor, to_input: bool = True, to_weights: bool = True, keep: bool = False
    ) -> Tensor | None:
        """The error at the input; on the way each parameter's `.grad` gains what the error asks of it.

        Parameters
        ----------
        error
            At the output, in its shape.
        to_input
            False spares the way to the input; None is returned.
        to_weights
            False leaves the parameters' `.grad` alone.
        keep
            True allows another error to be pulled back through the same pass.
        """
        parameters = [p for p in self.layer.parameters() if p.requires_grad] if to_weights else []
        wants_input = to_input and self.x.requires_grad
        wanted = [*parameters, *([self.x] if wants_input else [])]
        if not wanted:
            return None
        found = torch.autograd.grad(self._y, wanted, error, retain_graph=keep, allow_unused=True)
        for parameter, gradient in zip(parameters, found, strict=False):
            if gradient is not None:
                add_gradient(parameter, gradient)
        return found[-1] if wants_input else None


def add_gradient(parameter: Tensor, gradient: Tensor) -> None:
    """Add to `.grad`: gradients of several passes, or of several batches, sum, in the parameter's own precision."""
    gradient = gradient.to(parameter.dtype)
    parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


def refuse_in_place(module: nn.Module) -> None:
    """Raise `WrongArgument` for an activation that overwrites its input: rules still read it."""
    for name, part in module.named_modules():
        if getattr(part, "inplace", False):
            raise WrongArgument(f"{type(part).__name__} works in place", name or "layer", "Set inplace=False.")
