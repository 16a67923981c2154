"""A run whose network has a name of its own in tables: two widths of one class are two networks."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .feature_source import FeatureSource, Shape
from .rsa_config import RUN, made


class NamedNetwork:
    """The features of a run, under another name of its network.

    Parameters
    ----------
    run
        Folder of a finished run.
    network
        The name.
    run_source
        Class that reads the folder, given as its first argument.

    Raises what that class raises.
    """

    def __init__(self, run: str, network: str, run_source: str = RUN) -> None:
        self.source: FeatureSource = made({"class_path": run_source, "init_args": {"folder": run}})
        self.network = network

    def untrained_twin(self) -> FeatureSource:
        """The network's own, under the same name of the network."""
        twin = object.__new__(NamedNetwork)
        twin.source, twin.network = self.source.untrained_twin(), self.network  # type: ignore[attr-defined] # a run's
        return twin

    def descriptors(self) -> dict[str, Any]:
        """The run's, with the network's name in place of its class."""
        told = dict(self.source.descriptors())
        shown = [self.network, *(told[key] for key in ("data", "rule") if key in told)]
        return {**told, "network": self.network, "name": f"{' '.join(shown)} seed {told['seed']}"}

    def fingerprint(self) -> str:
        """The run's: the features are the same whatever they are called."""
        return self.source.fingerprint()

    def input_shape(self) -> Shape | None:
        """The run's."""
        return self.source.input_shape()

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """The run's."""
        return dict(self.source.features(images))
