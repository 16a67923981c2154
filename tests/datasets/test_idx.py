"""Oracles: idx files packed by the test, byte by byte, and the ways in which they break."""

from __future__ import annotations

import gzip
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import plasticode.datasets.idx
import pytest
from plasticode.datasets.errors import BrokenData, MissingData
from plasticode.datasets.fashion_mnist import FashionMnist
from plasticode.datasets.idx import IdxFile, parsed

NAME = "train-images-idx3-ubyte"
PLACE = Path("somewhere")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("folder", ["", "FashionMNIST/raw", "raw"])
def test_the_packed_images_come_back_from_every_layout(idx_folder: Any, folder: str, zipped: bool) -> None:
    root = idx_folder.write(folder, zipped)
    for split, kind in (("train", "train"), ("test", "t10k")):
        read = FashionMnist(root).load(split)
        np.testing.assert_array_equal(read.images[:, 0], idx_folder.images[kind])
        np.testing.assert_array_equal(read.labels, idx_folder.labels[kind])
        assert read.images.flags.writeable  # torch refuses others
        assert read.images.flags.c_contiguous


def test_any_number_of_axes_is_read_in_c_order() -> None:
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    for array in (values, values.reshape(6, 4), values.ravel()):
        content = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()
        np.testing.assert_array_equal(parsed(content, array.ndim, PLACE), array)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "begins with , not with 00000801"),
        (struct.pack(">4B3I", 0, 0, 8, 3, 1, 1, 1) + b"x", "begins with 00000803, not with 00000801"),
        (struct.pack(">4BI", 0, 0, 13, 1, 1) + b"abcd", "begins with 00000d01, not with 00000801"),
        (struct.pack("<4I", 2049, 1, 0, 0), "begins with 01080000"),
        (b"\0\0\x08\x01\0\0", "cut off in its header, after 6 bytes"),
        (struct.pack(">4BI", 0, 0, 8, 1, 5) + b"1234", "cut off: 12 bytes instead of 13"),
        (struct.pack(">4BI", 0, 0, 8, 1, 3) + b"1234", "longer than its header says: 12 bytes instead of 11"),
        (struct.pack(">4BI", 0, 0, 8, 1, 2**32 - 1), "cut off: 8 bytes instead of 4,294,967,303"),
    ],
)
def test_what_is_not_idx_says_why_and_where(content: bytes, what: str) -> None:
    with pytest.raises(BrokenData, match=rf"{what}.* \(somewhere\)\. Bring the file again with `plasticode fetch`"):
        parsed(content, 1, PLACE)


@pytest.mark.parametrize("kept", [3, 500, -4])
def test_a_gz_that_is_cut_off_is_named(idx_folder: Any, kept: int) -> None:
    path = idx_folder.write() / f"{NAME}.gz"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(BrokenData, match=rf"cut off or not gzip: .*{NAME}\.gz"):
        FashionMnist(idx_folder.root).load("train")


def test_a_gz_with_a_changed_byte_fails_its_checksum(idx_folder: Any) -> None:
    path = idx_folder.write() / f"{NAME}.gz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    with pytest.raises(BrokenData, match=NAME):
        FashionMnist(idx_folder.root).load("train")


def test_a_small_gz_that_unpacks_to_a_huge_file_is_refused(idx_folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    idx_folder.write()
    (idx_folder.root / f"{NAME}.gz").write_bytes(gzip.compress(bytes(100_000)))
    monkeypatch.setattr(plasticode.datasets.idx, "LARGEST", 50_000)
    with pytest.raises(BrokenData, match="it unpacks to more than 50,000 bytes"):
        FashionMnist(idx_folder.root).load("train")


def test_a_missing_file_says_where_it_may_lie(idx_folder: Any) -> None:
    (idx_folder.write() / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(MissingData, match=r"no file t10k-labels-idx1-ubyte .* also in torchvision's FashionMNIST/raw"):
        FashionMnist(idx_folder.root).load("test")
    assert len(FashionMnist(idx_folder.root).load("train")) == 20  # the other split is not touched


def test_known_content_passes_in_any_packing_and_other_content_does_not(
    idx_folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    md5 = plasticode.datasets.idx._md5
    known = tuple(IdxFile(name, 1, "0" * 32, md5(content)) for name, content in idx_folder.contents().items())
    monkeypatch.setattr(FashionMnist, "source", replace(FashionMnist.source, files=known))
    root = idx_folder.write()
    assert FashionMnist(root).load("train").notes == ("20 of the 60,000 published train images",)
    (root / f"{NAME}.gz").write_bytes(gzip.compress(idx_folder.contents()[NAME], compresslevel=1))
    assert len(FashionMnist(root).load("train")) == 20
    idx_folder.images["train"][7, 3, 3] ^= 1
    idx_folder.write()
    with pytest.raises(BrokenData, match=r"another content than published: md5 [0-9a-f]{32} instead of [0-9a-f]{32}"):
        FashionMnist(root).load("train")


def test_an_official_gz_needs_no_note_and_any_other_file_gets_one(
    idx_folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = idx_folder.write()
    md5 = plasticode.datasets.idx._md5
    known = tuple(IdxFile(n, 1, md5((root / f"{n}.gz").read_bytes())) for n in idx_folder.contents())
    monkeypatch.setattr(FashionMnist, "source", replace(FashionMnist.source, files=known))
    assert len(FashionMnist(root).load("train").notes) == 1  # only that it is a part
    idx_folder.write(zipped=False)
    notes = FashionMnist(root).load("train").notes
    assert notes[1:] == tuple(
        f"{name} was not checked: a checksum is published of its official .gz only"
        for name in (NAME, "train-labels-idx1-ubyte")
    )
