"""Files elsewhere: what is known of each before it is brought, and the listing of a public S3 bucket."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

from .errors import BrokenData, WrongArgument
from .web import open_url, require_safe

LARGEST_LISTING = 8 * 2**20  # bytes; a page of 1,000 names takes about 0.5 MB
MOST_PAGES = 1000


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file to bring: `path` is relative to the root, `size` in bytes.

    Raises `WrongArgument` for an address that is not HTTPS and for a path that leads out of the root.
    """

    url: str
    path: str
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None

    def __post_init__(self) -> None:
        require_safe(self.url)
        parts = PurePosixPath(self.path).parts
        if not parts or parts[0] == "/" or ".." in parts or any(sign in self.path for sign in ("\\", ":", "\0")):
            raise WrongArgument(f"refused the path {self.path!r}, which leads out of the root", self.url, "Report it.")

    @property
    def verifiable(self) -> bool:
        return self.size is not None or self.sha256 is not None or self.md5 is not None


@dataclass(frozen=True, slots=True)
class Estimate:
    """`count` files that match `pattern`, about `size` bytes together."""

    pattern: str
    count: int
    size: int


def s3_files(bucket: str, prefix: str, strip: str = "") -> list[RemoteFile]:
    """All files of a public bucket whose key begins with `prefix`; paths are keys without `strip`.

    The listing gives sizes. Its ETag is no checksum for files that were uploaded in parts, so it is not used as one.

    Raises `Unreachable` without a network, `BrokenData` when the answer is not a listing.
    """
    files: list[RemoteFile] = []
    for page in _pages(bucket, prefix):
        for entry in page.iterfind("{*}Contents"):
            key, size = entry.findtext("{*}Key", ""), entry.findtext("{*}Size", "")
            if not key.startswith(prefix) or not size.isdecimal():
                raise _no_listing(bucket, f"entry {key!r} of size {size!r}")
            if not key.endswith("/"):
                files.append(RemoteFile(f"{bucket}/{quote(key)}", key.removeprefix(strip), int(size)))
    return files


def _pages(bucket: str, prefix: str) -> Iterator[ElementTree.Element]:
    token = ""
    for _ in range(MOST_PAGES):
        page = _page(bucket, {"list-type": "2", "prefix": prefix} | ({"continuation-token": token} if token else {}))
        yield page
        token = page.findtext("{*}NextContinuationToken", "")
        if page.findtext("{*}IsTruncated", "false") != "true":
            return
        if not token:
            raise _no_listing(bucket, "a page without its successor")
    raise _no_listing(bucket, f"more than {MOST_PAGES} pages")


def _page(bucket: str, query: dict[str, str]) -> ElementTree.Element:
    url = f"{bucket}?{urlencode(query)}"
    with open_url(url, {"Accept-Encoding": "identity"}) as response:
        body = response.read(LARGEST_LISTING + 1)
    if len(body) > LARGEST_LISTING or b"<!" in body:  # a listing declares no entities
        raise _no_listing(bucket, "it is too long or declares entities")
    try:
        page = ElementTree.fromstring(body)  # noqa: S314  # without declarations there is nothing to expand
    except ElementTree.ParseError as error:
        raise _no_listing(bucket, str(error)) from error
    if page.tag.rpartition("}")[2] != "ListBucketResult":
        raise _no_listing(bucket, f"it is a {page.tag!r}")
    return page


def _no_listing(bucket: str, what: str) -> BrokenData:
    return BrokenData(f"the answer is not a listing of the bucket: {what}", bucket, "Try again later.")
