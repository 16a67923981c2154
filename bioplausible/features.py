"""What a trained run gives to `analysis`: activities after the rule's own inference; and the same network untrained.

It keeps `analysis.feature_source.FeatureSource`'s contract without importing it: the halves of the suite never see each
other, and meet in a config that names this class.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ..datasets.errors import WrongArgument
from ..datasets.labelled_images import image_class
from .network import Network
from .recipe import make
from .rule import LearningRule
from .trained import TrainedNetwork

Recipe = dict[str, Any]
Shape = tuple[int, int, int]  # channel, height, width


class TrainedFeatures:
    """Activities of every population of a run: "layer1", "layer2", ..., and "readout", the scores of the classes.

    Images are standardised as the run's training images were. They are read as `LearningRule.states` says: for most
    rules in a forward pass, for others when their inference is at rest, without a target.

    Parameters
    ----------
    folder
        Of a finished run (`model.json`).
    untrained
        Read the twin that never learned: the same recipe, weights newly drawn.
    seed
        Of the twin; by default the run's own, which gives the weights that it started from.
    name
        Of the run in tables; network, data, rule and seed by default.
    device
        Where to compute.

    Raises what `TrainedNetwork.load` raises, and `WrongArgument` for a run that reads no images and for a twin of a
    network that takes no seed.
    """

    def __init__(
        self,
        folder: str | Path,
        untrained: bool = False,
        seed: int | None = None,
        name: str | None = None,
        device: str = "cpu",
    ) -> None:
        self.folder, self.is_untrained, self.name, self.device = Path(folder), untrained, name, device
        if seed is not None and not untrained:
            raise WrongArgument(f"seed {seed} for trained weights", "seed", "Set `untrained`, or leave the seed out.")
        trained = TrainedNetwork.load(self.folder)
        self.data = trained.facts.get("dataset", "")
        self.shape, self.mean, self.deviation = _images(trained, self.folder)
        self.network, self.rule = trained.network, trained.rule
        self.seed = _seed(trained.network) if seed is None else seed
        if untrained:
            self.network, self.rule = _fresh(trained, self.seed)
        self.network.eval().to(device)
        self.rule.eval().to(device)

    def untrained_twin(self, seed: int | None = None) -> TrainedFeatures:
        """The same recipe with fresh weights; of the run's own seed by default, which is where it started."""
        name = self.name and f"{self.name} untrained"
        return TrainedFeatures(self.folder, True, seed, name, self.device)

    def descriptors(self) -> dict[str, Any]:
        """A `name`; `network, rule, seed, baseline`; the `data` it learned; whose `inference` is read.

        That is a forward pass, or a rule's own. The rule of an untrained network is "untrained". Baselines are such
        networks, and random features, whose readout alone is trained.
        """
        rule = "untrained" if self.is_untrained else self.rule.facts.name
        kind = type(self.network).__name__
        forward = type(self.rule).states is LearningRule.states
        return {
            "name": self.name or f"{kind} {self.data} {rule} seed {self.seed}",
            "network": kind,
            "data": self.data,
            "rule": rule,
            "seed": self.seed,
            "baseline": self.is_untrained or self.rule.facts.family == "baseline",
            "inference": "forward pass" if forward else self.rule.facts.name,
        }

    def fingerprint(self) -> str:
        """A digest of the run's files; of a twin, of its recipe and seed."""
        files = ["model.json"] if self.is_untrained else ["model.json", "model.safetensors"]
        digest = hashlib.sha256(json.dumps([self.is_untrained, self.seed]).encode())
        for name in files:
            digest.update((self.folder / name).read_bytes())
        return digest.hexdigest()

    def input_shape(self) -> Shape:
        """(channel, height, width) of the images that the run was trained on."""
        return self.shape

    def features(self, images: Float[Tensor, "stimulus channel height width"]) -> dict[str, Tensor]:
        """Activities (stimulus feature) by layer, for images of 0 to 1 in `input_shape`."""
        x = (images.to(self.device) - self.mean.to(self.device)) / self.deviation.to(self.device)
        with torch.no_grad():
            states = self.rule.states(self.network, x.reshape(len(x), *self.network.example))
        names = [*(f"layer{i}" for i in range(1, len(states))), "readout"]
        return {name: state.flatten(1) for name, state in zip(names, states, strict=True)}


def _images(trained: TrainedNetwork, folder: Path) -> tuple[Shape, Tensor, Tensor]:
    """Shape of the images that a run reads, and their mean and deviation by channel (channel 1 1)."""
    facts, example = trained.facts, trained.network.example
    if "mean" not in facts or "deviation" not in facts:
        raise WrongArgument("the run was not trained on images", folder, "Give the folder of a run on images.")
    channel, height, width = example if len(example) == 3 else image_class(facts["dataset"]).info["shape"]
    mean, deviation = (torch.tensor(facts[name])[:, None, None] for name in ("mean", "deviation"))
    return (channel, height, width), mean, deviation


def _seed(network: Network) -> int:
    """What the weights were drawn with."""
    given = (network.recipe or {"init_args": {}})["init_args"]
    return int(given.get("seed", _default_seed(type(network))))


def _default_seed(kind: type) -> int:
    parameter = inspect.signature(kind).parameters.get("seed")
    return 0 if parameter is None or parameter.default is parameter.empty else parameter.default


def _fresh(trained: TrainedNetwork, seed: int) -> tuple[Network, LearningRule]:
    """Network and rule made anew and bound, both with this seed."""
    network = make(_with_seed(trained.network.recipe, seed))
    rule = make(_with_seed(trained.rule.recipe, seed))
    rule.bind(network)
    return network, rule


def _with_seed(recipe: Recipe | None, seed: int) -> Recipe:
    assert recipe is not None  # it was loaded by its recipe
    module, _, name = recipe["class_path"].rpartition(".")
    kind = getattr(import_module(module), name)
    if "seed" not in inspect.signature(kind).parameters:
        raise WrongArgument(f"{name} takes no seed", "untrained", "Give its class a `seed` for its random weights.")
    return {**recipe, "init_args": {**recipe["init_args"], "seed": seed}}
