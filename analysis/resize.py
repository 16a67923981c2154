"""How a stimulus is shown to a network: grey or colour, at a stated resolution, then at the size that it reads.

Bilinear with antialiasing (each new pixel the weighted mean of all that it covers, as Pillow has it), so nothing of a
large photograph is skipped. Height and width are scaled each by itself: an image that is not square is squeezed.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from ..datasets.errors import WrongArgument
from .feature_source import Shape

LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601, as Pillow's "L" and Matlab's rgb2gray

Images = Float[Tensor, "stimulus _channel _height _width"]  # a change of size is no other type


def shown(stimuli: Shaped[np.ndarray, "stimulus ..."], shape: Shape | None, resolution: int | None = None) -> Tensor:
    """Stimuli as a source reads them: bytes (stimulus channel height width) become numbers of 0 to 1.

    Parameters
    ----------
    shape
        (channel, height, width) wanted; None leaves them as they are.
    resolution
        Pixels a side at which images are shown first: what is finer is lost. None for the size that is wanted.

    Stimuli that are no bytes (text, sound, images prepared elsewhere) pass as they are when neither is given.
    Raises `WrongArgument` for a resolution below 1, and for stimuli that are no images where one is needed.
    """
    if resolution is not None and resolution < 1:
        raise WrongArgument(f"resolution {resolution}", "resolution", "Give pixels a side, 1 or more.")
    # A copy: arrays that may not be written to make torch warn.
    x = torch.tensor(stimuli)
    if x.dtype != torch.uint8 or x.ndim != 4:
        if shape is None and resolution is None:
            return x
        what = f"stimuli of type {stimuli.dtype} and shape {stimuli.shape}"
        raise WrongArgument(what, "images", "Give bytes (stimulus, channel, height, width).")
    return _resized(x, shape, resolution)


def with_channels(x: Images, n_channels: int) -> Images:
    """Images with another number of channels: luminance of three, or the one grey channel three times.

    Raises `WrongArgument` for any other change.
    """
    if x.shape[1] == n_channels:
        return x
    if (x.shape[1], n_channels) == (3, 1):
        return luminance(x)
    if (x.shape[1], n_channels) == (1, 3):
        return x.expand(-1, 3, -1, -1)
    raise WrongArgument(
        f"{x.shape[1]} channels where {n_channels} are read", "images", "Give grey (1 channel) or RGB (3) images."
    )


def luminance(x: Images) -> Images:
    """One channel: .299 R + .587 G + .114 B; grey images stay. Raises `WrongArgument` for 2 channels, or over 3."""
    if x.shape[1] == 1:
        return x
    if x.shape[1] != 3:
        raise WrongArgument(f"{x.shape[1]} channels", "images", "Give grey (1 channel) or RGB (3) images.")
    return torch.einsum("schw,c->shw", x, x.new_tensor(LUMINANCE))[:, None]


def resized(x: Images, height: int, width: int) -> Images:
    """Images of another size."""
    if x.shape[2:] == (height, width):
        return x
    return interpolate(x, (height, width), mode="bilinear", align_corners=False, antialias=True)


def _resized(x: UInt8[Tensor, "stimulus channel height width"], shape: Shape | None, resolution: int | None) -> Images:
    found = x.float() / 255
    if shape is not None:
        found = with_channels(found, shape[0])
    if resolution is not None:
        found = resized(found, resolution, resolution)
    return found if shape is None else resized(found, *shape[1:])
