"""The contract of a set of labelled images: `LabelledImages`, and `ImageCollection`, its reader.

A collection knows where its files are and reads one split at a time, when asked. Every subclass is checked when it is
defined, and found by the name of its file.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Int64, UInt8

from .errors import BrokenData, MissingData, WrongArgument
from .remote import Estimate, RemoteFile

FACTS = ("dataset", "url", "doi", "licence", "citation", "classes", "info")
SPLITS = ("train", "test")


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images with the class of each.

    `images` are bytes, as published; `labels` index `classes`. `n_published` images are in the split as published
    (None where that is not known); `notes` say in what this copy differs from it, for every table that uses it.

    Raises `BrokenData` for a label without a class.
    """

    images: UInt8[np.ndarray, "image channel height width"]
    labels: Int64[np.ndarray, " image"]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()
    n_published: int | None = None

    def __post_init__(self) -> None:
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(self.classes):
            found = f"{self.labels.min()} to {self.labels.max()}"
            raise BrokenData(f"labels go from {found}", f"{len(self.classes)} classes", "Check the label file.")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def is_partial(self) -> bool:
        """Whether images of the published split are not here."""
        return self.n_published is not None and len(self) < self.n_published

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of pixels, labels and class names in their order, in hexadecimal; whatever files they came from."""
        digest = hashlib.sha256(json.dumps([self.images.shape, self.classes]).encode())
        digest.update(np.ascontiguousarray(self.images).data)
        digest.update(np.ascontiguousarray(self.labels, "<i8").data)
        return digest.hexdigest()


Content = tuple[np.ndarray, np.ndarray, tuple[str, ...]]  # images, labels, notes


class ImageCollection(ABC):
    """Base of the readers: `datasets/<name>.py` holds one subclass, whose `dataset` is that name.

    A subclass states the `FACTS` as class attributes. `info` holds what a complete copy has: the number of images of
    `train` and `test`, their `shape` (channel, height, width) and, where all classes have equally many, `per_class`.

    Parameters
    ----------
    root
        The folder with the files. Raises `MissingData` when it is not there. Nothing is read before `load`.
    """

    dataset: ClassVar[str]
    url: ClassVar[str]
    doi: ClassVar[str]
    licence: ClassVar[str]
    citation: ClassVar[str]
    classes: ClassVar[tuple[str, ...]]
    info: ClassVar[dict[str, Any]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        absent = [fact for fact in FACTS if not hasattr(cls, fact)]
        if absent and not inspect.isabstract(cls):
            raise TypeError(
                f"{cls.__name__} is an ImageCollection without {', '.join(absent)}: state them in the class"
            )

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise MissingData(
                f"no folder for {self.dataset}",
                self.root,
                f"Give the folder that holds it, or bring it with `plasticode fetch {self.dataset}`.",
            )

    def load(self, split: str) -> LabelledImages:
        """The images of "train" or "test"; nothing of the other split is kept.

        Raises `WrongArgument` for another split, `MissingData` for absent files, `BrokenData` for files that do not
        hold what their format, or the published counts, promise.
        """
        if split not in SPLITS:
            raise WrongArgument(f"no split {split!r} in {self.dataset}", "split", f"Choose {' or '.join(SPLITS)}.")
        images, labels, notes = self._read(split)
        published = self.info[split]
        self._check(images, labels, split)
        if len(images) < published:
            notes = (f"{len(images):,} of the {published:,} published {split} images", *notes)
        return LabelledImages(images, labels, self.classes, notes, published)

    @abstractmethod
    def _read(self, split: str) -> Content:
        """Bytes (image, channel, height, width), labels (image,) as int64, and what is to be said of them."""

    @classmethod
    @abstractmethod
    def published_files(cls) -> list[RemoteFile]:
        """The official files, each with a checksum. Needs no network."""

    @classmethod
    def remote_files(cls, subjects: Sequence[str]) -> list[RemoteFile]:
        """What `plasticode fetch` brings. Raises `WrongArgument` when subjects are named."""
        if subjects:
            raise WrongArgument(f"{cls.dataset} has no subjects", "--subject", "Leave it out.")
        return cls.published_files()

    @classmethod
    def remote_estimate(cls, subjects: Sequence[str]) -> list[Estimate]:
        """Nothing: `remote_files` itself needs no network."""
        return []

    def _check(self, images: np.ndarray, labels: np.ndarray, split: str) -> None:
        if len(images) != len(labels):
            raise self._broken(f"{len(images):,} {split} images but {len(labels):,} labels")
        if images.shape[1:] != self.info["shape"]:
            raise self._broken(f"{split} images of shape {images.shape[1:]} instead of {self.info['shape']}")
        if not 0 < len(images) <= self.info[split]:
            raise self._broken(f"{len(images):,} {split} images where {self.info[split]:,} were published")
        counts, even = np.bincount(labels, minlength=len(self.classes)), self.info.get("per_class", {}).get(split)
        if even is not None and len(images) == self.info[split] and set(counts.tolist()) != {even}:
            raise self._broken(f"{counts.min():,} to {counts.max():,} {split} images of a class instead of {even:,}")

    def _broken(self, what: str) -> BrokenData:
        return BrokenData(what, self.root, f"Bring the files again with `plasticode fetch {self.dataset}`.")


def image_class(name: str) -> type[ImageCollection]:
    """The ImageCollection in `datasets/<name>.py`. Raises `MissingData` for a name without one."""
    if name in image_names():
        module = importlib.import_module(f".{name}", __package__)
        for value in vars(module).values():
            if inspect.isclass(value) and issubclass(value, ImageCollection) and getattr(value, "dataset", "") == name:
                return value
    raise MissingData(f"no image collection named {name!r}", "dataset", f"Choose one of: {', '.join(image_names())}.")


def open_images(name: str, root: str | Path) -> ImageCollection:
    """The image collection in a folder. Raises `MissingData` for an unknown name or an absent folder."""
    return image_class(name)(root)


def image_names() -> list[str]:
    """Names of the image collections that the package can read, from its files and without importing them."""
    files = Path(__file__).parent.glob("*.py")
    return sorted(path.stem for path in files if f'dataset = "{path.stem}"' in path.read_text(encoding="utf-8"))
