"""Patterns of conditions, read a few channels at a time in double precision; repetitions averaged."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int
from torch import Tensor

from ..datasets.errors import BrokenData

# Blocks (row channel), one after the other over the channels.
Blocks = Callable[[], Iterator[Float64[Tensor, "row channel"]]]

VALUES = 2**19  # of a block: what is computed from it, in double, stays near the processor
FEWEST = 32  # channels of a block, however many rows it has: single columns are slow to read


@dataclass(frozen=True, eq=False)
class PatternBlocks:
    """Rows of `values` (observation channel), averaged into `n` groups.

    Parameters
    ----------
    values
        Of any real type, anywhere, also mapped from disk; read a block of channels at a time.
    groups
        Group of each observation; None where observation and group are one and the same.
    device
        Where blocks are put.
    names, where
        What an error calls a group (its number by default) and the whole.

    Reading raises `BrokenData` where a value is not finite.
    """

    values: Tensor
    groups: Int[Tensor, " observation"] | None
    n: int
    device: torch.device | str = "cpu"
    names: Sequence[str] = ()
    where: str = "patterns"

    @property
    def n_channels(self) -> int:
        return int(self.values.shape[1])

    def name(self, group: int) -> str:
        """What an error calls the group."""
        return repr(self.names[group]) if self.names else str(group)

    def counts(self) -> Float64[Tensor, " group"]:
        """Observations in each group."""
        if self.groups is None:
            return torch.ones(self.n, dtype=torch.float64, device=self.device)
        return torch.bincount(self.groups, minlength=self.n).double().to(self.device)

    def spans(self, values: int = VALUES) -> Iterator[tuple[int, int]]:
        """First channel of each block of so many values, and the first of the next."""
        width = max(FEWEST, values // max(len(self.values), self.n))
        return ((start, min(start + width, self.n_channels)) for start in range(0, self.n_channels, width))

    def sums(self, start: int, stop: int) -> Float64[Tensor, "group channel"]:
        """Sums of the groups' observations over the channels from `start` until before `stop`."""
        block = self.values[:, start:stop].to(self.device, torch.float64)
        if not bool(block.sum().isfinite()):
            raise self._not_finite(block, start)
        if self.groups is None:
            return block
        total = torch.zeros(self.n, block.shape[1], dtype=torch.float64, device=block.device)
        return total.index_add_(0, self.groups.to(block.device), block)

    def means(self, start: int, stop: int) -> Float64[Tensor, "group channel"]:
        """The groups' means over the channels from `start` until before `stop`."""
        sums = self.sums(start, stop)
        return sums if self.groups is None else sums / self.counts()[:, None]

    def blocks(self) -> Iterator[Float64[Tensor, "group channel"]]:
        """The groups' means, block by block."""
        return (self.means(start, stop) for start, stop in self.spans())

    def _not_finite(self, block: Float64[Tensor, "observation channel"], first: int) -> BrokenData:
        row, channel = ((~block.isfinite()).nonzero().tolist() or [[0, 0]])[0]
        group = row if self.groups is None else int(self.groups[row])
        return BrokenData(
            f"channel {first + channel} of condition {self.name(group)} is {block[row, channel].item()}",
            self.where,
            "Leave channels that are not finite out, or mask the voxels without signal.",
        )


def as_tensor(values: np.ndarray | Tensor, where: str) -> Tensor:
    """The array as a tensor, without a copy where torch knows its type and strides.

    Raises `BrokenData` for what is not two-dimensional, has no channels, or does not hold real numbers.
    """
    if values.ndim != 2 or values.shape[1] == 0:
        raise BrokenData(
            f"patterns have shape {tuple(values.shape)}", where, "Give an array (condition channel) with channels."
        )
    tensor = values.detach() if isinstance(values, Tensor) else _shared(values, where)
    if tensor.is_complex():
        raise BrokenData(
            f"patterns are of the complex type {tensor.dtype}",
            where,
            "Give real numbers, for example the absolute values or real and imaginary parts as two channels.",
        )
    return tensor


def moments(blocks: Blocks) -> tuple[Float64[Tensor, " row"], Float64[Tensor, " row"]]:
    """Mean and sum of squares about it of each row, over all blocks (Chan, Golub & LeVeque 1983, eq. 2.1)."""
    count, mean, squares = 0, torch.zeros(()), torch.zeros(())
    for block in blocks():
        width = block.shape[1]
        here = block.mean(1)
        about = (block - here[:, None]).square().sum(1)
        if not count:
            count, mean, squares = width, here, about
            continue
        apart = here - mean
        squares = squares + about + apart.square() * (count * width / (count + width))
        mean = mean + apart * (width / (count + width))
        count += width
    return mean, squares


def _shared(values: np.ndarray, where: str) -> Tensor:
    if values.dtype.kind not in "biufc" and values.dtype.name != "bfloat16":
        raise BrokenData(f"patterns are of type {values.dtype}", where, "Give real numbers.")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # it is only read
            return torch.from_numpy(values)
    except (TypeError, ValueError):  # a type of another byte order or size, or strides that run backwards
        kind = np.complex128 if values.dtype.kind == "c" else np.float64 if values.itemsize > 4 else np.float32
        return torch.from_numpy(np.ascontiguousarray(values, dtype=kind))
