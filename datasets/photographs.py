"""Photographs in JPEG or PNG files as one array of bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from .annex import require_content
from .errors import BrokenData, WrongArgument

LARGEST = 8000  # pixels along a side; more is refused before it is decoded


def read_photographs(paths: Sequence[Path], side: int | None = None) -> UInt8[np.ndarray, "stimulus 3 height width"]:
    """Colours (red, green, blue) of the photographs, which must be of one size, or square where `side` is given.

    Parameters
    ----------
    side
        Pixels along each side of the result (Pillow's bicubic filter, antialiased); None keeps the published size.

    Raises `MissingData` for an absent file, `BrokenData` for one that is no photograph or of another size,
    `WrongArgument` for no file at all or a side below 1.
    """
    if not paths or (side is not None and side < 1):
        raise WrongArgument(f"{len(paths)} photographs of side {side}", "photographs", "Give files, and a side >= 1.")
    first = _pixels(paths[0], side)
    images = np.empty((len(paths), *first.shape), np.uint8)
    images[0] = first
    for place, path in enumerate(paths[1:], start=1):
        pixels = _pixels(path, side)
        if pixels.shape != first.shape:
            size, expected = pixels.shape[1:], first.shape[1:]
            raise BrokenData(f"{size} pixels instead of {expected}", path, "Take the images as published.")
        images[place] = pixels
    return images


def _pixels(path: Path, side: int | None) -> UInt8[np.ndarray, "3 height width"]:
    try:
        # Two formats only, and the size is read before the pixels: no other decoder and no huge picture is reached.
        with Image.open(require_content(path), formats=["JPEG", "PNG"]) as picture:
            if max(picture.size) > LARGEST or (side is not None and picture.width != picture.height):
                raise BrokenData(f"a picture of {picture.size} pixels", path, f"Squares up to {LARGEST} are read.")
            colours = picture.convert("RGB")
    except (OSError, ValueError, SyntaxError) as error:
        raise BrokenData(f"not a readable photograph: {error}", path, "Take the file as published.") from error
    if side is not None:
        colours = colours.resize((side, side), Image.Resampling.BICUBIC)
    return np.ascontiguousarray(np.asarray(colours).transpose(2, 0, 1))
