"""localizer: a real 4D BOLD run, one person seeing blocks of images of six categories (Sengupta et al. 2016).

Vision, not language: the study shows what a volume encoder and its voxel map do on real images.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import pandas as pd

from .bold import CleanedBold, Cleaning
from .errors import BrokenData, MissingData, WrongArgument
from .nifti import epi_mask, open_bold
from .study import Responses, Run, Study, Word

Resolution = Literal["6mm", "3mm"]
IMAGES: dict[Resolution, str] = {
    "6mm": "small_6mm_bold.nii.gz",
    "3mm": "sub-02_task-oneback_run-1_bold.nii.gz",
}
SUBJECT, STORY = "02", "oneback-run-1"
REPETITION_TIME = 2.0  # s
HIGH_PASS = 0.01  # Hz; blocks begin every 24 s, so what is above carries their signal
PAUSE = 2.0  # s; images of a block follow each other within 0.2 s, blocks rest 8 s


class Localizer(Study):
    """One run of subject "02": a block of 16 images of a category is one `Word`, its text the category.

    Responses are the voxels of the brain mask (nilearn's `compute_epi_mask`), detrended, high-pass filtered at 0.01 Hz
    and z-scored; the run carries the mask. Onsets are those of `events.tsv`: seconds after the first volume.

    Parameters
    ----------
    root
        Folder with `events.tsv` and the image.
    resolution
        "6mm" reads `small_6mm_bold.nii.gz` (2 x 2 x 2 block means), "3mm" the full image.
    """

    name = "localizer"
    url = "https://github.com/datalad/example-dicom-functional"
    doi = "10.1038/sdata.2016.93"
    licence = "PDDL-1.0"
    citation = "Sengupta, Kaule, Guntupalli, ..., Hanke (2016). Scientific Data 3:160093."
    language = "none"
    info: ClassVar[dict[str, Any]] = {
        "subjects": 1,
        "stories": 1,
        "rows": 156,
        "words": 12,
        "categories": ("body", "face", "house", "object", "scene", "scramble"),
    }

    def __init__(self, root: str | Path, resolution: Resolution = "6mm") -> None:
        super().__init__(root)
        if resolution not in get_args(Resolution):
            raise WrongArgument(f"no resolution {resolution!r}", "resolution", f"Choose one of: {', '.join(IMAGES)}.")
        self.image, self.events = self.root / IMAGES[resolution], self.root / "events.tsv"

    def subjects(self) -> list[str]:
        return [SUBJECT] if self.image.is_file() else []

    def stories(self, subject: str) -> list[str]:
        self._all_known([subject], self.subjects(), "subject")
        return [STORY]

    def run(self, subject: str, story: str, session: str = "") -> Run:
        """The run. Raises `MissingData` without image or events, `BrokenData` for files that cannot be read."""
        self._all_known([story], self.stories(subject), "story")
        image, mask = open_bold(self.image), epi_mask(self.image)
        cleaned = CleanedBold(image, mask, Cleaning(REPETITION_TIME, HIGH_PASS))
        responses = Responses(cleaned, mask)
        return Run(self.name, subject, story, REPETITION_TIME, responses, self._blocks, language=self.language)

    def sources(self, subject: str, story: str, session: str = "") -> list[Path]:
        return [self.image, self.events]

    def cache_key(self) -> dict[str, Any]:
        return super().cache_key() | {"high_pass": HIGH_PASS}

    @cached_property
    def _blocks(self) -> tuple[Word, ...]:
        """One word per block: images of one category that follow each other without a pause."""
        events = read_events(self.events)
        start, end = events["onset"], events["onset"] + events["duration"]
        blocks = pd.DataFrame({"text": events["trial_type"], "start": start, "end": end}).groupby(block_numbers(events))
        return tuple(
            Word(str(block["text"].iloc[0]), float(block["start"].iloc[0]), float(block["end"].max()))
            for _, block in blocks
        )


def block_numbers(events: pd.DataFrame) -> pd.Series[int]:
    """Number of the block, from 1, to which each event belongs; a block ends with its category or with a pause."""
    pause = events["onset"] - (events["onset"] + events["duration"]).shift()
    begins = (events["trial_type"] != events["trial_type"].shift()) | (pause > PAUSE)
    return begins.astype(int).cumsum()


def read_events(path: Path) -> pd.DataFrame:
    """onset and duration in s and trial_type, one row per image in the order of onset.

    Raises `MissingData` without the file or a column, `BrokenData` where a time is not a number.
    """
    if not path.is_file():
        raise MissingData("no events of the localizer", path, "Give --root the folder with events.tsv.")
    table = pd.read_csv(path, sep="\t", dtype={"trial_type": str})
    absent = [column for column in ("onset", "duration", "trial_type") if column not in table]
    if absent:
        raise MissingData(f"no column {', '.join(absent)}", path, "Take the file as it was published.")
    numbers = table[["onset", "duration"]].apply(pd.to_numeric, errors="coerce")
    if numbers.isna().any(axis=None):
        raise BrokenData("an onset or duration is not a number", path, "Take the file as it was published.")
    return table.assign(onset=numbers["onset"], duration=numbers["duration"]).sort_values("onset")
