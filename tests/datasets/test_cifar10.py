"""Oracles: records and sheets that the test packs, and the real sheets read tile by tile."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from plasticode.datasets.cifar10 import Cifar10
from plasticode.datasets.errors import BrokenData, MissingData

RANDOM = np.random.default_rng(5)
BATCHES = [f"data_batch_{i}.bin" for i in range(1, 6)]
FOLDER = "cifar-10-batches-bin"
PER_BATCH = 30
IMAGES = RANDOM.integers(0, 256, (6 * PER_BATCH, 3, 32, 32), np.uint8)
LABELS = np.arange(6 * PER_BATCH) % 10
HASHES = {
    "train": "510f8810879521da21ea63dc1dd95dc2a6df5a40838519685789e081fe5bd63e",
    "test": "8b503f87da601dc3e271e0df3b868af316f9f20e65833f643e4e0a11a1034fa2",
}


def record(index: int) -> bytes:
    return bytes([LABELS[index]]) + b"".join(IMAGES[index, colour].tobytes() for colour in range(3))


def batches() -> dict[str, bytes]:
    """The six files; the last holds the test images."""
    names = [*BATCHES, "test_batch.bin"]
    return {name: b"".join(map(record, range(i * PER_BATCH, (i + 1) * PER_BATCH))) for i, name in enumerate(names)}


def archived(root: Path, monkeypatch: pytest.MonkeyPatch, members: dict[str, bytes], link: str = "") -> Path:
    """An archive whose md5 is taken for the published one."""
    path = root / "cifar-10-binary.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        if link:
            info = tarfile.TarInfo(link)
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(info)
    monkeypatch.setattr(Cifar10, "archive_md5", hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest())
    return path


def unpacked(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in batches().items():
        (folder / name).write_bytes(content)


@pytest.mark.parametrize("form", ["archive", "folder", "files"])
def test_packed_records_come_back_in_their_order(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if form == "archive":
        archived(tmp_path, monkeypatch, {f"{FOLDER}/{name}": content for name, content in batches().items()})
    else:
        unpacked(tmp_path / (FOLDER if form == "folder" else ""))
    train, test = (Cifar10(tmp_path).load(split) for split in ("train", "test"))
    np.testing.assert_array_equal(np.concatenate([train.images, test.images]), IMAGES)
    np.testing.assert_array_equal(np.concatenate([train.labels, test.labels]), LABELS)
    assert train.images.flags.writeable
    assert train.notes[0] == "150 of the 50,000 published train images"
    assert ("the .bin files were not checked" in "".join(train.notes)) == (form != "archive")


def test_another_archive_than_the_published_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(b"not an archive")
    with pytest.raises(BrokenData, match=r"md5 [0-9a-f]{32} instead of c32a1d4ab5d03f1284b67883e8d87530"):
        Cifar10(tmp_path).load("train")


@pytest.mark.parametrize("outside", ["/tmp/x.bin", "../x.bin", f"{FOLDER}/../../x.bin"])  # noqa: S108  # never written
def test_members_that_point_outside_are_refused(outside: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    members = {f"{FOLDER}/{name}": content for name, content in batches().items()}
    archived(tmp_path, monkeypatch, members | {outside: b"x"})
    with pytest.raises(BrokenData, match=r"refused: its member '.*x\.bin' is a link or points outside"):
        Cifar10(tmp_path).load("test")


def test_links_in_the_archive_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archived(tmp_path, monkeypatch, {}, link=f"{FOLDER}/test_batch.bin")
    with pytest.raises(BrokenData, match=r"refused: its member .*test_batch\.bin' is a link"):
        Cifar10(tmp_path).load("test")


def test_a_cut_archive_a_cut_file_and_a_missing_file_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archived(tmp_path, monkeypatch, {f"{FOLDER}/{BATCHES[0]}": batches()[BATCHES[0]]})
    with pytest.raises(MissingData, match=r"not in the archive.*data_batch_2\.bin"):
        Cifar10(tmp_path).load("train")
    path.write_bytes(path.read_bytes()[:4000])
    monkeypatch.setattr(Cifar10, "archive_md5", hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest())
    with pytest.raises(BrokenData, match="not a readable tar archive"):
        Cifar10(tmp_path).load("train")
    path.unlink()
    unpacked(tmp_path / FOLDER)
    (tmp_path / FOLDER / "test_batch.bin").write_bytes(batches()["test_batch.bin"][:-1])
    with pytest.raises(BrokenData, match=r"cut off: 92,189 bytes are not a whole number of records of 3073"):
        Cifar10(tmp_path).load("test")
    (tmp_path / FOLDER / BATCHES[2]).unlink()
    with pytest.raises(MissingData, match=r"data_batch_3\.bin"):
        Cifar10(tmp_path).load("train")


class Opened:
    """Fails the test when a pickle of it is opened."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pytest.fail, ("the pickle was opened",)


