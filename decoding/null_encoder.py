"""The untrained encoder: a trained model whose way between responses and text is drawn anew."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import numpy as np
import torch

from ..datasets.errors import WrongArgument
from .brain_reading import BrainReader
from .encoding_decoder import EncodingDecoder, Person
from .encoding_reader import EncodingReader
from .network import BrainToTextNetwork
from .reading import Reader
from .trained import TrainedModel

ENCODING = ("voxels", "encoder", "latent")  # what lies between the responses and the latent


def untrained_reader(reader: BrainReader, seed: int) -> BrainReader:
    """A reader whose encoder was never trained; `seed` draws its weights."""
    if isinstance(reader, EncodingReader):
        return EncodingReader(unfitted(reader.model, seed), keep=False)
    if not isinstance(reader, Reader):
        raise WrongArgument(f"no untrained {type(reader).__name__}", "null battery", "Leave out the null `untrained`.")
    return Reader(untrained(reader.model, seed), reader.batch)


def unfitted(model: EncodingDecoder, seed: int) -> EncodingDecoder:
    """The decoder with encoding weights drawn anew, as large in each channel; noise and speech rate as fitted."""
    return replace(model, people={name: _unfitted(person, seed) for name, person in model.people.items()})


def _unfitted(person: Person, seed: int) -> Person:
    weights = person.encoding.weights
    drawn = np.random.default_rng(seed).normal(size=weights.shape)
    drawn *= np.linalg.norm(weights, axis=0) / np.linalg.norm(drawn, axis=0)
    return replace(person, encoding=replace(person.encoding, weights=drawn.astype(np.float32)))


def untrained(model: TrainedModel, seed: int) -> TrainedModel:
    """The model with fresh weights in gates, encoder and latent; text embedding, text rate and decoder as trained.

    Same architecture and sizes; `seed` draws the weights and leaves the global generator as it was. The trained model
    keeps its own weights.
    """
    trained = model.network
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        fresh = BrainToTextNetwork(trained.facts, trained.size, trained.decoder, model.decoder_size.n_latent).eval()
    network = copy(trained)
    network._modules = {
        **trained._modules,
        **{name: fresh._modules[name] for name in ENCODING if name in fresh._modules},
    }
    return replace(model, network=network)
