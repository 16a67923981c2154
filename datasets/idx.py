"""The idx format of MNIST and its drop-in replacements, plain or gzipped, and where such files lie.

A file is two zero bytes, a byte for the type (8: unsigned byte), a byte for the number of axes, the length of each axis
as a big-endian 32-bit integer, and the values in C order (LeCun, "The MNIST database", section "file formats").
"""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from .annex import absent_key, require_content
from .errors import BrokenData, MissingData
from .labelled_images import Content
from .remote import RemoteFile

UNSIGNED_BYTE = 8
LARGEST = 2**28  # bytes of an unpacked file: five times MNIST's largest, so that a small .gz cannot fill the memory
PREFIX = {"train": "train", "test": "t10k"}


@dataclass(frozen=True, slots=True)
class IdxFile:
    """What is published of a file: name, size in bytes and md5 of its official .gz, md5 of the content if known."""

    name: str
    size: int
    gz_md5: str
    md5: str | None = None


@dataclass(frozen=True, slots=True)
class IdxSource:
    """Four files (images and labels of train and t10k), their folder in torchvision's layout, and where to get them."""

    folder: str
    mirror: str
    files: tuple[IdxFile, ...]

    def remote_files(self) -> list[RemoteFile]:
        """The official .gz files, to lie side by side in the root."""
        names = [(file, f"{file.name}.gz") for file in self.files]
        return [RemoteFile(f"{self.mirror}/{name}", name, file.size, md5=file.gz_md5) for file, name in names]

    def read(self, root: Path, split: str) -> Content:
        """Images (image, 1, height, width), labels and notes of a split.

        Raises `MissingData` without a file, `BrokenData` for one that is not idx, is cut off or has another content.
        """
        images, unsure = self._array(root, f"{PREFIX[split]}-images-idx3-ubyte", 3)
        labels, doubt = self._array(root, f"{PREFIX[split]}-labels-idx1-ubyte", 1)
        return images[:, None], labels.astype(np.int64), (*unsure, *doubt)

    def _array(self, root: Path, name: str, n_axes: int) -> tuple[np.ndarray, tuple[str, ...]]:
        path = _found(root, self.folder, name)
        content = _unpacked(path)
        array = parsed(content, n_axes, path)
        return array, self._verified(name, path, content)

    def _verified(self, name: str, path: Path, content: bytes) -> tuple[str, ...]:
        """Nothing where the content is the published one; a note where no checksum is known that could tell."""
        known = next(file for file in self.files if file.name == name)
        if known.md5 is not None:
            if (found := _md5(content)) != known.md5:
                raise _broken(f"another content than published: md5 {found} instead of {known.md5}", path)
            return ()
        if path.suffix == ".gz" and _md5(path.read_bytes()) == known.gz_md5:
            return ()
        return (f"{path.name} was not checked: a checksum is published of its official .gz only",)


def parsed(content: bytes, n_axes: int, path: Path) -> UInt8[np.ndarray, "*axis"]:
    """The array of an idx file's content, writable. Raises `BrokenData` naming the file at `path`."""
    start = 4 + 4 * n_axes
    if content[:4] != bytes((0, 0, UNSIGNED_BYTE, n_axes)):
        raise _broken(f"it begins with {content[:4].hex()}, not with {UNSIGNED_BYTE:06x}{n_axes:02x}", path)
    if len(content) < start:
        raise _broken(f"cut off in its header, after {len(content)} bytes", path)
    shape = struct.unpack(f">{n_axes}I", content[4:start])
    expected = start + math.prod(shape)
    if len(content) != expected:
        state = "cut off" if len(content) < expected else "longer than its header says"
        raise _broken(f"{state}: {len(content):,} bytes instead of {expected:,}", path)
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()


def _found(root: Path, folder: str, name: str) -> Path:
    """The plain file or the .gz, in the root or where torchvision puts it below the root."""
    places = [root, root / folder / "raw", root / "raw"]
    paths = [place / file for place in places for file in (name, f"{name}.gz")]
    for path in paths:
        if path.is_file() or absent_key(path) is not None:
            return require_content(path)
    remedy = f"Give the folder that holds {name} or {name}.gz, also in torchvision's {folder}/raw."
    raise MissingData(f"no file {name}", root, remedy)


def _unpacked(path: Path) -> bytes:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content: bytes = file.read(LARGEST + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _broken(f"cut off or not gzip: {error}", path) from error
    if len(content) > LARGEST:
        raise _broken(f"it unpacks to more than {LARGEST:,} bytes", path)
    return content


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _broken(what: str, path: Path) -> BrokenData:
    return BrokenData(what, path, "Bring the file again with `plasticode fetch`.")
