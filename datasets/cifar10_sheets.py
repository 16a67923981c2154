"""Sheets of CIFAR-10: lossless WebP pictures of 25 rows of 40 images, 1000 images of one class in the published order.

`<split>_<class>_<name>_<place of the first image>.webp`. Beside them `lossy.json` lists, as [class, place], the images
that were to be had as JPEG only, over all 60,000 of the set.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from .annex import require_content
from .errors import BrokenData, MissingData
from .labelled_images import Content

ROWS, COLUMNS, SIDE = 25, 40, 32
PER_SHEET = ROWS * COLUMNS
LOSSY = "lossy.json"


@dataclass(frozen=True, slots=True, order=True)
class Sheet:
    """One picture: its class and the place of its first image in the class."""

    label: int
    first: int
    path: Path


def sheet_paths(root: Path, split: str) -> list[Path]:
    """What looks like a sheet of the split."""
    return sorted(root.glob(f"{split}_*.webp"))


def read_sheets(root: Path, split: str, classes: Sequence[str]) -> Content:
    """Images class by class, labels and notes.

    Raises `MissingData` when the classes do not have the same sheets, `BrokenData` for a file that is no sheet.
    """
    sheets = sorted(_sheet(path, split, classes) for path in sheet_paths(root, split))
    _require_same_places(sheets, classes, root)
    images = np.concatenate([_pixels(sheet.path) for sheet in sheets])
    labels = np.repeat(np.array([sheet.label for sheet in sheets], np.int64), PER_SHEET)
    n_lossy = _n_lossy(root / LOSSY, split, sheets)
    return images, labels, (f"{n_lossy} {split} images come from lossy JPEGs",) if n_lossy else ()


def _sheet(path: Path, split: str, classes: Sequence[str]) -> Sheet:
    match = re.fullmatch(rf"{split}_(\d)_([a-z]+)_(\d{{4}})\.webp", path.name)
    if match is None or classes[int(match[1])] != match[2] or int(match[3]) % PER_SHEET:
        expected = f"{split}_0_{classes[0]}_0000.webp"
        raise BrokenData(f"not the name of a sheet such as {expected}", path, "Take it out of the folder.")
    return Sheet(int(match[1]), int(match[3]), path)


def _require_same_places(sheets: Sequence[Sheet], classes: Sequence[str], root: Path) -> None:
    places = [{sheet.first for sheet in sheets if sheet.label == label} for label in range(len(classes))]
    wanted = set().union(*places)
    lacking = [f"{name} {first:04d}" for name, here in zip(classes, places, strict=True) for first in wanted - here]
    if lacking:
        raise MissingData(f"sheets that other classes have: {', '.join(sorted(lacking))}", root, "Copy these too.")


def _pixels(path: Path) -> UInt8[np.ndarray, "image 3 height width"]:
    size = COLUMNS * SIDE, ROWS * SIDE
    try:
        # One format only, and the size is read before the pixels: no other decoder and no huge picture is reached.
        with Image.open(require_content(path), formats=["WEBP"]) as picture:
            if picture.size != size:
                raise _broken(f"a picture of {picture.size} pixels instead of {size}", path)
            pixels = np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise _broken(f"not a readable WebP picture: {error}", path) from error
    tiles = pixels.reshape(ROWS, SIDE, COLUMNS, SIDE, 3).transpose(0, 2, 4, 1, 3)
    return tiles.reshape(PER_SHEET, 3, SIDE, SIDE)


def _n_lossy(path: Path, split: str, sheets: Sequence[Sheet]) -> int:
    if not path.is_file():
        return 0
    here = {(sheet.label, sheet.first) for sheet in sheets}
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))[split]
        return sum((int(label), int(place) // PER_SHEET * PER_SHEET) in here for label, place in listed)
    except (ValueError, TypeError, KeyError) as error:
        raise BrokenData(f"not a list of [class, place] for {split}: {error!r}", path, "Copy it again.") from error


def _broken(what: str, path: Path) -> BrokenData:
    return BrokenData(what, path, "Copy the sheet again.")
