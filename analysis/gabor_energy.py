"""Gabor energy: complex cells of a primary visual cortex, on a pyramid of scales.

Adelson & Bergen 1985, doi:10.1364/JOSAA.2.000284; a pyramid of Gabors as a model of V1 responses to photographs: Kay et
al. 2008, doi:10.1038/nature06713. At every scale, for orientation θ, with u = x cos θ + y sin θ along the wave,
    g(x, y) = exp(-(x² + y²) / 2σ²) exp(2πi u / λ),    energy = |g * L|
the even and the odd phase in quadrature, so energy does not change as an edge moves within the envelope. The image is
halved from scale to scale while the filter stays: λ = 4 pixels, σ = .56 λ (a bandwidth of one octave).
Deviations: round envelopes; the even filter is freed of its mean, so that a uniform image gives 0; energies are taken
at every second pixel, and are neither normalised by neighbours nor by scale (images of natural spectra give each about
the same).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, pad

from ..datasets.errors import WrongArgument
from .baselines import ImageBaseline
from .resize import Images, luminance

WAVELENGTH, SIGMA, RADIUS = 4.0, 2.24, 6  # in pixels of each scale
STRIDE = 2


class GaborEnergy(ImageBaseline):
    """Energies of all orientations and scales, one after the other (stimulus, channel).

    Parameters
    ----------
    size
        Pixels a side of the finest scale.
    n_orientations
        Evenly over half a turn, the first wave along x.
    n_scales
        Each of half the resolution of the one before.

    Raises `WrongArgument` where the coarsest scale has fewer than 8 pixels a side.
    """

    name = "Gabor energy"

    def __init__(self, size: int = 128, n_orientations: int = 8, n_scales: int = 4) -> None:
        super().__init__(size)
        if n_orientations < 1 or n_scales < 1 or size // 2 ** (n_scales - 1) < 8:
            what = f"{n_orientations} orientations and {n_scales} scales of {size} pixels"
            raise WrongArgument(what, self.name, "Give at least one of each, and the coarsest scale 8 pixels.")
        self.n_orientations, self.n_scales = n_orientations, n_scales

    def features(self, images: Images) -> dict[str, Tensor]:
        return {self.name: torch.cat([energy.flatten(1) for energy in self.energies(images)], 1)}

    def energies(self, images: Images) -> list[Float[Tensor, "stimulus orientation y x"]]:
        """By scale, from the finest on."""
        image, kernels = luminance(images), quadrature_pairs(self.n_orientations).to(images)
        found = []
        for scale in range(self.n_scales):
            image = avg_pool2d(image, 2) if scale else image
            responses = conv2d(pad(image, (RADIUS,) * 4, "replicate"), kernels, stride=STRIDE)
            even, odd = responses[:, : self.n_orientations], responses[:, self.n_orientations :]
            found.append(torch.hypot(even, odd))
        return found


def quadrature_pairs(n_orientations: int) -> Float[Tensor, "filter 1 y x"]:
    """The even filters of all orientations, then the odd ones; each of length 1, the even ones of mean 0."""
    place = torch.arange(-RADIUS, RADIUS + 1, dtype=torch.float32)
    y, x = torch.meshgrid(place, place, indexing="ij")
    angle = torch.arange(n_orientations)[:, None, None] * math.pi / n_orientations
    phase = 2 * math.pi / WAVELENGTH * (x * angle.cos() + y * angle.sin())
    envelope = torch.exp(-(x**2 + y**2) / (2 * SIGMA**2))
    even, odd = envelope * phase.cos(), envelope * phase.sin()
    even = even - envelope * (even.sum((1, 2), keepdim=True) / envelope.sum())
    filters = torch.cat([even, odd])[:, None]
    lengths: Tensor = torch.linalg.vector_norm(filters, dim=(1, 2, 3), keepdim=True)
    return filters / lengths
