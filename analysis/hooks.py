"""What chosen modules of a network give out in a pass, taken by hooks that leave the network as it was.

While recording, every module is in evaluation mode (batch norms read what they remember, dropout passes) and no
gradient is kept. Afterwards, after an error too, hooks are gone and modes are back. Outputs are copied at once: a
module behind may work in place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..datasets.errors import WrongArgument

Calls = list[dict[str, Tensor]]  # of one module: for each call its tensors, by their places in the output


class Record:
    """What the watched modules gave out in one pass, in the order in which they were called."""

    def __init__(self) -> None:
        self.calls: dict[str, Calls] = {}

    def take(self, name: str, _module: nn.Module, _arguments: Any, output: Any) -> None:
        """A forward hook of torch's."""
        parts = {place: tensor.detach().clone() for place, tensor in _tensors(output, "", name)}
        self.calls.setdefault(name, []).append(parts)

    def outputs(self) -> dict[str, Tensor]:
        """Each tensor by its name.

        A module that gives one tensor in one call lends it its name. Otherwise "name[0]" or "name[key]" is a part of
        its output, "name:2" its second call.
        """
        found = {}
        for name, calls in self.calls.items():
            for k, parts in enumerate(calls, 1):
                call = f":{k}" if len(calls) > 1 else ""
                for place, tensor in parts.items():
                    found[f"{name}{call}{place if len(parts) > 1 else ''}"] = tensor
        return found


@contextmanager
def recording(network: nn.Module, names: Sequence[str]) -> Iterator[Record]:
    """Passes inside leave what the named modules give out, in the `Record`.

    Raises `WrongArgument` for a name that no module has, and inside for an output that holds something else than
    tensors (in tuples, lists or mappings).
    """
    modules = dict(network.named_modules())
    absent = [name for name in names if name not in modules]
    if absent:
        raise WrongArgument(f"no layer {', '.join(absent)}", "layers", f"One of: {', '.join(filter(None, modules))}.")
    record, handles = Record(), []
    modes = [(module, module.training) for module in network.modules()]
    try:
        for module, _ in modes:
            module.training = False  # past train(), which some networks use to change themselves
        handles = [modules[name].register_forward_hook(partial(record.take, name)) for name in names]
        with torch.no_grad():
            yield record
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes:
            module.training = mode


def leaves(network: nn.Module) -> list[str]:
    """Names of the modules that hold no other, in the order in which they are registered."""
    return [name for name, module in network.named_modules() if name and next(module.children(), None) is None]


def _tensors(output: Any, place: str, name: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(output, Tensor):
        yield place, output
    elif isinstance(output, Mapping):
        for key, part in output.items():
            yield from _tensors(part, f"{place}[{key}]", name)
    elif isinstance(output, tuple | list):
        for i, part in enumerate(output):
            yield from _tensors(part, f"{place}[{i}]", name)
    elif output is not None:
        kind = type(output).__name__
        raise WrongArgument(f"layer {name} gives a {kind}", "layers", "Choose layers that give tensors.")
