"""The contract of a study of people who saw images: `Stimuli`, and `ImageStudy`, its reader.

A study knows where its files are and reads when asked. It gives dissimilarity matrices (`rdms`), responses
(`patterns`), or both; conditions carry the ids of the stimuli, so that everything is joined by id. Every subclass is
checked when it is defined, and found by the name of its file.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import UInt8
from rsatoolbox.data.dataset import Dataset
from rsatoolbox.rdm.rdms import RDMs

from .errors import BrokenData, MissingData, WrongArgument
from .remote import Estimate, RemoteFile

FACTS = ("study", "url", "doi", "licence", "citation", "info")
KINDS = ("rdms", "patterns")


@dataclass(frozen=True, eq=False)
class Stimuli:
    """The images of a study, as published: bytes, with an id each and what is known of each.

    `descriptors` hold one value per stimulus, for example its category.

    Raises `BrokenData` for repeated ids and for numbers of ids, images and values that differ.
    """

    ids: tuple[str, ...]
    images: UInt8[np.ndarray, "stimulus channel height width"]
    descriptors: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        repeated = sorted(name for name, count in Counter(self.ids).items() if count > 1)
        if repeated:
            raise BrokenData(f"repeated ids: {', '.join(repeated)}", "stimuli", "Give each image an id of its own.")
        lengths = {"images": len(self.images)} | {name: len(values) for name, values in self.descriptors.items()}
        wrong = [f"{length} {name}" for name, length in lengths.items() if length != len(self.ids)]
        if wrong:
            raise BrokenData(f"{len(self.ids)} ids but {', '.join(wrong)}", "stimuli", "Give one of each per stimulus.")

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of ids and pixels in their order, in hexadecimal; whatever files they came from."""
        digest = hashlib.sha256(json.dumps([self.images.shape, self.ids]).encode())
        digest.update(np.ascontiguousarray(self.images).data)
        return digest.hexdigest()


