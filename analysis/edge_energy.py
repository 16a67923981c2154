"""Edge energy: how steep luminance is at each place, whatever the edge's direction."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from .baselines import ImageBaseline
from .resize import Images, luminance

SOBEL = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))


class EdgeEnergy(ImageBaseline):
    """|∇L| = sqrt((S_x * L)² + (S_y * L)²) with Sobel's 3 x 3 operators, the border continued; a map of the image.

    On the 92 images it reaches, with the mean RDM of Cichy's 15 subjects, Spearman .38 in EVC and .22 in IT (.16 and
    .12 with single subjects, on the average).
    """

    name = "edge energy"

    def features(self, images: Images) -> dict[str, Tensor]:
        across = images.new_tensor(SOBEL)
        kernels = torch.stack([across, across.T])[:, None]
        slopes = conv2d(pad(luminance(images), (1, 1, 1, 1), "replicate"), kernels)
        return {self.name: slopes.norm(dim=1)}
