"""kriegeskorte2008: 92 photographs of objects, and RDMs of people and monkeys who saw them.

Human and monkey inferior temporal cortex (IT) from Kriegeskorte, Mur, Ruff, ..., Bandettini (2008, Neuron 60:1126);
early visual cortex (EVC) and IT of 15 people from Cichy, Pantazis and Oliva (2014, Nature Neuroscience 17:455);
similarity judgements of 16 people from Mur, Meys, Bodurka, ..., Kriegeskorte (2013, Frontiers in Psychology 4:128).

`rsa_92images.npz` holds the RDMs of `demos/92imageData/*.mat` of rsatoolbox and of `92images/*.gzip` of Net2Brain-App,
square and all in the order of the images, and the images (image, height, width, colour):

| array | axes |
|---|---|
| images, category, is_animal, is_human, is_face, is_natural | image ... |
| rdm_hIT_subject_session, rdm_hIT_names ("hIT | BE | Session: 1") | subject session (image image) |
| rdm_mIT | image image: 674 neurons of two monkeys, pooled |
| rdm_cichy_EVC, rdm_cichy_IT, rdm_behaviour | subject image image |
| rdm_models, model_names | model image image |

Left out: `rdm_hmax`, another HMAX than that of `rdm_models` (they differ by up to .50) whose version no source states.

The figures that go round for these RDMs (animacy with IT .47, with EVC .06) are those of the *mean* RDM of the 15
people (`mean_rdm`). Person by person the mean is .25 and .02; only these stand beside a noise ceiling of persons.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from rsatoolbox.rdm.rdms import RDMs

from .archive import read_arrays
from .errors import BrokenData
from .image_study import ImageStudy, Stimuli
from .square_rdms import subject_rdms

FILE = "rsa_92images.npz"
N_STIMULI = 92
IDS = tuple(f"image_{number:02d}" for number in range(1, N_STIMULI + 1))
FLAGS = {"animate": "is_animal", "human": "is_human", "face": "is_face", "natural": "is_natural"}
# Where each region lies in the file, who was recorded, and how the matrices were made.
PEOPLE = {"EVC": ("rdm_cichy_EVC", "cichy2014"), "IT": ("rdm_cichy_IT", "cichy2014")}
PEOPLE["behaviour"] = ("rdm_behaviour", "mur2013")
MEASURES = {"behaviour": "judgement"}


class Kriegeskorte2008(ImageStudy):
    """RDMs of 92 images in five regions; "human IT" has two sessions of four people, the others one.

    A label names the study that a person took part in (`cichy2014-03`): EVC and IT are the same 15 people, human IT
    are four others. Ids are those of the 92-image set of the Algonauts 2019 challenge, which has the same images.

    Parameters
    ----------
    root
        Folder with `rsa_92images.npz`.
    """

    study = "kriegeskorte2008"
    url = "https://github.com/rsagroup/rsatoolbox"
    doi = "10.1016/j.neuron.2008.10.043"
    licence = "MIT (the repositories); none stated for the data, nor for the photographs"
    citation = "Kriegeskorte, Mur, Ruff, ..., Bandettini (2008). Neuron 60:1126-1141."
    info: ClassVar[dict[str, Any]] = {
        "stimuli": N_STIMULI,
        "shape": (3, 175, 175),
        "subjects": {"human IT": 4, "monkey IT": 1, "EVC": 15, "IT": 15, "behaviour": 16},
        "sessions": {"human IT": 2},
        "models": 7,
    }
    by_hand = f"No address holds {FILE}: make it of the two repositories that datasets/kriegeskorte2008.py names."

    @property
    def subjects(self) -> tuple[str, ...]:
        everyone = (subject for region in self.regions for subject in self._recorded(region)[1])
        return tuple(dict.fromkeys(everyone))

    @property
    def regions(self) -> tuple[str, ...]:
        return tuple(self.info["subjects"])

    @property
    def sessions(self) -> tuple[str, ...]:
        return self._recorded("human IT")[2]

    def stimuli(self) -> Stimuli:
        axes = {"images": "image height width colour", "category": "image"} | dict.fromkeys(FLAGS.values(), "image")
        arrays = read_arrays(self._path, axes)
        images = arrays["images"].transpose(0, 3, 1, 2)
        if images.dtype != np.uint8 or images.shape != (N_STIMULI, *self.info["shape"]):
            raise BrokenData(f"images are {images.dtype} {images.shape}", self._path, "Copy the archive again.")
        flags = {name: arrays[array].astype(bool) for name, array in FLAGS.items()}
        return Stimuli(IDS, np.ascontiguousarray(images), {"category": arrays["category"], **flags})

    def rdms(self, region: str, averaged: bool = True) -> RDMs:
        """RDMs of a region: 1 - r, or judged dissimilarity ("behaviour"). Raises `MissingData` for another region."""
        squares, subjects, sessions = self._recorded(self._known(region, self.regions, "region"))
        measure = MEASURES.get(region, "correlation")
        return subject_rdms(
            squares, IDS, subjects, sessions, region=region, averaged=averaged, where=self._path, measure=measure
        )

    def model_rdms(self) -> RDMs:
        """The models of the 2008 data, by `name`: two of categories (0 or 1) and five of what the pixels hold.

        Their monkey IT is left out: it is a region.
        """
        names = [str(name) for name in self._arrays["model_names"]]
        keep = [place for place, name in enumerate(names) if name != "monkeyIT"]
        squares, kept = self._arrays["rdm_models"][keep, None], [names[place] for place in keep]
        found = subject_rdms(squares, IDS, kept, ("",), region="model", averaged=True, where=self._path, measure=None)
        return RDMs(found.dissimilarities, pattern_descriptors={"stimulus": list(IDS)}, rdm_descriptors={"name": kept})

    @property
    def _path(self) -> Path:
        return self.root / FILE

    @cached_property
    def _arrays(self) -> dict[str, np.ndarray]:
        axes = {name: "subject_of_" + name + " image image" for name, _ in PEOPLE.values()}
        axes |= {"rdm_hIT_subject_session": "subject session image image", "rdm_hIT_names": "subject session"}
        axes |= {"rdm_mIT": "image image", "rdm_models": "model image image", "model_names": "model"}
        return read_arrays(self._path, axes)

    def _recorded(self, region: str) -> tuple[np.ndarray, tuple[str, ...], tuple[str, ...]]:
        """RDMs (subject, session, image, image), labels of subjects and of sessions."""
        if region == "human IT":
            return self._arrays["rdm_hIT_subject_session"], *self._people_and_sessions()
        if region == "monkey IT":
            return self._arrays["rdm_mIT"][None, None], ("kriegeskorte2008-monkeys",), ("",)
        array, who = PEOPLE[region]
        squares = self._arrays[array]
        return squares[:, None], tuple(f"{who}-{number:02d}" for number in range(1, len(squares) + 1)), ("",)

    def _people_and_sessions(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Labels out of the names (subject, session) of the human RDMs. Raises `BrokenData` for other names."""
        names = self._arrays["rdm_hIT_names"]
        labels = [[re.fullmatch(r"hIT \| (\w+) \| Session: (\w+)", str(name)) for name in row] for row in names]
        people = [{match[1] if match else "" for match in row} for row in labels]
        sessions = [{match[2] if match else "" for match in column} for column in zip(*labels, strict=True)]
        if any(len(group) != 1 or "" in group for group in [*people, *sessions]):
            raise BrokenData(
                "rdm_hIT_names are not one person a row, one session a column", self._path, "Copy it again."
            )
        return tuple(f"kriegeskorte2008-{name}" for (name,) in people), tuple(name for (name,) in sessions)
