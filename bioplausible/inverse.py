"""The way back through a layer that targets take: its synapse transposed, and the nonlinearity of the layer below.

    g_l(h) = phi_{l-1}(V_l^T h + c_l),   from the space of h_l to that of h_{l-1},   l = 2 ... L
V_l has the shape of the forward weight, and values of its own. So the inverse of a convolution is the transposed
convolution of the same stride, padding, dilation and groups, and lands on places of its input. What a layer does
without weights is undone without weights: flattening by its reverse, pooling by repeating a value over its window.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from .layer import Layer
from .network import Network
from .synapse_inputs import synapse_inputs


class Inverse(nn.Module):
    """Weights of g_l; the layers themselves are handed over at each call, so that they are nobody's twice.

    Parameters
    ----------
    layer
        Plain; what is to be undone.
    entry
        A blank input of its synapse (1 ...).
    draws
        For the weights, of standard deviation 1 / sqrt(units that one unit below sums); c starts at 0.
    learned
        Parameters if so, else buffers.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, layer: Layer, entry: Tensor, draws: torch.Generator, learned: bool) -> None:
        super().__init__()
        synapse = layer.synapses[0]
        like = synapse.weight.detach()
        n_below = entry.shape[1 if like.ndim == 4 else -1]
        weight = torch.randn(like.shape, generator=draws).to(like) / math.sqrt(like.numel() / n_below)
        bias = like.new_zeros(n_below, *[1] * (like.ndim - 2))
        self.drive_shape = synapse.drive(entry, like, None).shape[1:]
        for name, value in (("weight", weight), ("bias", bias)):
            if learned:
                self.register_parameter(name, nn.Parameter(value))
            else:
                self.register_buffer(name, value)

    def forward(self, value: Tensor, layer: Layer, below: Layer, x: Tensor) -> Tensor:
        """g(value), in the shape of the layer's input `x` (batch ...), which is read for its shape alone."""
        entry = layer.before(x.detach())
        drive = value if isinstance(layer.after, nn.Identity) else spread(value, self.drive_shape)
        returned = layer.synapse.transpose(drive, entry, self.weight) + self.bias
        found: Tensor = below.nonlinearity(spread(returned, x.shape[1:]))
        return found


def spread(value: Tensor, shape: torch.Size) -> Tensor:
    """A value (batch ...) in another shape of one sample: the same entries, or each repeated over its window."""
    if value.shape[1:].numel() == shape.numel():
        return value.reshape(len(value), *shape)
    return interpolate(value, shape[1:])


def make_inverses(network: Network, places: range, draws: torch.Generator, learned: bool) -> nn.ModuleDict:
    """An inverse of the layer at each place, by the place's number."""
    entries, layers = synapse_inputs(network), list(network)
    return nn.ModuleDict({str(i): Inverse(layers[i], entries[layers[i].synapses[0]], draws, learned) for i in places})


def downwards(network: Network, inverses: nn.ModuleDict) -> Iterator[tuple[int, Layer, Layer, Inverse]]:
    """Place, layer, layer below and inverse, wherever there is one, from the top down."""
    layers = list(network)
    for place in sorted(map(int, inverses), reverse=True):
        inverse = inverses[str(place)]
        assert isinstance(inverse, Inverse)
        yield place, layers[place], layers[place - 1], inverse


def carry_down(
    network: Network, inverses: nn.ModuleDict, outputs: list[Tensor], first: Tensor, difference: bool = True
) -> list[Tensor]:
    """Targets from the bottom on, `first` being the last: t_{l-1} = h_{l-1} + g_l(t_l) - g_l(h_l).

    Parameters
    ----------
    outputs
        h of every layer (batch ...).
    first
        The target of the highest layer that has an inverse.
    difference
        False is t_{l-1} = g_l(t_l).
    """
    found = [first]
    for place, layer, below, inverse in downwards(network, inverses):
        h = outputs[place - 1]
        goal = inverse(found[0], layer, below, h)
        found.insert(0, h + goal - inverse(outputs[place], layer, below, h) if difference else goal)
    return found


def reason_against_inverses(network: Network, places: range) -> str | None:
    """Why the layers at these places have no such inverse, or None."""
    shapes, entries = network.shapes(), synapse_inputs(network)
    for i, layer in enumerate(network):
        if not layer.plain:
            return f"layer {i + 1} is a block of several synapses, and an inverse has one"
        if i not in places:
            continue
        synapse = layer.synapses[0]
        entry = entries[synapse]
        drive = synapse.drive(entry, synapse.weight.detach(), None).shape[1:]
        if not (_spreads(shapes[i], drive) and _spreads(tuple(entry.shape[1:]), shapes[i - 1])):
            return f"layer {i + 1} changes shapes otherwise than by flattening and by pooling over windows"
    return None


def _spreads(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    windows = len(one) == len(other) == 3 and one[0] == other[0]
    return math.prod(one) == math.prod(other) or windows
