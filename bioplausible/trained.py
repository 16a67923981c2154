"""A trained network on disk: `model.safetensors` and `model.json`, without pickle."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from ..datasets.errors import BrokenData, MissingData
from ..datasets.whole_file import whole_file, write_text
from .network import Network
from .recipe import make
from .rule import LearningRule

FORMAT = 1


@dataclass(frozen=True)
class TrainedNetwork:
    """Network, rule, and the facts of its data (name, classes, mean and standard deviation of the pixels)."""

    network: Network
    rule: LearningRule
    facts: dict[str, Any]

    def save(self, folder: Path) -> None:
        """Write both files, the description last: a folder with it is complete."""
        weights = {name: value.contiguous() for name, value in _parts(self.network, self.rule).state_dict().items()}
        with whole_file(folder / "model.safetensors") as draft:
            save_file(weights, draft)
        described = {"format": FORMAT, "network": self.network.recipe, "rule": self.rule.recipe, "facts": self.facts}
        write_text(folder / "model.json", json.dumps(described, indent=1))

    @classmethod
    def load(cls, folder: Path) -> TrainedNetwork:
        """Rebuild what `save` wrote.

        Raises `MissingData` without the files, `BrokenData` for damaged ones, for another kind of model, and for a
        network that was made in code and cannot be rebuilt from its description.
        """
        path = folder / "model.json"
        if not path.is_file():
            raise MissingData("no trained network", path, "Give the folder of a finished run.")
        try:
            described: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            recipes = described["network"], described["rule"]
        except (ValueError, KeyError) as error:
            raise BrokenData(
                f"not a trained network: {error}", path, "Give the folder of a bioplausible run."
            ) from error
        if None in recipes:
            raise BrokenData("the network was made in code", path, "Make it again and load model.safetensors yourself.")
        network, rule = make(recipes[0]), make(recipes[1])
        rule.bind(network)
        try:
            _parts(network, rule).load_state_dict(load_file(folder / "model.safetensors"))
        except (SafetensorError, OSError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise BrokenData(f"weights do not fit: {reason}", folder / "model.safetensors", "Train again.") from error
        return cls(network, rule, described["facts"])


def _parts(network: Network, rule: LearningRule) -> nn.ModuleDict:
    return nn.ModuleDict({"network": network, "rule": rule})
