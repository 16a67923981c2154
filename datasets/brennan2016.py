"""brennan2016: 27 people hear chapter 1 of Alice in Wonderland; six regions, true word onsets (Brennan et al. 2016)."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from .archive import read_arrays
from .errors import BrokenData, MissingData, WrongArgument
from .standardise import Standardised
from .study import Responses, Run, Study, Word

STORY = "alice-chapter-1"
REPETITION_TIME = 2.0  # s
FIRST_ROW = 20.0  # s on the story's clock: the first ten volumes, silence, are not in the recording


class Brennan2016(Study):
    """Mean BOLD of LATL, RATL, LPTL, LIPL, LPreM and LIFG in 362 volumes, z-scored per run.

    Row i was acquired 20 + 2 i s into the story file, so word onsets are shifted by -20 s. The archive holds 28 people;
    those whose recording never varies (s33) cannot be used and are left out of `subjects()`, which leaves 27.

    Parameters
    ----------
    root
        Folder with `alice_roi.npz` and `words.tsv` (onset, offset in s, word).
    radius
        Of the regions, in mm: 6 or 10.
    """

    name = "brennan2016"
    url = "https://github.com/daandouwe/Thesis/tree/ec54039b6ac5ad7bf8c81b91768108e5be5c1ce0/brain-data"
    doi = "10.1016/j.bandl.2016.04.008"
    licence = "CC-BY-4.0"
    citation = "Brennan, Stabler, Van Wagenen, Luh & Hale (2016). Brain and Language 157-158:81-94."
    language = "en"
    info: ClassVar[dict[str, Any]] = {
        "subjects": 27,
        "unusable": ("s33",),
        "stories": 1,
        "rows": 362,
        "channels": 6,
        "words": 2127,
    }

    def __init__(self, root: str | Path, radius: Literal[6, 10] = 6) -> None:
        super().__init__(root)
        if radius not in (6, 10):
            raise WrongArgument(f"no regions of radius {radius} mm", "radius", "Choose 6 or 10.")
        self.radius = radius
        self.archive, self.transcript = self.root / "alice_roi.npz", self.root / "words.tsv"

    def subjects(self) -> list[str]:
        return sorted(self._recordings)

    def stories(self, subject: str) -> list[str]:
        self._all_known([subject], self.subjects(), "subject")
        return [STORY]

    def run(self, subject: str, story: str, session: str = "") -> Run:
        """The run. Raises `MissingData` for an unknown name, `BrokenData` for files that are not in the layout."""
        self._all_known([story], self.stories(subject), "story")
        rows = Standardised(self._recordings[subject], f"{self.archive}, {subject}")
        return Run(self.name, subject, story, REPETITION_TIME, Responses(rows), self._words, language=self.language)

    def sources(self, subject: str, story: str, session: str = "") -> list[Path]:
        return [self.archive, self.transcript]

    def cache_key(self) -> dict[str, Any]:
        return super().cache_key() | {"radius": self.radius}

    @cached_property
    def _recordings(self) -> dict[str, np.ndarray]:
        """Responses (time, channel) of everyone whose recording varies."""
        regions = f"roi{self.radius}mm"
        arrays = read_arrays(self.archive, {"subjects": "subject", regions: "subject time channel"})
        pairs = zip(arrays["subjects"].tolist(), arrays[regions], strict=True)
        return {str(subject): rows for subject, rows in pairs if rows.std(axis=0).any()}

    @cached_property
    def _words(self) -> tuple[Word, ...]:
        if not self.transcript.is_file():
            raise MissingData("no words of the story", self.transcript, "Give --root the folder with words.tsv.")
        # As text: pandas would take words such as "null" for missing.
        table = pd.read_csv(self.transcript, sep="\t", dtype=str, keep_default_na=False, quoting=3)
        if list(table.columns[:3]) != ["onset", "offset", "word"]:
            raise BrokenData(
                f"the columns are {', '.join(table.columns)}", self.transcript, "Give onset, offset and word."
            )
        times = table[["onset", "offset"]].apply(pd.to_numeric, errors="coerce").to_numpy(float) - FIRST_ROW
        words = zip(table["word"], times[:, 0].tolist(), times[:, 1].tolist(), strict=True)
        return tuple(Word(text, onset, offset) for text, onset, offset in words)
