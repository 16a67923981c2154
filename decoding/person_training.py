"""A network that was trained on some people meets another one: an input layer for the new person, and an adapter.

Channels without a place (principal components) reach the trained trunk through a stem of the new person, which begins
as the functional alignment of what both heard; volumes of one grid need none, and have the group's voxel gates. Then
encoder and latent are tuned as far as the adapter lets them; text embedding, text rate and decoder stay as they are.
What comes out is a trained model with one person more, tuned to that person: those whom it knew are read through the
same encoder, and only without an adapter (`NoTuning`) as well as before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..datasets.errors import WrongArgument
from .adapters import Adapter, Layer, NoTuning, RepresentationEditing, adaptable
from .encoder import ChannelEncoder
from .network import BrainToTextNetwork
from .person_alignment import Alignment, RidgeAlignment
from .person_module import PersonWindows
from .training import BrainToText, Objective, Pace


class PersonToText(BrainToText):
    """The network of a `PersonWindows`' run, adapted.

    Parameters
    ----------
    adapter
        What of encoder and latent may change; representation editing by default.
    alignment
        Where the new person's stem begins; ridge by default.
    tuned_stem
        Whether the stem is tuned as well.
    objective, pace, seed
        As of `BrainToText`; of the pace only `encoder`, `weight_decay` and `warm_up` are used.
    """

    def __init__(
        self,
        adapter: Adapter | None = None,
        alignment: Alignment | None = None,
        tuned_stem: bool = False,
        objective: Objective | None = None,
        pace: Pace | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(None, objective, pace or Pace(weight_decay=0.0), seed)  # decay would pull scales to 0, not 1
        self.adapter, self.alignment, self.tuned_stem = (
            adapter or RepresentationEditing(),
            alignment or RidgeAlignment(),
            tuned_stem,
        )

    def configure_model(self) -> None:
        """The trained network with one person more."""
        if self.network is not None:
            return
        person = self._person()
        network = widened(person.parent.network, person.subject)
        network.requires_grad_(False)
        self.adapter.insert(_layers(network))
        for stem in _new_stem(network):
            stem.data = _aligned(person, network, self.alignment)
            # One that does not move must not count in the clipping; but where nothing else is free, the run needs it.
            stem.requires_grad_(self.tuned_stem or not _free(network))
        if not _free(network):
            raise WrongArgument("there is nothing to tune", "model.adapter", "Volumes have no stem; take an adapter.")
        self.size, self.network = network.size, network.train()

    def export(self, folder: Path) -> None:
        """Fold the adapter into the weights, and write the trained model and its maps."""
        network, person = self._network(), self._person()
        self.adapter.fold(_layers(network))
        person.tuned = not isinstance(self.adapter, NoTuning)
        super().export(folder)

    def _mapped(self) -> tuple[str, ...]:
        return (self._person().subject,)

    def _person(self) -> PersonWindows:
        person: Any = self._stories()
        assert isinstance(person, PersonWindows)
        return person

    def _groups(self) -> Iterator[dict[str, Any]]:
        network = self._network()
        stem = [one for one in _new_stem(network) if one.requires_grad]
        apart = {id(parameter) for parameter in stem}
        free = [one for one in _free(network) if id(one) not in apart]
        yield {"params": free, "lr": self.pace.encoder, "weight_decay": self.pace.weight_decay}
        yield {"params": stem, "lr": self.pace.encoder if self.tuned_stem else 0.0, "weight_decay": 0.0}


def widened(network: BrainToTextNetwork, subject: str) -> BrainToTextNetwork:
    """The network with one person more, to whom the voxel gates of the group belong, and a stem that is the identity.

    What it gives for the people it knew stays the same.
    """
    facts = replace(network.facts, subjects=(*network.facts.subjects, subject))
    new = BrainToTextNetwork(facts, network.size, network.decoder, network.latent.mean.out_features)
    weights = network.state_dict()
    if network.voxels is not None:
        deviation = weights["voxels.deviation"]
        weights["voxels.deviation"] = torch.cat([deviation, torch.zeros_like(deviation[:1])])
    missing, unexpected = new.load_state_dict(weights, strict=False)
    # Stems of one person's network were not there, and the new person's is not: both begin as the identity.
    assert not unexpected
    assert all(name.startswith("encoder.stems.") for name in missing)
    return new


def _layers(network: BrainToTextNetwork) -> list[Layer]:
    return adaptable(network.encoder, network.latent)


def _free(network: BrainToTextNetwork) -> list[nn.Parameter]:
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def _new_stem(network: BrainToTextNetwork) -> list[nn.Parameter]:
    """The last person's, where the encoder has stems."""
    return list(network.encoder.stems)[-1:] if isinstance(network.encoder, ChannelEncoder) else []


def _aligned(person: PersonWindows, network: BrainToTextNetwork, alignment: Alignment) -> torch.Tensor:
    """(channel channel), zero for channels that the person does not have; the identity where nothing is shared."""
    assert isinstance(network.encoder, ChannelEncoder)
    stem = torch.eye(network.facts.n_channels)
    if not person.own:
        return stem
    known = [one.detach().double().numpy() for one in network.encoder.stems]
    place = {who: i for i, who in enumerate(network.facts.subjects)}
    spaces = [
        [stretch @ known[place[who]][: stretch.shape[1]] for stretch in theirs] for who, theirs in person.others.items()
    ]
    space = [np.mean(parts, axis=0) for parts in zip(*spaces, strict=True)]
    found = alignment.fit(person.own, space)
    stem.zero_()
    stem[: len(found)] = torch.from_numpy(found).float()
    return stem
