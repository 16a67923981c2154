"""Oracles: the contract of labelled images, held against every collection of the package and against broken ones."""

from __future__ import annotations

import hashlib
import inspect
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from plasticode.datasets.errors import BrokenData, MissingData, WrongArgument
from plasticode.datasets.labelled_images import (
    FACTS,
    ImageCollection,
    LabelledImages,
    image_class,
    image_names,
    open_images,
)
from plasticode.datasets.remote import RemoteFile
from plasticode.datasets.study import study_names

IMAGES = np.arange(4 * 3 * 2 * 2, dtype=np.uint8).reshape(4, 3, 2, 2)
LABELS = np.array([0, 1, 0, 1])


class Tiny(ImageCollection):
    """Four images of two classes; tests replace `content`."""

    dataset, url, doi, licence, citation = "tiny", "https://x", "x", "x", "x"
    classes = ("cat", "dog")
    info: ClassVar[dict[str, Any]] = {"train": 4, "test": 4, "shape": (3, 2, 2), "per_class": {"train": 2, "test": 2}}
    content: ClassVar[tuple[np.ndarray, np.ndarray, tuple[str, ...]]] = (IMAGES, LABELS, ())

    @classmethod
    def published_files(cls) -> list[RemoteFile]:
        return []

    def _read(self, split: str) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
        return self.content


@pytest.mark.parametrize("name", image_names())
def test_every_collection_states_its_facts_and_is_found_by_the_name_of_its_file(name: str, tmp_path: Path) -> None:
    cls = image_class(name)
    assert cls.__module__ == f"plasticode.datasets.{name}"
    assert [fact for fact in FACTS if not getattr(cls, fact)] == []
    assert cls.url.startswith("https://")
    assert inspect.getdoc(cls) != inspect.getdoc(ImageCollection)
    assert len(set(cls.classes)) == len(cls.classes) == 10
    assert set(cls.info) <= {"train", "test", "shape", "per_class"}
    assert isinstance(open_images(name, tmp_path), cls)


def test_mnist_fashion_mnist_and_cifar10_are_there_and_no_study_has_their_name() -> None:
    assert {"mnist", "fashion_mnist", "cifar10"} <= set(image_names())
    assert set(image_names()).isdisjoint(study_names())


@pytest.mark.parametrize("absent", FACTS)
def test_a_collection_without_a_fact_is_a_type_error_that_names_it(absent: str) -> None:
    body: dict[str, Any] = {fact: "x" for fact in FACTS if fact != absent}
    body |= {"_read": lambda self, split: None, "published_files": classmethod(lambda cls: [])}
    with pytest.raises(TypeError, match=f"without {absent}: state them"):
        type("Nameless", (ImageCollection,), body)


@pytest.mark.parametrize("name", image_names())
def test_absent_and_empty_folders_say_where_and_how_to_get_the_files(name: str, tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=rf"no folder for {name} \({tmp_path}/nowhere\).*`plasticode fetch {name}`"):
        open_images(name, tmp_path / "nowhere")
    with pytest.raises(MissingData, match=str(tmp_path)):
        open_images(name, tmp_path).load("test")


def test_unknown_names_and_splits_list_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"no image collection named 'imagenet'.*cifar10, fashion_mnist, mnist"):
        open_images("imagenet", tmp_path)
    with pytest.raises(WrongArgument, match=r"no split 'validation' in tiny \(split\)\. Choose train or test"):
        Tiny(tmp_path).load("validation")


def test_a_complete_split_comes_as_it_was_read_and_a_part_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Tiny(tmp_path).load("train")
    assert (len(whole), whole.is_partial, whole.notes, whole.classes) == (4, False, (), ("cat", "dog"))
    np.testing.assert_array_equal(whole.images, IMAGES)
    monkeypatch.setattr(Tiny, "content", (IMAGES[:3], LABELS[:3], ("one is blurred",)))
    part = Tiny(tmp_path).load("train")
    assert (part.is_partial, part.n_published) == (True, 4)
    assert part.notes == ("3 of the 4 published train images", "one is blurred")


@pytest.mark.parametrize(
    ("images", "labels", "what"),
    [
        (IMAGES, LABELS[:3], "4 train images but 3 labels"),
        (IMAGES[:, :1], LABELS, r"of shape \(1, 2, 2\) instead of \(3, 2, 2\)"),
        (IMAGES[:0], LABELS[:0], "0 train images where 4 were published"),
        (np.tile(IMAGES, (2, 1, 1, 1)), np.tile(LABELS, 2), "8 train images where 4 were published"),
        (IMAGES, LABELS * 0, "0 to 4 train images of a class instead of 2"),
        (IMAGES[:3], LABELS[:3] + 1, "labels go from 1 to 2"),
    ],
)
def test_content_against_the_facts_is_broken_data(
    images: np.ndarray, labels: np.ndarray, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tiny, "content", (images, labels, ()))
    with pytest.raises(BrokenData, match=what):
        Tiny(tmp_path).load("train")


def test_the_content_hash_is_that_of_shape_classes_pixels_and_labels() -> None:
    one = LabelledImages(IMAGES, LABELS, ("cat", "dog"))
    expected = hashlib.sha256(b'[[4, 3, 2, 2], ["cat", "dog"]]' + IMAGES.tobytes() + LABELS.astype("<i8").tobytes())
    assert one.content_hash == expected.hexdigest()
    assert one.content_hash == LabelledImages(IMAGES.copy(order="F"), LABELS, ("cat", "dog"), ("a note",)).content_hash
    changed = IMAGES.copy()
    changed[3, 2, 1, 1] ^= 1
    others = [
        LabelledImages(changed, LABELS, ("cat", "dog")),
        LabelledImages(IMAGES, LABELS[::-1].copy(), ("cat", "dog")),
        LabelledImages(IMAGES, LABELS, ("dog", "cat")),
        LabelledImages(IMAGES.reshape(4, 3, 1, 4), LABELS, ("cat", "dog")),
    ]
    assert len({one.content_hash, *(other.content_hash for other in others)}) == 5
