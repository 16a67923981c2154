"""algonauts2019: the Algonauts Project 2019 challenge, RDMs of 15 people for each of two sets of images.

Cichy, Roig, Andonian, Dwivedi, Lahner, Lascelles, Mohsenzadeh, Ramakrishnan and Oliva (2019, arXiv 1905.05675). The
layout is that of the challenge's archive as its README files and public code that reads it describe it; the archive
itself was not at hand:

    Training_Data/92_Image_Set/92images/image_01.jpg ...      118_Image_Set/118images/image_001.jpg ...
    Training_Data/<n>_Image_Set/target_fmri.mat               EVC_RDMs, IT_RDMs: subject image image (1 - Pearson r)
    Training_Data/<n>_Image_Set/target_meg.mat                MEG_RDMs_early, MEG_RDMs_late: subject time image image
    Test_Data/78images/image_01.jpg ...                       its targets, once published, beside this folder

Both kinds of MATLAB file are read (5 and 7.3). The times of the early and late stretch are not in the files.

Deviation: an RDM of a stretch of time is the mean over its time points; the challenge's own score correlates each time
point and takes the mean of these (`averaged=False` gives them).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from rsatoolbox.rdm.rdms import RDMs

from .errors import BrokenData, MissingData, WrongArgument
from .image_study import ImageStudy, Stimuli
from .mat_arrays import mat_array
from .photographs import read_photographs
from .square_rdms import subject_rdms

FOLDERS = {"92": "Training_Data/92_Image_Set", "118": "Training_Data/118_Image_Set", "78": "Test_Data"}
TARGETS = {
    "EVC": ("target_fmri.mat", "EVC_RDMs"),
    "IT": ("target_fmri.mat", "IT_RDMs"),
    "MEG early": ("target_meg.mat", "MEG_RDMs_early"),
    "MEG late": ("target_meg.mat", "MEG_RDMs_late"),
}
N_SUBJECTS = 15


class Algonauts2019(ImageStudy):
    """One image set of the challenge: "92" (the images of kriegeskorte2008, with the same ids), "118", or "78".

    `regions` are those whose file is there: the test set ("78") came without. fMRI and MEG of a set are of the same 15
    people; a label begins with the set, since another set was shown to others.

    Parameters
    ----------
    root
        The unpacked archive, or the folder that holds it.
    image_set
        "92", "118" or "78".
    """

    study = "algonauts2019"
    url = "https://algonautsproject.com/2019/challenge.html"
    doi = "10.48550/arXiv.1905.05675"
    licence = "none stated in the files that were seen; ask the challenge's authors"
    citation = "Cichy, Roig, Andonian, ..., Oliva (2019). The Algonauts Project. arXiv:1905.05675."
    info: ClassVar[dict[str, Any]] = {"stimuli": {"92": 92, "118": 118, "78": 78}, "subjects": N_SUBJECTS}
    by_hand = "Get the challenge's archive from there: no address with a checksum of it is known."

    def __init__(self, root: str | Path, image_set: str = "92") -> None:
        super().__init__(root)
        if image_set not in FOLDERS:
            raise WrongArgument(f"no image set {image_set!r}", "image_set", f"Choose one of: {', '.join(FOLDERS)}.")
        self.image_set = image_set
        self.n_stimuli: int = self.info["stimuli"][image_set]
        self.folder = self._found()

    @property
    def subjects(self) -> tuple[str, ...]:
        return tuple(f"{self.image_set}-{number:02d}" for number in range(1, N_SUBJECTS + 1))

    @property
    def regions(self) -> tuple[str, ...]:
        return tuple(name for name, (file, _) in TARGETS.items() if (self.folder / file).exists())

    def stimuli(self) -> Stimuli:
        paths = self._photographs()
        images = read_photographs(paths)
        return Stimuli(self._ids, images, {"file": np.array([path.name for path in paths])})

    def rdms(self, region: str, averaged: bool = True) -> RDMs:
        """RDMs of a region of fMRI or a stretch of MEG; there `session` numbers the time points.

        Raises `MissingData` for another region or without its file, `BrokenData` when it is not in the layout.
        """
        file, key = TARGETS[self._known(region, self.regions, "region")]
        squares = np.asarray(mat_array(self.folder / file, key), np.float64)
        is_meg = region.startswith("MEG")
        if squares.ndim != 3 + is_meg:
            expected = "subject time image image" if is_meg else "subject image image"
            what = f"{key} has shape {squares.shape} instead of ({expected})"
            raise BrokenData(what, self.folder / file, "Take the file as it was published.")
        if not is_meg:
            squares = squares[:, None]
        times = [f"time {number:02d}" for number in range(1, squares.shape[1] + 1)] if is_meg else [""]
        return subject_rdms(
            squares,
            self._ids,
            self.subjects,
            times,
            region=region,
            averaged=averaged,
            where=self.folder / file,
            measure=None if is_meg else "correlation",
        )

    @property
    def _ids(self) -> tuple[str, ...]:
        width = len(str(self.n_stimuli))
        return tuple(f"image_{number:0{width}d}" for number in range(1, self.n_stimuli + 1))

    def _found(self) -> Path:
        folder = FOLDERS[self.image_set]
        places = [self.root / folder, self.root / "algonautsChallenge2019" / folder, self.root / Path(folder).name]
        for place in places:
            if place.is_dir():
                return place
        raise MissingData(f"no folder {folder} of {self.study}", self.root, "Give the unpacked archive.")

    def _photographs(self) -> list[Path]:
        """The files in the order of the number in their names, which must count them."""
        folder = self.folder / f"{self.image_set}images"
        numbered = {path: re.search(r"(\d+)$", path.stem) for path in folder.glob("*.jpg")}
        paths = {int(match[1]): path for path, match in numbered.items() if match}
        if len(numbered) != self.n_stimuli or sorted(paths) != list(range(1, self.n_stimuli + 1)):
            raise MissingData(
                f"{len(numbered)} .jpg files, not numbered 1 to {self.n_stimuli}", folder, "Unpack the archive again."
            )
        return [paths[number] for number in sorted(paths)]
