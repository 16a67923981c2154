"""Passes in which each layer hears only the pattern of the layer below, not how strong it was.

x / sqrt(mean x^2) for each sample: from the length the next layer could read off what the layer below has already
decided (Hinton 2022, arXiv 2212.13345, section 2.1). The input is treated like any layer's output.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from .layer import Layer, Trace

SMALLEST = 1e-8  # mean square of a sample taken for silent


def without_length(x: Tensor) -> Tensor:
    """The sample (batch ...) scaled to a mean square of 1; a silent one stays silent."""
    mean_square = x.flatten(1).square().mean(1).view(-1, *[1] * (x.ndim - 1))
    return x * torch.rsqrt(mean_square + SMALLEST)


def outputs_without_length(layers: Iterable[Layer], x: Tensor) -> list[Tensor]:
    """Output of every layer in a chain, each given the one before it without its length."""
    outputs = []
    for layer in layers:
        x = layer(without_length(x))
        outputs.append(x)
    return outputs


def record_without_length(layers: Iterable[Layer], x: Tensor) -> list[Trace]:
    """The same pass, kept layer by layer; nothing flows back from one to the one below."""
    traces: list[Trace] = []
    for layer in layers:
        traces.append(layer.record(without_length(x)))
        x = traces[-1].y
    return traces
