"""localizer_images: the localizer's run as response patterns of six categories (Sengupta et al. 2016).

The run shows every category in two blocks of 16 images. Each block gets a regressor of its own, and the first and the
second block of every category are the two folds. Folds of one run share its drift and its noise, which bleeds into the
neighbouring block: distances between them are not as free of bias as those between runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from rsatoolbox.data import Dataset

from .errors import MissingData
from .glm import Glm
from .image_study import ImageStudy, Stimuli
from .localizer import REPETITION_TIME, STORY, Localizer, Resolution, block_numbers, read_events
from .nifti import epi_mask, open_bold
from .patterns import ConditionRun, Patterns, patterns
from .regions import region, voxel_series

BRAIN = "brain"


class LocalizerImages(ImageStudy):
    """Responses of subject "02" to body, face, house, object, scene and scramble in the voxels of a region.

    Parameters
    ----------
    root
        Folder with `events.tsv` and the image.
    resolution
        As in `Localizer`.
    masks
        Further regions: masks in the space of the image, by name. "brain" is nilearn's `compute_epi_mask`.
    glm
        The model of the run.
    """

    study = "localizer_images"
    url = Localizer.url
    doi = Localizer.doi
    licence = Localizer.licence
    citation = Localizer.citation
    info: ClassVar[dict[str, Any]] = {"subjects": 1, "categories": Localizer.info["categories"], "folds": 2}

    def __init__(
        self,
        root: str | Path,
        resolution: Resolution = "6mm",
        masks: Mapping[str, str | Path] | None = None,
        glm: Glm | None = None,
    ) -> None:
        super().__init__(root)
        self._recorded = Localizer(root, resolution)
        self._masks, self.glm = {name: Path(path) for name, path in (masks or {}).items()}, glm or Glm()

    @property
    def subjects(self) -> tuple[str, ...]:
        return tuple(self._recorded.subjects())

    @property
    def regions(self) -> tuple[str, ...]:
        return (BRAIN, *self._masks)

    def stimuli(self) -> Stimuli:
        """Raises `MissingData`: the images were not published with the recording, and conditions are categories."""
        raise MissingData(
            "the images of the localizer are not in this recording",
            self.root,
            "Compare its categories with a model RDM of your own.",
        )

    def patterns(self, subject: str, region: str) -> Dataset:
        """One row per category and fold, one channel per voxel. Raises as `run_patterns` does."""
        return self.run_patterns(subject, region).dataset

    def run_patterns(self, subject: str, region_name: str = BRAIN) -> Patterns:
        """Estimates of each category in its first ("1") and its second block ("2"); both have the noise of the run.

        Raises `MissingData` for an unknown subject or region, and as `regions.region` and `patterns.patterns` do.
        """
        self._known(subject, self.subjects, "subject")
        self._known(region_name, self.regions, "region")
        image = open_bold(self._recorded.image)
        mask = region(self._masks[region_name], image) if region_name != BRAIN else epi_mask(image.path)
        run = ConditionRun(
            STORY, voxel_series(image, mask), REPETITION_TIME, _folded(read_events(self._recorded.events))
        )
        told: dict[str, Any] = {"study": self.study, "subject": subject, "region": region_name}
        return patterns([run], mask, self.glm, **told, name=f"{region_name}, {subject}")


def _folded(events: pd.DataFrame) -> pd.DataFrame:
    """The events with their fold: which block of its category an image is in, counted from 1."""
    blocks = block_numbers(events)
    return events.assign(fold=blocks.groupby(events["trial_type"]).rank(method="dense").astype(int).astype(str))