class ImageStudy(ABC):
    """Base of the readers: `datasets/<name>.py` holds one subclass, whose `study` is that name.

    A subclass states the `FACTS` as class attributes (`info`: the counts that a complete copy has) and gives `rdms`,
    `patterns`, or both; `gives` says which.

    Parameters
    ----------
    root
        The folder with the files. Raises `MissingData` when it is not there. Nothing is read before it is asked for.
    """

    study: ClassVar[str]
    url: ClassVar[str]
    doi: ClassVar[str]
    licence: ClassVar[str]
    citation: ClassVar[str]
    info: ClassVar[dict[str, Any]]
    by_hand: ClassVar[str] = "Get it from there by hand."  # the remedy where no file can be fetched

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if inspect.isabstract(cls):
            return
        absent = [fact for fact in FACTS if not hasattr(cls, fact)]
        if absent:
            raise TypeError(f"{cls.__name__} is an ImageStudy without {', '.join(absent)}: state them in the class")
        if not cls.gives():
            raise TypeError(f"{cls.__name__} is an ImageStudy that gives neither rdms nor patterns: define one of them")

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise MissingData(
                f"no folder for study {self.study}",
                self.root,
                f"Give the folder that holds it; `plasticode fetch {self.study} --dry-run` says where it comes from.",
            )

    @classmethod
    def gives(cls) -> tuple[str, ...]:
        """Of "rdms" and "patterns", those that the study has."""
        return tuple(kind for kind in KINDS if getattr(cls, kind) is not getattr(ImageStudy, kind))

    @abstractmethod
    def stimuli(self) -> Stimuli:
        """What was shown. Raises `MissingData` or `BrokenData` for absent or damaged files."""

    @property
    @abstractmethod
    def subjects(self) -> tuple[str, ...]:
        """Labels of all subjects; a label is one person, in whatever region."""

    @property
    @abstractmethod
    def regions(self) -> tuple[str, ...]:
        """What was recorded: regions of the brain, stretches of time, judgements."""

    @property
    def sessions(self) -> tuple[str, ...]:
        """Names of repeats of the whole experiment; empty where there are none."""
        return ()

    def rdms(self, region: str, averaged: bool = True) -> RDMs:
        """Published RDMs, one per subject: over subjects is how results are generalised.

        Their `pattern_descriptors` hold `stimulus`; their `rdm_descriptors` subject, session, region and name.
        `averaged=False` gives every repeat (session, time point) of a subject separately, told apart by `session`.

        Raises `MissingData` for an unknown region, and where the study has responses only.
        """
        raise MissingData(
            f"study {self.study} has patterns of responses and no RDMs",
            f"rdms({region!r})",
            "Take patterns(subject, region) and make RDMs of them.",
        )

    def patterns(self, subject: str, region: str) -> Dataset:
        """Responses (trial, channel) of a subject; `obs_descriptors` hold `stimulus` and `run`, the trial's fold.

        Raises `MissingData` for an unknown subject or region, and where the study has RDMs only.
        """
        raise MissingData(
            f"study {self.study} has RDMs and no patterns of responses",
            f"patterns({subject!r}, {region!r})",
            "Take rdms(region).",
        )

    def mean_rdm(self, region: str) -> RDMs:
        """The mean over subjects as one RDM, whose subject is "mean". Raises as `rdms`."""
        each = self.rdms(region)
        return RDMs(
            each.dissimilarities.mean(axis=0, keepdims=True),
            dissimilarity_measure=each.dissimilarity_measure,
            pattern_descriptors={"stimulus": list(each.pattern_descriptors["stimulus"])},
            rdm_descriptors={"subject": ["mean"], "session": [""], "region": [region], "name": [f"{region}, mean"]},
        )

    @classmethod
    def remote_files(cls, subjects: Sequence[str]) -> list[RemoteFile]:
        """What `plasticode fetch` brings. Raises `MissingData` when the files must be got by hand."""
        raise MissingData(f"study {cls.study} cannot be fetched", cls.url, cls.by_hand)

    @classmethod
    def remote_estimate(cls, subjects: Sequence[str]) -> list[Estimate]:
        """About how much `remote_files` would list; empty where that is not known."""
        return []

    def _known(self, name: str, known: Sequence[str], kind: str) -> str:
        if name not in known:
            there = ", ".join(known) or "none"
            raise MissingData(f"no {kind} {name!r} in study {self.study}", self.root, f"There are: {there}.")
        return name


def image_study_class(name: str) -> type[ImageStudy]:
    """The ImageStudy in `datasets/<name>.py`. Raises `MissingData` for a name without one."""
    if name in image_study_names():
        module = importlib.import_module(f".{name}", __package__)
        for value in vars(module).values():
            if inspect.isclass(value) and issubclass(value, ImageStudy) and getattr(value, "study", "") == name:
                return value
    known = ", ".join(image_study_names())
    raise MissingData(f"no study of images named {name!r}", "study", f"Choose one of: {known}.")


def open_image_study(name: str, root: str | Path, options: Mapping[str, Any] | None = None) -> ImageStudy:
    """The study in a folder; `options` are its reader's own (for example the image set).

    Raises `MissingData` for an unknown name or an absent folder, `WrongArgument` for an option that it does not have.
    """
    made: Callable[..., ImageStudy] = image_study_class(name)
    unknown = sorted(set(options or {}) - set(inspect.signature(made).parameters))
    if unknown:
        raise WrongArgument(f"no option {', '.join(unknown)}", f"study {name}", "See the reader's parameters.")
    return made(root, **(options or {}))


def image_study_names() -> list[str]:
    """Names of the studies of images that the package can read, from its files and without importing them."""
    files = Path(__file__).parent.glob("*.py")
    return sorted(path.stem for path in files if f'study = "{path.stem}"' in path.read_text(encoding="utf-8"))
