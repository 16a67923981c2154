"""What gives features of images: a trained run, any torch module, a baseline. `activations` reads them all alike.

`analysis` knows no learning rule. What holds trained networks meets it here, named by class path in a config.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

Shape = tuple[int, int, int]  # channel, height, width


@runtime_checkable
class FeatureSource(Protocol):
    """Features by layer, of a batch of images at a time; the same for an image whatever else is in its batch."""

    def descriptors(self) -> Mapping[str, Any]:
        """What the RDMs carry: at least `name`, and as far as it has them `network, rule, seed, baseline`."""

    def fingerprint(self) -> str:
        """A text that differs where features would: weights, layers, settings. Extractions are kept under it."""

    def input_shape(self) -> Shape | None:
        """(channel, height, width) that images must have; None where any will do."""

    def features(self, images: Tensor) -> Mapping[str, Tensor]:
        """Each layer's features (stimulus ...) by its name, from the first layer on.

        Parameters
        ----------
        images
            (stimulus channel height width) of 0 to 1, in `input_shape`; stimuli that are no bytes, as they are.
        """
