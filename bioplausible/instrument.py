"""Watching and tampering with a network under a learning rule.

The instrument stands at the `Layer` interface. A watched synapse has two copies of its weight: what passes *forward*
uses one, and whatever else reads the weight (the way back of an error, a transposed product, an attribute) sees the
other. While both are equal nothing changes. Change the second alone, and an update that moves has read it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .layer import Feedback, Layer, Trace
from .network import Network
from .synapse import EmbeddingSynapse, Synapse


@dataclass(frozen=True)
class Event:
    """Something that a rule did at a layer: `kind` is forward, pull_back, transpose, correlate or crossing."""

    kind: str
    layer: int
    to_input: bool = False


@dataclass
class Log:
    """What happened during an update, in order, and which layers were sent errors of which signs."""

    events: list[Event] = field(default_factory=list)
    errors: dict[int, tuple[float, float]] = field(default_factory=dict)

    def note(self, kind: str, layer: int, to_input: bool = False) -> None:
        self.events.append(Event(kind, layer, to_input))

    def note_error(self, layer: int, error: Tensor) -> None:
        low, high = self.errors.get(layer, (0.0, 0.0))
        self.errors[layer] = min(low, float(error.min())), max(high, float(error.max()))

    def count(self, kind: str, layer: int) -> int:
        """How often something happened at a layer."""
        return sum(event.kind == kind and event.layer == layer for event in self.events)


def watch(network: Network) -> Log:
    """Watch a network in place (give a copy) and return its log; the network computes what it did before."""
    log = Log()
    for place, layer in enumerate(network):
        for synapse in layer.synapses:
            if not isinstance(synapse, EmbeddingSynapse):
                _become(synapse, _WatchedSynapse, log, place)
                object.__setattr__(synapse, "passed", synapse.weight.detach().clone())
        _become(layer, _WatchedLayer, log, place)
    return log


def _become(module: Any, mixin: type, log: Log, place: int) -> None:
    """Make an object one of a subclass of its own class that also notes what is done with it."""
    module.__class__ = type(f"Watched{type(module).__name__}", (mixin, type(module)), {})
    object.__setattr__(module, "log", log)
    object.__setattr__(module, "place", place)


@contextmanager
def read_as(synapse: Synapse, weight: Tensor) -> Iterator[None]:
    """Within, everything but the forward pass reads this weight in the synapse's place."""
    kept = synapse.weight.detach().clone()
    with torch.no_grad():
        synapse.weight.copy_(weight)
    try:
        yield
    finally:
        with torch.no_grad():
            synapse.weight.copy_(kept)


@contextmanager
def changed(synapse: Synapse, weight: Tensor) -> Iterator[None]:
    """Within, the synapse has this weight for all purposes."""
    kept: Tensor = synapse.__dict__["passed"]
    object.__setattr__(synapse, "passed", weight)
    try:
        with read_as(synapse, weight):
            yield
    finally:
        object.__setattr__(synapse, "passed", kept)


class _WatchedSynapse(Synapse):
    log: Log
    place: int
    passed: Tensor

    def forward(self, x: Tensor) -> Tensor:
        # An error that returns reads `weight` (or feedback), not what was passed.
        feedback = self.weight.detach().clone() if self.feedback is None else self.feedback
        return self._pass(x, feedback)

    def drive(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if weight is self.weight:
            return self._pass(x, self.weight.detach().clone())
        return super().drive(x, weight, bias)  # type: ignore[safe-super]  # the watched class is next in line

    def _pass(self, x: Tensor, feedback: Tensor) -> Tensor:
        self.log.note("forward", self.place)
        value = self.weight + (self.passed - self.weight).detach()
        return self.drive_with_feedback(x, value, self.bias, feedback)

    def transpose(self, error: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        self.log.note("transpose", self.place)
        return super().transpose(error, x, weight)  # type: ignore[safe-super]  # as above

    def correlate(self, x: Tensor, error: Tensor) -> tuple[Tensor, Tensor | None]:
        self.log.note("correlate", self.place)
        return super().correlate(x, error)  # type: ignore[safe-super]  # as above


class _WatchedLayer(Layer):
    log: Log
    place: int

    def forward(self, x: Tensor) -> Tensor:
        if x.grad_fn is not None:  # what made the input is still attached to it
            x = _Crossing.apply(x, self.log, self.place)  # type: ignore[no-untyped-call]  # torch's
        return super().forward(x)

    def record(self, x: Tensor, feedback: Feedback | None = None, returns: bool = True) -> Trace:
        trace = super().record(x, feedback, returns)
        trace.__class__ = _WatchedTrace
        return trace


class _WatchedTrace(Trace):
    def pull_back(
        self, error: Tensor, to_input: bool = True, to_weights: bool = True, keep: bool = False
    ) -> Tensor | None:
        layer: Any = self.layer
        layer.log.note("pull_back", layer.place, to_input and self.x.requires_grad)
        layer.log.note_error(layer.place, error)
        return super().pull_back(error, to_input, to_weights, keep)


class _Crossing(torch.autograd.Function):
    """The identity; notes when a gradient passes from a layer to the one before it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, log: Log, place: int) -> Tensor:
        ctx.log, ctx.place = log, place
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor, None, None]:
        ctx.log.note("crossing", ctx.place)
        ctx.log.note_error(ctx.place - 1, error)
        return error, None, None
