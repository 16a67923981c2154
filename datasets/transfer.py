"""Brings one file over a line that may drop: resumes where it stopped, checks what came, and only then names it.

While it grows the file is `<name>.part`; beside it `<name>.part.version` holds the server's ETag or date (RFC 9110,
8.8), so that a file that changed meanwhile is begun anew and never spliced from two versions (If-Range, 13.1.5).
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

from .annex import LARGEST_POINTER, pointer_key
from .errors import BrokenData, MissingData, WrongArgument
from .remote import RemoteFile
from .web import RangeNotSatisfiable, Unreachable, open_url

BLOCK = 2**18  # bytes


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to insist: tries in a row that bring nothing new, first pause and longest silence in s.

    The pause doubles after each such try, up to a minute.
    """

    tries: int = 6
    pause: float = 1.0
    silence: float = 30.0


PATIENCE = Patience()


def destination(file: RemoteFile, root: Path) -> Path:
    """Where the file goes. Raises `WrongArgument` when a linked folder leads out of the root."""
    target = root / file.path
    if not target.parent.resolve().is_relative_to(root.resolve()):
        raise WrongArgument("a link leads out of the root", target.parent, "Choose another --root, or remove the link.")
    return target


def is_complete(file: RemoteFile, target: Path) -> bool:
    """Whether the file is there with the size and checksums that are known of it."""
    return target.is_file() and _difference(file, target) is None


def download(
    file: RemoteFile,
    root: Path,
    patience: Patience = PATIENCE,
    progress: Callable[[int], None] = lambda size: None,
) -> Path:
    """Bring the file below `root` and return its path; `progress` is told how many bytes of it are here.

    The caller holds the lock on the root (see `fetch`). Raises `BrokenData` when what came is not what was promised,
    `Unreachable` when the tries are used up, `MissingData` for a git-annex pointer in its place.
    """
    target = destination(file, root)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = _Part(file, target.with_name(f"{target.name}.part"), progress)
    _insist(part, patience)
    _refuse_pointer(file, part)
    difference = _difference(file, part.path)
    if difference:
        part.discard()
        raise BrokenData(f"what came is not what was promised: {difference}", file.url, "Fetch it again.")
    os.replace(part.path, target)
    part.version.unlink(missing_ok=True)
    return target


def _insist(part: _Part, patience: Patience) -> None:
    best, failures = part.size, 0
    while True:
        try:
            return part.grow(patience.silence)
        except Unreachable:
            # Only a longer part than ever counts as progress: a server without ranges may drop at the same place.
            failures = 0 if part.size > best else failures + 1
            best = max(best, part.size)
            if failures >= patience.tries:
                raise
        time.sleep(min(patience.pause * 2**failures, 60.0))


class _Part:
    """The beginning of a file, and the version of the file on the server to which it belongs."""

    def __init__(self, file: RemoteFile, path: Path, progress: Callable[[int], None]) -> None:
        self.path, self.version = path, path.with_name(f"{path.name}.version")
        self._file, self._progress = file, progress

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self.version.unlink(missing_ok=True)

    def grow(self, silence: float) -> None:
        """One request for what is missing. Raises `Unreachable` when the line drops; what came stays."""
        known = self.version.read_text() if self.version.exists() else ""
        have = self.size
        if have and (not known or have > (self._file.size or have)):
            self.discard()
            have = 0
        if have and have == self._file.size:
            return self._progress(have)
        ask = {"Range": f"bytes={have}-", "If-Range": known} if have else {}
        try:
            with open_url(self._file.url, {"Accept-Encoding": "identity", **ask}, silence) as response:
                self._take(response, have, known)
        except RangeNotSatisfiable:
            # The part is all there is (then the check passes), or the file has become shorter (then it fails).
            if self._file.size is not None:
                self.discard()
                raise Unreachable("the file changed on the server", self._file.url, "Fetch it again.") from None

    def _take(self, response: HTTPResponse, have: int, known: str) -> None:
        start, total = self._extent(response, have)
        if start and _version(response) != known:
            self.discard()
            raise Unreachable("the file changed on the server", self._file.url, "Fetch it again.")
        self._check_total(total)
        if not start:
            self.discard()  # first, so that no old bytes ever stand beside a new version
        self.version.write_text(_version(response))
        with self.path.open("ab" if start else "wb") as out:
            while block := response.read(BLOCK):
                out.write(block)
                self._progress(out.tell())
                self._check_length(out.tell(), total)
        if total is not None and self.size < total:
            raise Unreachable(f"the line dropped after {self.size:,} of {total:,} bytes", self._file.url, "Try again.")

    def _extent(self, response: HTTPResponse, have: int) -> tuple[int, int | None]:
        """First byte of the answer and length of the whole file; a server without ranges begins anew."""
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise BrokenData("the server compresses what it sends", self._file.url, "Get the file by hand.")
        if response.status != 206:
            length = response.headers.get("Content-Length", "")
            return 0, int(length) if length.isdecimal() else None
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if match is None or int(match[1]) != have:
            raise BrokenData("the server sends another range than was asked for", self._file.url, "Get it by hand.")
        return have, None if match[2] == "*" else int(match[2])

    def _check_total(self, total: int | None) -> None:
        """A size other than the promised one is refused before the transfer, unless it may be a pointer's."""
        if total is None or self._file.size in (None, total) or total <= LARGEST_POINTER:
            return
        raise BrokenData(
            f"the server has {total:,} bytes where {self._file.size:,} were promised",
            self._file.url,
            "The file has changed: plan the transfer anew.",
        )

    def _check_length(self, length: int, total: int | None) -> None:
        limit = total if total is not None else self._file.size
        if limit is not None and length > limit:
            self.discard()
            raise BrokenData(f"the server sends more than {limit:,} bytes", self._file.url, "Get it by hand.")


def _version(response: HTTPResponse) -> str:
    """What If-Range may compare: a strong ETag, else the date of the last change, else nothing."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def _refuse_pointer(file: RemoteFile, part: _Part) -> None:
    key = pointer_key(part.path.read_bytes()) if part.size <= LARGEST_POINTER else None
    if key is not None:
        part.discard()
        raise MissingData(
            f"the server holds a git-annex pointer (key {key.key}) in place of {file.path}",
            file.url,
            "Its content lies elsewhere: clone the data set with DataLad and run `datalad get` on this file.",
        )


def _difference(file: RemoteFile, path: Path) -> str | None:
    """How the file on disk departs from what is known of it; None when it does not."""
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        return f"{size:,} bytes instead of {file.size:,}"
    for name, expected, algorithm in (("sha256", file.sha256, hashlib.sha256), ("md5", file.md5, _md5)):
        if expected is not None and (found := _digest(path, algorithm)) != expected.lower():
            return f"{name} {found} instead of {expected}"
    return None


def _md5() -> Any:
    return hashlib.md5(usedforsecurity=False)


def _digest(path: Path, algorithm: Callable[[], Any]) -> str:
    with path.open("rb") as file:
        return str(hashlib.file_digest(file, algorithm).hexdigest())
