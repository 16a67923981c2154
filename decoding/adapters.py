"""What of a trained encoder is allowed to change for a new person: few numbers, folded into its weights afterwards.

For a layer y = W x + b, linear or convolutional:
- `RepresentationEditing`: y' = s ⊙ y + t, a scale and a shift of every feature (Wu et al. 2024, "Advancing
  parameter-efficient fine-tuning via representation editing", arXiv 2402.15179; there after the feed-forward layers of
  a transformer, here after every layer of encoder and latent);
- `LowRank`: W' = W + B A with B A of small rank, B zero at the start (Hu et al. 2021, arXiv 2106.09685);
- `FullTuning`: all weights;
- `NoTuning`: none, for a person whose input layer alone is fitted.

All are linear in y, so that an adapted layer is again a layer: `fold` leaves a network of the trained one's shape.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ..datasets.errors import WrongArgument

Layer = nn.Linear | nn.Conv1d | nn.Conv3d


class Adapter(ABC):
    """Before the first step every layer gives what it gave."""

    name: str

    @abstractmethod
    def insert(self, layers: Iterable[Layer]) -> None:
        """Let the layers change, and nothing else of them: their weights are frozen unless they are what changes."""

    def fold(self, layers: Iterable[Layer]) -> None:
        """Put what was learned into weight and bias, and leave plain layers."""
        for layer in layers:
            for tensor in ("weight", "bias"):
                if parametrize.is_parametrized(layer, tensor):
                    parametrize.remove_parametrizations(layer, tensor, leave_parametrized=True)


class NoTuning(Adapter):
    """Leaves the trained layers alone."""

    name = "no tuning"

    def insert(self, layers: Iterable[Layer]) -> None:
        """Freeze them."""
        _freeze(layers)


class FullTuning(Adapter):
    """Every weight of the layers may change."""

    name = "full tuning"

    def insert(self, layers: Iterable[Layer]) -> None:
        """Free them."""
        for layer in layers:
            layer.requires_grad_(True)


class RepresentationEditing(Adapter):
    """A scale and a shift for every feature of every layer."""

    name = "representation editing"

    def insert(self, layers: Iterable[Layer]) -> None:
        """Freeze the weights and edit what comes out."""
        for layer in _freeze(layers):
            scale = nn.Parameter(torch.ones(len(layer.weight)))
            parametrize.register_parametrization(layer, "weight", _Scaled(scale))
            if layer.bias is not None:
                parametrize.register_parametrization(layer, "bias", _ScaledAndShifted(scale))


class LowRank(Adapter):
    """A change of small rank to every weight.

    Parameters
    ----------
    rank
        Of the change, at least 1. Raises `WrongArgument` below.
    seed
        Of A.
    """

    name = "low rank"

    def __init__(self, rank: int = 4, seed: int = 0) -> None:
        if rank < 1:
            raise WrongArgument(f"rank {rank}", "adapter", "Give 1 or more.")
        self.rank, self.seed = rank, seed

    def insert(self, layers: Iterable[Layer]) -> None:
        """Freeze the weights and add B A."""
        draws = torch.Generator().manual_seed(self.seed)
        for layer in _freeze(layers):
            parametrize.register_parametrization(layer, "weight", _Added(layer.weight, self.rank, draws))


def adaptable(*parts: nn.Module) -> list[Layer]:
    """The layers of these parts of a network, in their order."""
    return [layer for part in parts for layer in part.modules() if isinstance(layer, Layer)]


def _freeze(layers: Iterable[Layer]) -> list[Layer]:
    frozen = list(layers)
    for layer in frozen:
        layer.requires_grad_(False)
    return frozen


class _Scaled(nn.Module):
    def __init__(self, scale: nn.Parameter) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, weight: Float[Tensor, feature * rest]) -> Float[Tensor, feature * rest]:
        return weight * self.scale.view(-1, *[1] * (weight.ndim - 1))


class _ScaledAndShifted(nn.Module):
    def __init__(self, scale: nn.Parameter) -> None:
        super().__init__()
        self.scale, self.shift = scale, nn.Parameter(torch.zeros_like(scale))

    def forward(self, bias: Float[Tensor, " feature"]) -> Float[Tensor, " feature"]:
        return bias * self.scale + self.shift


class _Added(nn.Module):
    def __init__(self, weight: Tensor, rank: int, draws: torch.Generator) -> None:
        super().__init__()
        n_out, n_in = weight.flatten(1).shape
        self.a = nn.Parameter(torch.randn(rank, n_in, generator=draws) / n_in**0.5)
        self.b = nn.Parameter(torch.zeros(n_out, rank))

    def forward(self, weight: Float[Tensor, feature * rest]) -> Float[Tensor, feature * rest]:
        return weight + (self.b @ self.a).view_as(weight)
