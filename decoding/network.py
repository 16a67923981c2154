"""The whole model, read in the direction of the data: responses -> latent -> text rate and text.

voxels (gate, noise) -> encoder -> posterior of the latent -> how much was said, what it is near to, and the
characters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..datasets.errors import WrongArgument
from .bottleneck import LatentBottleneck, Posterior, VoxelBottleneck
from .decoder import CharDecoder, Memory
from .encoder import ChannelEncoder, VolumeEncoder
from .text_features import TextEmbedding, similarity

MAX_LOG_SCALE = 4.6  # contrastive temperature of .01
MAX_LOG_COUNT = 5.0  # in 2 s: 74 characters per second, which nobody speaks
SAME_TIME = 1e-3  # s; headers round the repetition time


@dataclass(frozen=True)
class DataFacts:
    """What the network takes from its data: it is stored with the weights.

    `rows` of text in a window and `reach` rows after it; `grid` of the volumes and its `affine` in mm, or None where
    channels have no place;
    `mean_counts` words and characters per row in training; `repetition_time` in s.
    """

    subjects: tuple[str, ...]
    rows: int
    reach: int
    repetition_time: float
    n_channels: int
    n_text_features: int
    mean_counts: tuple[float, float]
    grid: tuple[int, int, int] | None = None
    affine: tuple[tuple[float, ...], ...] | None = None


@dataclass(frozen=True)
class NetworkSize:
    """Sizes of encoder and latent, and where there is a bottleneck.

    `width` and `places` concern volumes only. `openness` is the gates' value at
    the start, `smoothness` the width of what they share, in voxels, `lost` the share of voxels lost in a window.
    """

    n_features: int = 128
    hidden: int = 256
    width: int = 16
    places: int = 128
    dropout: float = 0.4
    on_voxels: bool = True
    on_latent: bool = True
    openness: float = 0.5
    smoothness: float = 1.0
    lost: float = 0.0

    def __post_init__(self) -> None:
        shares = 0 <= self.dropout < 1 and 0 <= self.lost < 1
        if min(self.n_features, self.hidden, self.width, self.places) < 1 or not shares:
            raise WrongArgument(
                f"n_features {self.n_features}, hidden {self.hidden}, width {self.width}, places {self.places}, "
                f"dropout {self.dropout}, lost {self.lost}",
                "model.size",
                "Give sizes of at least 1, and shares dropout and lost from 0 to below 1.",
            )


class BrainToTextNetwork(nn.Module):
    """Encoder, bottlenecks, text embedding, text-rate model and character decoder.

    Parameters
    ----------
    facts
        Shapes and people of the data.
    size
        Sizes and bottlenecks.
    decoder
        A character decoder, pre-trained or not.
    n_latent
        Features of the latent, as the decoder expects them.
    """

    def __init__(self, facts: DataFacts, size: NetworkSize, decoder: CharDecoder, n_latent: int) -> None:
        super().__init__()
        self.facts, self.size = facts, size
        people = len(facts.subjects)
        self.voxels: VoxelBottleneck | None = None
        self.encoder: VolumeEncoder | ChannelEncoder
        if facts.grid is None:
            self.encoder = ChannelEncoder(
                facts.n_channels, people, facts.reach, size.n_features, size.hidden, size.dropout
            )
        else:
            self.voxels = (
                VoxelBottleneck(facts.grid, people, size.openness, size.smoothness, size.lost)
                if size.on_voxels
                else None
            )
            self.encoder = VolumeEncoder(
                facts.grid, facts.reach, size.n_features, size.width, size.places, size.hidden, size.dropout
            )
        self.latent = LatentBottleneck(size.n_features, n_latent)
        self.text = TextEmbedding(facts.n_text_features, n_latent)
        self.counts = nn.Linear(n_latent, 2)
        nn.init.zeros_(self.counts.weight)
        self.counts.bias.data = torch.tensor(facts.mean_counts).log()
        self.log_scale = nn.Parameter(torch.tensor(3.0))
        self.decoder = decoder

    def posterior(self, responses: Tensor, subject: Int[Tensor, " batch"]) -> Posterior:
        """Of rows (batch rows channel), or of volumes (batch rows x y z) where there is a grid.

        Channels that a person does not have are 0.
        """
        if self.facts.grid is None:
            responses = nn.functional.pad(responses, (0, self.facts.n_channels - responses.shape[-1]))
        if self.voxels is not None:
            responses = self.voxels(responses, subject)
        posterior: Posterior = self.latent(
            self.encoder(responses, subject) if self.facts.grid is None else self.encoder(responses)
        )
        return posterior

    def expected_counts(self, latent: Float[Tensor, "batch time feature"]) -> Float[Tensor, "batch time 2"]:
        """Words and characters expected in each row, at most as many as its length in s allows."""
        most = MAX_LOG_COUNT + math.log(self.facts.repetition_time / 2)
        expected: Tensor = self.counts(latent).clamp(-6, most).exp()
        return expected

    def memory(self, latent: Float[Tensor, "batch time feature"]) -> Memory:
        """What the decoder looks at; each row's centre is where its text is expected."""
        characters = self.expected_counts(latent)[..., 1].detach()
        return Memory(latent, characters.cumsum(dim=1) - 0.5 * characters)

    def logits(
        self, latent: Float[Tensor, "row time feature"], embedding: Float[Tensor, "column time feature"]
    ) -> Float[Tensor, "row column"]:
        """Scaled similarity for the contrastive loss."""
        return self.log_scale.clamp(max=MAX_LOG_SCALE).exp() * similarity(latent, embedding)
