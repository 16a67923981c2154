"""The untrained encoder: a trained model whose way from the responses to the latent is drawn anew."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import torch

from .network import BrainToTextNetwork
from .trained import TrainedModel

ENCODING = ("voxels", "encoder", "latent")  # what lies between the responses and the latent


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
