"""BIDS files that belong to an image by inheritance, and the repetition time that its sidecars state.

Source: BIDS specification 1.10, "The Inheritance Principle": a file applies to every image at its level or below whose
entities include its own; the file nearest to the image wins.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nilearn.interfaces.bids import parse_bids_filename

from .errors import BrokenData, MissingData
from .nifti import BoldImage

SECONDS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6, "unknown": 1.0}
PLAUSIBLE = 0.1, 20.0  # s


def entities(path: Path) -> dict[str, str]:
    """Key-value pairs of a BIDS file name: sub-01_task-alice_bold.nii.gz -> {"sub": "01", "task": "alice"}."""
    return dict(parse_bids_filename(path.name)["entities"])


def inherited(root: Path, folder: Path, image: Mapping[str, str], ending: str) -> list[Path]:
    """Files called [..._]`ending` that apply to an image with these entities in `folder`, the nearest last.

    Only the folders on the way from `root` to `folder` are looked at.
    """
    levels = [root, *(root / part for part in reversed(folder.relative_to(root).parents)), folder]
    found = []
    for level in dict.fromkeys(levels):
        names = [path for path in level.glob(f"*{ending}") if path.name == ending or path.name.endswith(f"_{ending}")]
        apply = [path for path in names if entities(path).items() <= image.items()]
        found.extend(sorted(apply, key=lambda path: len(entities(path))))
    return found


def repetition_time(image: BoldImage, sidecars: list[Path]) -> float:
    """Seconds between volumes, as the sidecars say, or else the header where that is plausible (0.1 to 20 s).

    A header's 1.0 without a unit is what an unset field holds, and says nothing. Raises `MissingData` when neither
    tells, `BrokenData` when they disagree by more than 1% or a sidecar holds no positive number.
    """
    stated, written = _from_sidecars(sidecars), _from_header(image)
    if stated is None and written is None:
        raise MissingData(
            "the repetition time is not known",
            image.path,
            'Write a sidecar JSON file with {"RepetitionTime": seconds}.',
        )
    if stated is not None and written is not None and abs(stated - written) > 0.01 * stated:
        raise BrokenData(
            f"the sidecar says that the repetition time is {stated:g} s, the image's header {written:g} s",
            image.path,
            "Find out which is true and correct the other.",
        )
    return stated if stated is not None else float(written or 0)


def _from_sidecars(sidecars: list[Path]) -> float | None:
    merged: dict[str, tuple[Any, Path]] = {}
    for path in sidecars:
        merged |= {key: (value, path) for key, value in _read_json(path).items()}
    if "RepetitionTime" not in merged:
        return None
    value, path = merged["RepetitionTime"]
    if isinstance(value, bool) or not isinstance(value, int | float) or not PLAUSIBLE[0] <= value <= PLAUSIBLE[1]:
        raise BrokenData(
            f"RepetitionTime is {value!r}", path, f"Give seconds, between {PLAUSIBLE[0]:g} and {PLAUSIBLE[1]:g}."
        )
    return float(value)


def _from_header(image: BoldImage) -> float | None:
    value, unit = float(image.header.get_zooms()[3]), image.header.get_xyzt_units()[1]
    seconds = value * SECONDS.get(unit, float("nan"))
    unset = unit == "unknown" and value == 1.0
    return seconds if PLAUSIBLE[0] <= seconds <= PLAUSIBLE[1] and not unset else None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise BrokenData("the sidecar is not valid JSON", path, "Correct the file.") from error
    if not isinstance(content, dict):
        raise BrokenData("the sidecar does not hold a JSON object", path, "Correct the file.")
    return content
