"""The official binary version of CIFAR-10, from the archive or from its unpacked files.

A record is a byte for the class and 3072 bytes for the image: the rows of red, then green, then blue (readme.html in
the archive). Five files hold the training images, one the test images.
"""

from __future__ import annotations

import hashlib
import tarfile
import zlib
from pathlib import Path, PurePosixPath

import numpy as np

from .annex import absent_key, require_content
from .errors import BrokenData, MissingData
from .labelled_images import Content

ARCHIVE, SIZE = "cifar-10-binary.tar.gz", 170_052_171  # name and bytes
FOLDER = "cifar-10-batches-bin"
FILES = {"train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)), "test": ("test_batch.bin",)}
IMAGE = 3, 32, 32
RECORD = 1 + 3 * 32 * 32  # bytes
LARGEST = 10_000 * RECORD  # bytes of a file


def read_binary(root: Path, split: str, archive_md5: str) -> Content | None:
    """Images, labels and notes of a split; None when the folder holds nothing of this form.

    Raises `BrokenData` for an archive with another md5 or with members that point outside, and for files that are cut
    off; `MissingData` when one of several files is not there.
    """
    for folder in (root / FOLDER, root):
        if any((folder / name).exists() for name in FILES[split]):
            contents = [_file(folder / name) for name in FILES[split]]
            return *_records(contents), (
                "the .bin files were not checked: a checksum is published of the archive only",
            )
    archive = root / ARCHIVE
    if archive.is_file() or absent_key(archive) is not None:
        return *_records(_members(require_content(archive), split, archive_md5)), ()
    return None


def _records(contents: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    records = np.frombuffer(b"".join(contents), np.uint8).reshape(-1, RECORD)
    return records[:, 1:].reshape(-1, *IMAGE).copy(), records[:, 0].astype(np.int64)


def _file(path: Path) -> bytes:
    size = require_content(path).stat().st_size
    if size > LARGEST:
        raise _broken(f"{size:,} bytes instead of {LARGEST:,}", path)
    return _whole(path.read_bytes(), path)


def _members(archive: Path, split: str, archive_md5: str) -> list[bytes]:
    """Content of the split's files, read into memory: nothing is unpacked to disk."""
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != archive_md5:
        raise _broken(f"another archive than published: md5 {found} instead of {archive_md5}", archive)
    try:
        with tarfile.open(archive, "r:gz") as tar:
            members = {member.name: member for member in tar if _stays_inside(member, archive)}
            return [_member(tar, members.get(f"{FOLDER}/{name}"), archive / name) for name in FILES[split]]
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise _broken(f"not a readable tar archive: {error}", archive) from error


def _stays_inside(member: tarfile.TarInfo, archive: Path) -> bool:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
        raise _broken(f"refused: its member {member.name!r} is a link or points outside", archive)
    return True


def _member(tar: tarfile.TarFile, member: tarfile.TarInfo | None, where: Path) -> bytes:
    stream = None if member is None or member.size > LARGEST else tar.extractfile(member)
    if stream is None:
        raise MissingData("not in the archive, or larger than published", where, "Bring the archive again.")
    return _whole(stream.read(), where)


def _whole(content: bytes, path: Path) -> bytes:
    if len(content) % RECORD or not content:
        raise _broken(f"cut off: {len(content):,} bytes are not a whole number of records of {RECORD}", path)
    return content


def _broken(what: str, path: Path) -> BrokenData:
    return BrokenData(what, path, "Bring the archive again with `plasticode fetch cifar10`.")
