"""What a study's people give in each region: RDMs, published or made of their patterns; and their mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs

from ..datasets.errors import MissingData
from ..datasets.image_study import ImageStudy
from .rdm import rdms


@dataclass(frozen=True, eq=False)
class Region:
    """One RDM a subject, and the patterns (condition channel) where the study has them."""

    rdms: RDMs
    patterns: list[Dataset] = field(default_factory=list)


def brain_regions(study: ImageStudy, names: Sequence[str] | None, method: str) -> dict[str, Region]:
    """Regions by name, all of the study's by default.

    Parameters
    ----------
    method
        Distance between patterns, where the study has no RDMs.

    Raises `MissingData` for an unknown region, and for one in which nobody has patterns.
    """
    wanted = list(names or study.regions)
    if "rdms" in study.gives():
        return {name: Region(study.rdms(name)) for name in wanted}
    found = {}
    for name in wanted:
        trials = _patterns(study, name)
        found[name] = Region(rdms(trials, method), [condition_mean(one) for one in trials])
    return found


def group_mean(data: RDMs) -> RDMs:
    """The mean RDM of a region's subjects, as one RDM: another target than the subjects, with a name of its own."""
    region = str(data.rdm_descriptors["region"][0])
    return RDMs(
        data.dissimilarities.mean(axis=0, keepdims=True),
        dissimilarity_measure=data.dissimilarity_measure,
        pattern_descriptors={"stimulus": list(data.pattern_descriptors["stimulus"])},
        rdm_descriptors={"region": [region], "name": [region]},
    )


def condition_mean(data: Dataset) -> Dataset:
    """Patterns with one row a condition, the mean of its observations; conditions are sorted by id."""
    ids, of = np.unique([str(one) for one in data.obs_descriptors["stimulus"]], return_inverse=True)
    sums = np.zeros((len(ids), data.measurements.shape[1]))
    np.add.at(sums, of, data.measurements)
    return Dataset(sums / np.bincount(of)[:, None], data.descriptors, {"stimulus": ids.tolist()})


def _patterns(study: ImageStudy, region: str) -> list[Dataset]:
    """Of every subject who has the region, named by subject."""
    found: list[Dataset] = []
    lacking: list[MissingData] = []
    for subject in study.subjects:
        try:
            one = study.patterns(subject, region)
        except MissingData as error:
            lacking.append(error)
            continue
        told = {**one.descriptors, "subject": subject, "region": region, "name": f"{region}, {subject}"}
        found.append(Dataset(one.measurements, told, one.obs_descriptors, one.channel_descriptors))
    if not found:
        raise lacking[0] if lacking else MissingData("the study has no subjects", study.root, "Look for its files.")
    return found
