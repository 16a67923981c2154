"""things_fmri (OpenNeuro ds004192): three people see 8,740 photographs of objects in twelve sessions each.

Hebart, Contier, Teichmann, ..., Baker (2023, eLife 12:e82580). Read are the single-trial responses (betas of a GLM with
manually chosen ICA noise components) in the layouts that `things_tables` describes, known from the authors' usage notes
and from public code that reads them; the recordings themselves were not at hand.

100 photographs ("test") were shown once in every session, so that a session is a fold for cross-validation; the other
8,640 ("train", 12 of each of 720 concepts) were shown once in all.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from rsatoolbox.data.dataset import Dataset

from .errors import BrokenData, MissingData, WrongArgument
from .image_study import ImageStudy, Stimuli
from .photographs import read_photographs
from .remote import Estimate, RemoteFile, s3_files
from .things_tables import ThingsTables, find_tables

SPLITS = ("test", "train")
# Columns of the voxels' table that say where a voxel lies and how reliable it is; all others are regions.
NO_REGION = ("voxel_", "subject_id", "nc_", "splithalf_", "prf-")
N_VOXELS, N_TRIALS = 211_339, 9_840  # of subject 01, for the estimate of what is to come
PEOPLE = ("01", "02", "03")


class ThingsFmri(ImageStudy):
    """Responses of one voxel per channel, as published: nothing is averaged, standardised or left out.

    A region is a column of the voxels' table (V1, lFFA, glasser-TE1p, ...), or both hemispheres together (FFA for lFFA
    and rFFA). Ids are the names of the photographs without their ending (`candelabra_14s`).

    Parameters
    ----------
    root
        Folder with `betas_csv` or `derivatives/ICA-betas`.
    split
        "test": 100 photographs, shown in each session; "train": 8,640, shown once.
    images
        Folder with the photographs of THINGS, flat or one folder per concept; by default `object_images` in the root.
        They come from https://things-initiative.org under terms of their own and are not fetched.
    side
        Pixels along each side to which they are brought: they were published in several sizes.
    """

    study = "things_fmri"
    url = "https://openneuro.org/datasets/ds004192"
    doi = "10.7554/eLife.82580"
    licence = "CC0-1.0 (the recordings; the photographs have terms of their own)"
    citation = "Hebart, Contier, Teichmann, ..., Baker (2023). eLife 12:e82580."
    info: ClassVar[dict[str, Any]] = {
        "stimuli": {"test": 100, "train": 8_640},
        "subjects": len(PEOPLE),
        "sessions": 12,
        "trials": N_TRIALS,
    }
    bucket: ClassVar[str] = "https://s3.amazonaws.com/openneuro.org"

    def __init__(
        self, root: str | Path, split: str = "test", images: str | Path | None = None, side: int = 224
    ) -> None:
        super().__init__(root)
        if split not in SPLITS:
            raise WrongArgument(f"no split {split!r}", "split", f"Choose one of: {', '.join(SPLITS)}.")
        self.split, self.side = split, side
        self.images = Path(images) if images is not None else self.root / "object_images"

    @property
    def subjects(self) -> tuple[str, ...]:
        return tuple(self._tables)

    @property
    def regions(self) -> tuple[str, ...]:
        """Regions that every subject has."""
        each = [_regions(tables.voxel_columns()) for tables in self._tables.values()]
        return tuple(name for name in each[0] if all(name in others for others in each))

    @property
    def sessions(self) -> tuple[str, ...]:
        return tuple(sorted({label for subject in self.subjects for label in self._trials(subject)["run"]}))

    def stimuli(self) -> Stimuli:
        """The photographs of the split in the order of their ids, and the concept of each.

        Raises `MissingData` without the photographs, `BrokenData` when subjects did not see the same ones.
        """
        names = self._file_names()
        paths = [self._photograph(name) for name in names.values()]
        concepts = np.array([_concept(name) for name in names])
        return Stimuli(tuple(names), read_photographs(paths, self.side), {"concept": concepts})

    def patterns(self, subject: str, region: str) -> Dataset:
        """Responses (trial, voxel) to every trial of the split.

        `obs_descriptors`: stimulus; run, the session ("01" to "12"), in which a test photograph occurs once; scan, the
        run within it. `channel_descriptors`: voxel. Voxels without a finite response are left out, with a warning.

        Raises `MissingData` for an unknown subject or region, `BrokenData` when the files do not belong together.
        """
        tables = self._tables[self._known(subject, self.subjects, "subject")]
        members = _regions(tables.voxel_columns())
        voxels = tables.read_voxels(members[self._known(region, tuple(members), "region")])
        trials = self._trials(subject)
        rows = np.flatnonzero(_inside(voxels.drop(columns="voxel_id"), tables.voxels).any(axis=1))
        if not len(rows):
            raise MissingData(f"region {region!r} of subject {subject} has no voxels", tables.voxels, "Choose another.")
        ids = self._voxel_ids(tables, voxels)
        responses = tables.read_responses(rows, trials.index.to_numpy(), (len(voxels), self._n_trials(subject)))
        finite = np.isfinite(responses).all(axis=0)
        if not finite.all():
            left = f"{(~finite).sum()} of {len(rows)} voxels of {region}, subject {subject}, are not finite"
            warnings.warn(f"{left}: they are left out", stacklevel=2)
        return Dataset(
            responses[:, finite].astype(np.float64),
            descriptors={"subject": subject, "session": "", "region": region, "name": f"{region}, {subject}"},
            obs_descriptors={name: trials[name].tolist() for name in ("stimulus", "run", "scan")},
            channel_descriptors={"voxel": ids[rows[finite]].tolist()},
        )

    @classmethod
    def remote_files(cls, subjects: Sequence[str]) -> list[RemoteFile]:
        """The three files of each subject, as OpenNeuro's public bucket lists them now."""
        if not subjects:
            raise WrongArgument("no subject named", "--subject", f"Name one or more of {', '.join(PEOPLE)}.")
        found = []
        for subject in (name.removeprefix("sub-") for name in subjects):
            folder = f"ds004192/derivatives/ICA-betas/sub-{subject}/voxel-metadata/"
            files = s3_files(cls.bucket, folder, strip="ds004192/")
            if not files:
                there = f"There are {', '.join(PEOPLE)}."
                raise MissingData(f"no responses of subject {subject} at OpenNeuro", cls.url, there)
            found += files
        return found

    @classmethod
    def remote_estimate(cls, subjects: Sequence[str]) -> list[Estimate]:
        """The responses of each known subject, as if it had as many voxels as subject 01; needs no network."""
        known = [name.removeprefix("sub-") for name in subjects if name.removeprefix("sub-") in PEOPLE]
        base = "derivatives/ICA-betas/sub-{}/voxel-metadata/*.h5"
        return [Estimate(base.format(subject), 1, N_VOXELS * N_TRIALS * 8) for subject in known]

    @cached_property
    def _tables(self) -> dict[str, ThingsTables]:
        return find_tables(self.root)

    @cached_property
    def _trial_tables(self) -> dict[str, pd.DataFrame]:
        return {subject: tables.read_trials() for subject, tables in self._tables.items()}

    def _n_trials(self, subject: str) -> int:
        return len(self._trial_tables[subject])

    def _trials(self, subject: str) -> pd.DataFrame:
        """Trials of the split: stimulus (its id), file, run (the session), scan; the index is the trial's place."""
        table = self._trial_tables[subject]
        table = table[table["trial_type"] == self.split]
        if table.empty:
            raise MissingData(f"no {self.split} trials of subject {subject}", self.root, "Fetch the tables again.")
        files = table["stimulus"].astype(str)
        return pd.DataFrame(
            {
                "stimulus": files.map(lambda name: Path(name).stem),
                "file": files,
                "run": table["session"].map("{:02d}".format),
                "scan": table["run"].map("{:02d}".format),
            }
        )

    def _file_names(self) -> dict[str, str]:
        """File name by id, in the order of the ids."""
        each = [dict(zip(t["stimulus"], t["file"], strict=True)) for t in map(self._trials, self.subjects)]
        differ = sorted(set().union(*each) - set.intersection(*map(set, each)))
        if differ:
            some = ", ".join(differ[:5])
            raise BrokenData(f"{len(differ)} stimuli that not all saw: {some}", self.root, "Fetch the tables again.")
        return dict(sorted(each[0].items()))

    def _photograph(self, name: str) -> Path:
        places = [self.images / name, self.images / _concept(Path(name).stem) / name]
        for place in places:
            if place.exists():
                return place
        raise MissingData(
            f"no photograph {name}", self.images, "Get the images of THINGS from https://things-initiative.org."
        )

    def _voxel_ids(self, tables: ThingsTables, voxels: pd.DataFrame) -> np.ndarray:
        ids, stored = voxels["voxel_id"].to_numpy(), tables.read_voxel_ids()
        if stored is not None and not np.array_equal(ids, stored):
            raise BrokenData(
                "its voxels are not those of the voxels' table", tables.responses, "Fetch both files again."
            )
        return ids


def _regions(columns: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Columns of each region: itself, or a pair of hemispheres under the name that they share."""
    single = {name: (name,) for name in columns if not name.startswith(NO_REGION)}
    shared = [name[1:] for name in single if name.startswith("l") and f"r{name[1:]}" in single]
    return single | {name: (f"l{name}", f"r{name}") for name in shared if name not in single}


def _inside(table: pd.DataFrame, path: Path) -> np.ndarray:
    """Membership (voxel, column), which is coded 0 or 1."""
    values = table.to_numpy()
    if values.dtype.kind not in "iufb" or not np.isin(values, (0, 1)).all():
        raise BrokenData(
            f"{', '.join(map(str, table))} hold values other than 0 and 1", path, "Choose a region, or fetch again."
        )
    return values.astype(bool)


def _concept(stimulus: str) -> str:
    return stimulus.rpartition("_")[0]
