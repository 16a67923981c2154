"""What neurons fired at since the last step, by class shown: what moves thresholds and assigns labels."""

from __future__ import annotations

import torch
import torch.distributed as dist
from jaxtyping import Float, Int
from torch import Tensor, nn


class SpikeRecord(nn.Module):
    """Spikes by class and neuron, and images shown by class, until they are taken."""

    responses: Tensor
    shown: Tensor

    def __init__(self, n_classes: int, n_neurons: int) -> None:
        super().__init__()
        self.register_buffer("responses", torch.zeros(n_classes, n_neurons))
        self.register_buffer("shown", torch.zeros(n_classes))

    def note(self, n_spikes: Float[Tensor, "batch neuron"], target: Int[Tensor, " batch"]) -> None:
        """Add a batch."""
        self.responses.index_add_(0, target, n_spikes.to(self.responses))
        self.shown += torch.bincount(target, minlength=len(self.shown))

    def take(self) -> tuple[Float[Tensor, "class neuron"], Float[Tensor, " class"]]:
        """Responses and images shown, over all processes; the record is empty afterwards."""
        found = over_processes(self.responses), over_processes(self.shown)
        self.responses.zero_()
        self.shown.zero_()
        return found


def over_processes(value: Tensor) -> Tensor:
    """The sum over all processes; a copy where there is one."""
    found = value.clone()
    if dist.is_initialized() and dist.get_world_size() > 1:
        dist.all_reduce(found)
    return found
