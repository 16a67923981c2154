"""From responses to features: 3-D convolutions where there are volumes, linear stems where there are only channels.

Both encoders end in the same `TemporalTrunk`, which reads each row together with the rows of the haemodynamic reach
after it. One output type: (batch time feature), one row per row of text.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import gelu


class TemporalTrunk(nn.Module):
    """Rows plus reach to rows: a linear path beside a residual nonlinear one that starts at zero.

    The linear path alone is a regression on delayed responses, which is hard to beat with hours of data; the
    nonlinear path adds to it only what the training finds.
    """

    def __init__(self, n_inputs: int, reach: int, n_features: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Conv1d(n_inputs, n_features, reach + 1)
        self.first = nn.Conv1d(n_inputs, hidden, reach + 1)
        self.second = nn.Conv1d(hidden, hidden, 3, padding=1)
        self.out = nn.Conv1d(hidden, n_features, 1)
        self.dropout = nn.Dropout(dropout)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Float[Tensor, "batch rows channel"]) -> Float[Tensor, "batch time feature"]:
        x = self.dropout(x.transpose(1, 2))
        hidden = gelu(self.first(x))
        hidden = hidden + gelu(self.second(self.dropout(hidden)))
        features: Tensor = self.linear(x) + self.out(self.dropout(hidden))
        return features.transpose(1, 2)


class ChannelEncoder(nn.Module):
    """For responses without a mask (principal components, parcels): one linear stem per person, then the trunk.

    Channels of two people have nothing to do with each other: of an unseen person minutes are needed, from which a stem
    is found (`person_training`).
    """

    def __init__(
        self,
        n_channels: int,
        n_subjects: int,
        reach: int,
        n_features: int = 64,
        hidden: int = 256,
        dropout: float = 0.4,
    ) -> None:
        super().__init__()
        # With one person a stem would only repeat the trunk's own first layer.
        self.stems = nn.ParameterList(
            [nn.Parameter(torch.eye(n_channels)) for _ in range(n_subjects)] if n_subjects > 1 else []
        )
        self.trunk = TemporalTrunk(n_channels, reach, n_features, hidden, dropout)

    def forward(
        self, rows: Float[Tensor, "batch rows channel"], subject: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch time feature"]:
        if len(self.stems):
            rows = torch.bmm(rows, torch.stack(list(self.stems))[subject])
        features: Tensor = self.trunk(rows)
        return features


class ResidualBlock(nn.Module):
    """Two 3-D convolutions around which the input passes (He et al. 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(width, width, 3, padding=1)
        self.second = nn.Conv3d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Float[Tensor, "volume width x y z"]) -> Float[Tensor, "volume width x y z"]:
        out: Tensor = x + self.second(gelu(self.first(gelu(x))))
        return out


class VolumeEncoder(nn.Module):
    """3-D convolutions over each volume, then the trunk over time.

    Two strided convolutions with a residual block each, then a linear readout from every remaining place: pooling
    over space would throw away where the brain responded.
    `channels_last` is the faster memory format here by the ratio in docs/RESULTS.md, and on tensor cores.
    """

    def __init__(
        self,
        grid: tuple[int, int, int],
        reach: int,
        n_features: int = 64,
        width: int = 16,
        n_places: int = 128,
        hidden: int = 128,
        dropout: float = 0.2,
        channels_last: bool = True,
    ) -> None:
        super().__init__()
        self.memory_format = torch.channels_last_3d if channels_last else torch.contiguous_format
        self.space = nn.Sequential(
            nn.Conv3d(1, width, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Conv3d(width, 2 * width, 3, stride=2, padding=1),
            ResidualBlock(2 * width),
        ).to(memory_format=self.memory_format)  # type: ignore[call-overload]  # torch's stub knows only 2-D formats
        coarse = [(side + 3) // 4 for side in grid]
        self.places = nn.Linear(2 * width * coarse[0] * coarse[1] * coarse[2], n_places)
        self.trunk = TemporalTrunk(n_places, reach, n_features, hidden, dropout)

    def forward(self, volumes: Float[Tensor, "batch rows x y z"]) -> Float[Tensor, "batch time feature"]:
        flat = volumes.flatten(0, 1)[:, None].contiguous(memory_format=self.memory_format)
        places = self.places(self.space(flat).flatten(1))
        features: Tensor = self.trunk(places.view(*volumes.shape[:2], -1))
        return features
