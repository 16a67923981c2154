"""Oracles: the published counts and checksums of MNIST, on the real files."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plasticode.datasets.errors import BrokenData
from plasticode.datasets.labelled_images import open_images
from plasticode.datasets.mnist import Mnist

COUNTS = {  # of the digits 0 to 9
    "train": [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    "test": [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
}


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_real_files_have_the_published_counts_and_mean(real_data: Path, split: str) -> None:
    read = open_images("mnist", real_data / "mnist").load(split)
    assert read.images.shape == (Mnist.info[split], 1, 28, 28)
    assert np.bincount(read.labels).tolist() == COUNTS[split]
    assert (read.notes, read.is_partial) == ((), False)
    if split == "train":  # the figure that everybody standardises with
        assert read.images.mean() / 255 == pytest.approx(0.1307, abs=5e-5)


def test_torchvisions_layout_gives_the_same_content(real_data: Path, tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in (real_data / "mnist").glob("t10k-*.gz"):
        (raw / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    here, there = Mnist(tmp_path).load("test"), Mnist(real_data / "mnist").load("test")
    assert here.content_hash == there.content_hash


def test_other_digits_in_the_right_format_are_refused(idx_folder: Any) -> None:
    root = idx_folder.write("MNIST/raw")
    with pytest.raises(BrokenData, match=r"md5 [0-9a-f]{32} instead of 6bbc9ace898e44ae57da46a324031adb"):
        Mnist(root).load("train")
