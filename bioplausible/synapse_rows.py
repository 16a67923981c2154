"""A synapse's inputs and outputs as rows of a matrix: a row for each sample and place, a column for each tap or unit.

In rows every synapse is a matrix product, y = x W^T in each group, with W (group unit tap): a convolution's taps are
the pixels of a patch.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import unfold

from .synapse import ConvSynapse, Synapse


def groups_of(synapse: Synapse) -> int:
    """Groups of a convolution, each with inputs and units of its own; 1 for any other synapse."""
    return int(synapse.shape[3]) if isinstance(synapse, ConvSynapse) else 1


def unit_axis(synapse: Synapse) -> int:
    """Where the units are in the output (batch ...): the channels of a convolution, else the last axis."""
    return 1 if isinstance(synapse, ConvSynapse) else -1


def input_rows(synapse: Synapse, x: Tensor) -> Float[Tensor, "group row tap"]:
    """What each unit at each place sums."""
    if not isinstance(synapse, ConvSynapse):
        return x.flatten(0, -2)[None]
    stride, padding, dilation, groups = synapse.shape
    patches = unfold(x, synapse.weight.shape[2:], dilation, padding, stride)  # (batch, channel tap, place)
    n_taps = patches.shape[1] // groups
    return patches.movedim(1, 2).reshape(-1, groups, n_taps).movedim(1, 0)


def output_rows(synapse: Synapse, y: Tensor) -> Float[Tensor, "group row unit"]:
    """What each unit at each place gives (or an error there)."""
    rows = y.movedim(unit_axis(synapse), -1).flatten(0, -2)
    groups = groups_of(synapse)
    return rows.reshape(len(rows), groups, rows.shape[1] // groups).movedim(1, 0)


def without_bias(synapse: Synapse, y: Tensor) -> Tensor:
    """W * x of an output y = W * x + b, in its shape."""
    if synapse.bias is None:
        return y
    axis = unit_axis(synapse)
    return (y.movedim(axis, -1) - synapse.bias.detach()).movedim(-1, axis)


def weight_rows(synapse: Synapse) -> Float[Tensor, "group unit tap"]:
    """The weight, without its history."""
    weight, groups = synapse.weight.detach().flatten(1), groups_of(synapse)
    return weight.reshape(groups, len(weight) // groups, weight.shape[1])
