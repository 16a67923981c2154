"""Oracles: files of the published size that the test writes, and the checksums in the authors' README."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from plasticode.datasets.errors import BrokenData
from plasticode.datasets.fashion_mnist import FashionMnist


def written(root: Path, labels: np.ndarray) -> FashionMnist:
    """10,000 black test images with these labels."""
    images = struct.pack(">4B3I", 0, 0, 8, 3, 10_000, 28, 28) + bytes(10_000 * 784)
    (root / "t10k-images-idx3-ubyte").write_bytes(images)
    content = struct.pack(">4BI", 0, 0, 8, 1, 10_000) + labels.astype(np.uint8).tobytes()
    (root / "t10k-labels-idx1-ubyte").write_bytes(content)
    return FashionMnist(root)


def test_a_whole_split_has_as_many_images_of_each_class_as_published(tmp_path: Path) -> None:
    read = written(tmp_path, np.arange(10_000) % 10).load("test")
    assert (len(read), read.is_partial, read.classes[9]) == (10_000, False, "Ankle boot")
    assert len(read.notes) == 2  # both files are unpacked, so their content cannot be checked


def test_a_whole_split_with_other_counts_is_another_data_set(tmp_path: Path) -> None:
    collection = written(tmp_path, np.arange(10_000) % 9)
    with pytest.raises(BrokenData, match=r"0 to 1,112 test images of a class instead of 1,000"):
        collection.load("test")


def test_the_official_files_are_those_of_the_readme() -> None:
    assert {file.path: file.md5 for file in FashionMnist.published_files()} == {
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    }