@pytest.mark.parametrize("name", ["cifar-10-python.tar.gz", "cifar-10-batches-py/data_batch_1", "data_batch_1"])
def test_the_pickled_version_is_never_opened_and_the_binary_one_is_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(Opened()))
    with pytest.raises(BrokenData, match=r"the pickled version of cifar10 is not read.*cifar-10-binary\.tar\.gz"):
        Cifar10(tmp_path).load("train")


def sheet(root: Path, split: str, label: int, first: int = 0) -> np.ndarray:
    """Writes a sheet of plain tiles, tile i of colour (class, i mod 256, i // 256); returns these colours."""
    colours = np.stack([np.full(1000, label), np.arange(1000) % 256, np.arange(1000) // 256], 1).astype(np.uint8)
    tiles = colours.reshape(25, 40, 3).repeat(32, 0).repeat(32, 1)
    path = root / f"{split}_{label}_{Cifar10.classes[label]}_{first:04d}.webp"
    Image.fromarray(tiles).save(path, lossless=True, quality=0, method=0)
    return colours


def test_sheets_come_back_tile_by_tile_class_by_class(tmp_path: Path) -> None:
    colours = np.concatenate([sheet(tmp_path, "train", label) for label in range(10)])
    (tmp_path / "lossy.json").write_text(json.dumps({"train": [[3, 17], [3, 1017], [9, 999]], "test": [[0, 0]]}))
    read = Cifar10(tmp_path).load("train")
    assert read.images.shape == (10_000, 3, 32, 32)
    np.testing.assert_array_equal(read.images, np.broadcast_to(colours[:, :, None, None], read.images.shape))
    np.testing.assert_array_equal(read.labels, np.arange(10_000) // 1000)
    assert read.is_partial
    # The image at place 1017 of class 3 is on a sheet that is not here.
    assert read.notes == ("10,000 of the 50,000 published train images", "2 train images come from lossy JPEGs")


def test_sheets_that_do_not_fit_together_are_named(tmp_path: Path) -> None:
    sheet(tmp_path, "test", 0)
    with pytest.raises(MissingData, match="sheets that other classes have: automobile 0000, bird 0000"):
        Cifar10(tmp_path).load("test")
    (tmp_path / "test_0_cat_0000.webp").write_bytes(b"")
    with pytest.raises(BrokenData, match=r"not the name of a sheet such as test_0_airplane_0000\.webp"):
        Cifar10(tmp_path).load("test")


@pytest.mark.parametrize("how", ["cut", "png", "size"])
def test_pictures_that_are_no_sheets_are_broken_data(how: str, tmp_path: Path) -> None:
    for label in range(10):
        sheet(tmp_path, "test", label)
    path = tmp_path / "test_4_deer_0000.webp"
    if how == "cut":
        path.write_bytes(path.read_bytes()[:-40])
    else:
        size = (64, 64) if how == "size" else (1280, 800)
        Image.new("RGB", size).save(path, format="PNG" if how == "png" else "WEBP", lossless=True)
    expected = r"a picture of \(64, 64\) pixels instead of \(1280, 800\)" if how == "size" else "not a readable WebP"
    with pytest.raises(BrokenData, match=rf"{expected}.*test_4_deer_0000\.webp"):
        Cifar10(tmp_path).load("test")


@pytest.mark.parametrize(("split", "n_images", "n_lossy"), [("train", 20_000, 29), ("test", 10_000, 25)])
def test_the_real_sheets_hold_as_many_images_of_every_class(
    real_data: Path, split: str, n_images: int, n_lossy: int
) -> None:
    read = Cifar10(real_data / "cifar10").load(split)
    assert np.bincount(read.labels).tolist() == [n_images // 10] * 10
    assert read.is_partial == (split == "train")
    assert read.notes[-1] == f"{n_lossy} {split} images come from lossy JPEGs"
    assert read.content_hash == HASHES[split]
    picture = np.asarray(Image.open(real_data / "cifar10" / f"{split}_6_frog_0000.webp").convert("RGB"))
    tile = picture[3 * 32 : 4 * 32, 7 * 32 : 8 * 32]  # row 3, column 7 is the image at place 127
    np.testing.assert_array_equal(read.images[6 * n_images // 10 + 127], tile.transpose(2, 0, 1))
