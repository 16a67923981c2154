"""Any torch module as a source of features."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..datasets.errors import WrongArgument
from .feature_source import Shape
from .hooks import leaves, recording


class ModuleFeatures:
    """Outputs of chosen layers of a network, which stays as it is, where it is (on its own device).

    Parameters
    ----------
    network
        Its forward takes what `prepare` gives.
    layers
        Names as in `named_modules()`; by default every module that holds no other and is called. A layer that gives
        several tensors, or is called several times, gives several features (see `hooks.Record.outputs`).
    shape
        (channel, height, width) of the images that it reads; None where any will do.
    prepare
        From images (stimulus channel height width) of 0 to 1 to the network's input: standardising, above all.
    name
        Of the network; its class by default.
    descriptors
        More that its RDMs are to carry: `rule`, `seed`, `baseline`.

    Raises `WrongArgument` for unknown layers.
    """

    def __init__(
        self,
        network: nn.Module,
        layers: Sequence[str] | None = None,
        shape: Shape | None = None,
        prepare: Callable[[Tensor], Any] | None = None,
        name: str | None = None,
        **descriptors: Any,
    ) -> None:
        self.network, self.shape, self.prepare = network, shape, prepare
        self.layers = leaves(network) if layers is None else list(layers)
        self.chosen = layers is not None
        self.name, self.given = name or type(network).__name__, descriptors
        with recording(network, self.layers):
            pass  # unknown names are refused here, not hours later

    def descriptors(self) -> dict[str, Any]:
        """The name, and what was given."""
        return {"name": self.name, "network": self.name, **self.given}

    def fingerprint(self) -> str:
        """A digest of the structure, the weights and buffers, and the layers' names. Not of `prepare`."""
        digest = hashlib.sha256(repr((self.network, self.layers, self.shape)).encode())
        for name, value in self.network.state_dict().items():
            digest.update(name.encode())
            digest.update(_content(value))
        return digest.hexdigest()

    def input_shape(self) -> Shape | None:
        """As given."""
        return self.shape

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """Outputs (stimulus ...) by layer. Raises `WrongArgument` for a chosen layer that is never called."""
        x = images if self.prepare is None else self.prepare(images)
        with recording(self.network, self.layers) as record:
            self.network(self._moved(x))
        silent = [name for name in self.layers if name not in record.calls]
        if silent and (self.chosen or len(silent) == len(self.layers)):
            raise WrongArgument(
                f"layer {', '.join(silent)} is never called in a forward pass", "layers", "Choose layers that are."
            )
        return record.outputs()

    def _moved(self, x: Any) -> Any:
        """The input where the network is, in its precision; what is no tensor stays."""
        like = next((value for value in self.network.parameters() if value.is_floating_point()), None)
        if not isinstance(x, Tensor) or like is None:
            return x
        return x.to(like) if x.is_floating_point() else x.to(like.device)


def _content(value: Any) -> bytes:
    if not isinstance(value, Tensor):
        return repr(value).encode()
    return value.detach().cpu().flatten().contiguous().view(torch.uint8).numpy().tobytes()
