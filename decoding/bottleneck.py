"""The information bottleneck: pay for every nat that passes, at the voxels and at the latent.

Tishby, Pereira & Bialek 1999: minimise distortion + beta * rate.
On the latent the rate is KL(q(z | responses) || p(z)) of a Gaussian posterior to a learned prior (Alemi et al. 2017,
"Deep variational information bottleneck", arXiv 1612.00410).
On the voxels a gate lambda in (0, 1) mixes each voxel with noise of the same mean and variance (Schulz et al. 2020,
"Restricting the flow", arXiv 2001.00396): x' = lambda x + (1 - lambda) e. For a z-scored voxel the rate averaged over
time is KL(N(lambda x, (1-lambda)^2) || N(0, 1)) = lambda^2 - lambda - log(1 - lambda) nats. Our deviation: the gate
belongs to the voxel (and person), not to one input, so the rates are a map of the responsive voxels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

LOG_VARIANCE = (-8.0, 8.0)  # beyond this range exp() of either sign is numerically useless


@dataclass(frozen=True, eq=False)
class Posterior:
    """Gaussian posterior of the latent: `mean` and `log_variance` (batch time feature), and the prior it is held to."""

    mean: Float[Tensor, "batch time feature"]
    log_variance: Float[Tensor, "batch time feature"]
    prior_mean: Float[Tensor, " feature"]
    prior_log_variance: Float[Tensor, " feature"]

    def sample(self) -> Float[Tensor, "batch time feature"]:
        """One draw per entry, with gradients to mean and variance."""
        return self.mean + torch.exp(0.5 * self.log_variance) * torch.randn_like(self.mean)

    def rate(self) -> Float[Tensor, "batch time"]:
        """KL to the prior in nats, closed form."""
        excess = self.log_variance - self.prior_log_variance
        squared = (self.mean - self.prior_mean) ** 2 / self.prior_log_variance.exp()
        return 0.5 * (excess.exp() + squared - 1.0 - excess).sum(dim=-1)


class LatentBottleneck(nn.Module):
    """(batch time feature) of the encoder to a `Posterior` over the latent."""

    def __init__(self, n_features: int, n_latent: int) -> None:
        super().__init__()
        self.mean = nn.Linear(n_features, n_latent)
        self.log_variance = nn.Linear(n_features, n_latent)
        self.prior_mean = nn.Parameter(torch.zeros(n_latent))
        self.prior_log_variance = nn.Parameter(torch.zeros(n_latent))
        # Starts nearly noiseless, so that the text can be found before anything has to be paid for.
        nn.init.zeros_(self.log_variance.weight)
        nn.init.constant_(self.log_variance.bias, -3.0)

    def forward(self, features: Float[Tensor, "batch time feature"]) -> Posterior:
        log_variance = self.log_variance(features).clamp(*LOG_VARIANCE)
        return Posterior(self.mean(features), log_variance, self.prior_mean, self.prior_log_variance)


class VoxelBottleneck(nn.Module):
    """A gate per voxel of the common grid, with a deviation for each person who was trained on.

    Parameters
    ----------
    grid
        (x, y, z) of the volumes.
    n_subjects
        People with a deviation of their own; an unseen person (index -1) has the group's gates.
    openness
        Gates at the start, in (0, 1).
    smoothness
        Standard deviation in voxels of the Gaussian by which the gates' logits are smoothed: neighbours respond
        alike, so they share what the training finds about them. 0 leaves every voxel to itself.
    lost
        Share of the voxels that are noise altogether in each training window, drawn anew: what one responsive voxel
        tells, its neighbours tell too, and without losses the gates would close on all but a few of them.
    """

    kernel: Tensor

    def __init__(
        self,
        grid: tuple[int, int, int],
        n_subjects: int,
        openness: float = 0.5,
        smoothness: float = 1.0,
        lost: float = 0.0,
    ) -> None:
        super().__init__()
        self.lost = lost
        start = torch.logit(torch.tensor(openness)).item()
        self.group = nn.Parameter(torch.full(grid, start))
        self.deviation = nn.Parameter(torch.zeros(n_subjects, *grid))
        self.register_buffer("kernel", _gaussian(smoothness), persistent=False)

    def gates(self, subject: Int[Tensor, " batch"]) -> Float[Tensor, "batch x y z"]:
        """lambda in (0, 1) of each person's voxels."""
        unseen = torch.zeros_like(self.group)[None]
        logits = smooth(self.group + torch.cat((self.deviation, unseen)), self.kernel)
        return torch.sigmoid(logits).clamp(max=1 - 1e-6)[subject]

    def forward(
        self, volumes: Float[Tensor, "batch time x y z"], subject: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch time x y z"]:
        """Mixed with noise in training; in evaluation the expectation, lambda x, so that decoding is deterministic."""
        gates = self.gates(subject)[:, None]
        if not self.training:
            return gates * volumes
        if self.lost:
            gates = gates * (torch.rand_like(volumes[:, :1]) >= self.lost)
        return gates * volumes + (1 - gates) * torch.randn_like(volumes)

    def rate(self, subject: Int[Tensor, " batch"]) -> Float[Tensor, "batch x y z"]:
        """Nats per voxel and row."""
        return voxel_rate(self.gates(subject))


def smooth(volumes: Float[Tensor, "batch x y z"], kernel: Float[Tensor, " tap"]) -> Float[Tensor, "batch x y z"]:
    """Convolved with the kernel along each axis; the edge goes on as it is."""
    reach = len(kernel) // 2
    padded = nn.functional.pad(volumes[:, None], (reach,) * 6, mode="replicate")
    for axis in range(3):
        shape = [1, 1, 1, 1, 1]
        shape[2 + axis] = len(kernel)
        padded = nn.functional.conv3d(padded, kernel.view(shape))
    return padded[:, 0]


def _gaussian(deviation: float) -> Float[Tensor, " tap"]:
    """A kernel that sums to 1 and reaches three standard deviations."""
    reach = math.ceil(3 * deviation)
    distance = torch.arange(-reach, reach + 1.0)
    kernel = torch.exp(-0.5 * (distance / max(deviation, 1e-6)) ** 2)
    return kernel / kernel.sum()


def voxel_rate(gate: Float[Tensor, "*voxel"]) -> Float[Tensor, "*voxel"]:
    """Nats that a gate passes of a z-scored voxel, averaged over its values."""
    return gate**2 - gate - torch.log1p(-gate)


def mean_inside(values: Float[Tensor, "batch x y z"], inside: Bool[Tensor, "batch x y z"]) -> Float[Tensor, ""]:
    """Mean over the voxels inside the masks."""
    return (values * inside).sum() / inside.sum()


@dataclass(frozen=True)
class BetaSchedule:
    """beta rises linearly from 0 to `final` between two shares of the training."""

    final: float
    begin: float = 0.1
    end: float = 0.6

    def __call__(self, progress: float) -> float:
        """beta after a share `progress` in [0, 1] of the training."""
        return self.final * min(1.0, max(0.0, (progress - self.begin) / (self.end - self.begin)))
