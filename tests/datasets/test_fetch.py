"""Oracles: the bytes that a server on this machine holds, however it serves them. No other machine is asked."""

import argparse
import gzip
import hashlib
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from filelock import FileLock
from plasticode.datasets.annex import absent_key, parse_key
from plasticode.datasets.errors import BrokenData, MissingData, PlasticodeError, WrongArgument
from plasticode.datasets.fetch import LOCK, fetch, plan, print_plan
from plasticode.datasets.fetch_command import fetch_arguments, fetch_run
from plasticode.datasets.idx import IdxFile, IdxSource
from plasticode.datasets.labelled_images import ImageCollection, image_class, image_names
from plasticode.datasets.lebel2023 import Lebel2023
from plasticode.datasets.mnist import Mnist
from plasticode.datasets.remote import RemoteFile, s3_files
from plasticode.datasets.transfer import Patience
from plasticode.datasets.web import Unreachable, open_url
from rich.console import Console

CONTENT = np.random.default_rng(0).bytes(300_000)
OTHER = np.random.default_rng(1).bytes(300_000)
QUICK = Patience(tries=3, pause=0.0, silence=5.0)


@dataclass
class Bucket:
    """A server's files and manners; `requests` records the Range of every request for a file."""

    files: dict[str, bytes] = field(default_factory=dict)
    url: str = ""
    drop_after: int | None = None  # bytes of each answer after which the line drops
    ranges: bool = True
    etags: bool = True
    failures: int = 0  # answers with status 503 before the first good one
    redirect: str = ""
    page: int = 1000  # entries per page of the listing
    extra: bytes = b""  # sent after the content, without a Content-Length
    requests: list[str] = field(default_factory=list)

    def file(self, name: str, **known: object) -> RemoteFile:
        return RemoteFile(f"{self.url}/{name}", name, **known)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    bucket: Bucket

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        bucket, path = self.bucket, urlsplit(self.path)
        if path.query:
            return self._answer(200, _listing(bucket, parse_qs(path.query)), {})
        bucket.requests.append(self.headers.get("Range", ""))
        if bucket.failures:
            bucket.failures -= 1
            return self._answer(503, b"", {})
        if bucket.redirect:
            return self._answer(302, b"", {"Location": bucket.redirect})
        content = bucket.files.get(path.path.removeprefix("/"))
        if content is None:
            return self._answer(404, b"", {})
        return self._send(content)

    def _send(self, content: bytes) -> None:
        etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        headers = {"ETag": etag} if self.bucket.etags else {}
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        if not self.bucket.ranges or self.headers.get("If-Range", etag) != etag or not start:
            return self._answer(200, content, headers)
        if start >= len(content):
            return self._answer(416, b"", headers)
        headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return self._answer(206, content[start:], headers)

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if not self.bucket.extra:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write((body + self.bucket.extra)[: self.bucket.drop_after])
        self.close_connection = True


def _listing(bucket: Bucket, query: dict[str, list[str]]) -> bytes:
    keys = sorted(key for key in bucket.files if key.startswith(query["prefix"][0]))
    start = int(query.get("continuation-token", ["0"])[0])
    page, more = keys[start : start + bucket.page], start + bucket.page < len(keys)
    entries = "".join(f"<Contents><Key>{k}</Key><Size>{len(bucket.files[k])}</Size></Contents>" for k in page)
    successor = f"<NextContinuationToken>{start + bucket.page}</NextContinuationToken>" if more else ""
    head = '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    return f"{head}<IsTruncated>{str(more).lower()}</IsTruncated>{successor}{entries}</ListBucketResult>".encode()


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    bucket = Bucket({"data/run.hf5": CONTENT})
    handler = type("Handler", (_Handler,), {"bucket": bucket})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    bucket.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield bucket
    server.shutdown()
    server.server_close()
    thread.join(timeout=5)


def brought(bucket: Bucket, root: Path, **known: object) -> bytes:
    known = known or {"size": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()}
    (path,) = fetch([bucket.file("data/run.hf5", **known)], root, progress=False, patience=QUICK)
    assert path == root / "data" / "run.hf5"
    assert sorted(p.name for p in path.parent.iterdir()) == ["run.hf5"]  # no part is left
    return path.read_bytes()


def begun(root: Path, content: bytes, version: bytes | None = CONTENT) -> None:
    """A transfer that was interrupted after `content`, of the file whose whole is `version`."""
    (root / "data").mkdir()
    (root / "data" / "run.hf5.part").write_bytes(content)
    if version is not None:
        etag = f'"{hashlib.sha256(version).hexdigest()[:16]}"'
        (root / "data" / "run.hf5.part.version").write_text(etag)


def test_a_file_arrives_as_it_is(bucket: Bucket, tmp_path: Path) -> None:
    assert brought(bucket, tmp_path) == CONTENT


def test_a_complete_file_is_not_asked_for_again(bucket: Bucket, tmp_path: Path) -> None:
    brought(bucket, tmp_path)
    bucket.requests.clear()
    assert brought(bucket, tmp_path) == CONTENT
    assert bucket.requests == []


def test_a_line_that_drops_is_resumed_where_it_dropped(bucket: Bucket, tmp_path: Path) -> None:
    bucket.drop_after = 80_000
    assert brought(bucket, tmp_path) == CONTENT
    assert bucket.requests == ["", "bytes=80000-", "bytes=160000-", "bytes=240000-"]


def test_an_interrupted_transfer_is_resumed(bucket: Bucket, tmp_path: Path) -> None:
    begun(tmp_path, CONTENT[:1000])
    assert brought(bucket, tmp_path) == CONTENT
    assert bucket.requests == ["bytes=1000-"]


def test_a_part_that_is_whole_only_needs_its_check(bucket: Bucket, tmp_path: Path) -> None:
    begun(tmp_path, CONTENT)
    assert brought(bucket, tmp_path) == CONTENT
    assert bucket.requests == []


def test_status_416_at_the_end_of_a_file_of_unknown_size_is_its_end(bucket: Bucket, tmp_path: Path) -> None:
    begun(tmp_path, CONTENT)
    assert brought(bucket, tmp_path, sha256=hashlib.sha256(CONTENT).hexdigest()) == CONTENT
    assert bucket.requests == ["bytes=300000-"]


def test_a_server_without_ranges_begins_anew(bucket: Bucket, tmp_path: Path) -> None:
    bucket.ranges = False
    begun(tmp_path, CONTENT[:1000])
    assert brought(bucket, tmp_path) == CONTENT


def test_two_versions_of_a_file_are_never_spliced(bucket: Bucket, tmp_path: Path) -> None:
    begun(tmp_path, OTHER[:1000], version=OTHER)
    assert brought(bucket, tmp_path, size=len(CONTENT)) == CONTENT


def test_a_part_of_unknown_version_is_begun_anew(bucket: Bucket, tmp_path: Path) -> None:
    begun(tmp_path, OTHER[:1000], version=None)
    assert brought(bucket, tmp_path, size=len(CONTENT)) == CONTENT
    assert bucket.requests == [""]


def test_without_a_version_from_the_server_nothing_is_resumed(bucket: Bucket, tmp_path: Path) -> None:
    bucket.etags, bucket.drop_after = False, 80_000
    with pytest.raises(Unreachable, match="the line dropped after 80,000 of 300,000 bytes"):
        brought(bucket, tmp_path)
    assert set(bucket.requests) == {""}


def test_a_busy_server_is_asked_again(bucket: Bucket, tmp_path: Path) -> None:
    bucket.failures = 2
    assert brought(bucket, tmp_path) == CONTENT


def test_tries_are_bounded(bucket: Bucket, tmp_path: Path) -> None:
    bucket.failures = 100
    with pytest.raises(Unreachable, match=r"status 503 .*Try again later"):
        brought(bucket, tmp_path)
    assert len(bucket.requests) == QUICK.tries


def test_an_absent_file_is_not_asked_for_twice(bucket: Bucket, tmp_path: Path) -> None:
    del bucket.files["data/run.hf5"]
    with pytest.raises(MissingData, match=r"nothing to be had there \(status 404\)"):
        brought(bucket, tmp_path)
    assert len(bucket.requests) == 1


@pytest.mark.parametrize("known", [{"sha256": "0" * 64}, {"md5": "0" * 32, "size": 300_000}])
def test_other_content_than_promised_never_gets_the_name(
    bucket: Bucket, tmp_path: Path, known: dict[str, object]
) -> None:
    with pytest.raises(BrokenData, match=r"not what was promised: (sha256|md5) [0-9a-f]+ instead of 0+"):
        brought(bucket, tmp_path, **known)
    assert list((tmp_path / "data").iterdir()) == []


def test_another_size_is_refused_before_the_transfer(bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises(BrokenData, match="300,000 bytes where 7,000,000 were promised"):
        brought(bucket, tmp_path, size=7_000_000)


def test_more_than_promised_is_cut_off(bucket: Bucket, tmp_path: Path) -> None:
    bucket.extra = b"x" * 2_000_000
    with pytest.raises(BrokenData, match="sends more than 300,000 bytes"):
        brought(bucket, tmp_path)
    assert list((tmp_path / "data").iterdir()) == []


def test_what_cannot_be_verified_is_refused(bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises(WrongArgument, match="neither size nor checksum is known"):
        fetch([bucket.file("data/run.hf5")], tmp_path, progress=False)
    assert bucket.requests == []


def test_what_does_not_fit_on_the_disk_is_not_begun(bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises(PlasticodeError, match=r"PB are to come but .* are free"):
        brought(bucket, tmp_path, size=10**18 - 10**15)
    assert bucket.requests == []


def test_one_process_at_a_time_fetches_into_a_folder(bucket: Bucket, tmp_path: Path) -> None:
    with FileLock(tmp_path / LOCK), pytest.raises(WrongArgument, match="another process fetches into this folder"):
        brought(bucket, tmp_path)


POINTER = "MD5E-s300000--" + hashlib.md5(CONTENT, usedforsecurity=False).hexdigest() + ".hf5"


def test_a_git_annex_pointer_from_the_server_is_named(bucket: Bucket, tmp_path: Path) -> None:
    bucket.files["data/run.hf5"] = f"/annex/objects/{POINTER}\n".encode()
    with pytest.raises(
        MissingData, match=rf"git-annex pointer \(key {POINTER}\) in place of data/run\.hf5.*datalad get"
    ):
        brought(bucket, tmp_path)
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize("link", [True, False])
def test_a_local_pointer_says_what_its_content_must_be(bucket: Bucket, tmp_path: Path, link: bool) -> None:
    path = tmp_path / "data" / "run.hf5"
    path.parent.mkdir()
    if link:
        path.symlink_to(f"../.git/annex/objects/aa/bb/{POINTER}/{POINTER}")
    else:
        path.write_text(f"/annex/objects/{POINTER}")
    file = bucket.file("data/run.hf5")  # neither size nor checksum: both come from the key
    fetch([file], tmp_path, progress=False, patience=QUICK)
    assert path.read_bytes() == CONTENT
    assert not path.is_symlink()
    path.write_text(f"/annex/objects/{POINTER}")
    bucket.files["data/run.hf5"] = OTHER
    with pytest.raises(BrokenData, match="md5"):
        fetch([file], tmp_path, progress=False, patience=QUICK)
    assert absent_key(path) == parse_key(POINTER)  # what was there stays


def test_a_linked_folder_out_of_the_root_is_refused(bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "root" / "data").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(WrongArgument, match="a link leads out of the root"):
        brought(bucket, tmp_path / "root")


@pytest.mark.parametrize("target", ["http://example.org/run", "file:///etc/passwd"])
def test_a_redirect_elsewhere_than_to_https_is_refused(bucket: Bucket, tmp_path: Path, target: str) -> None:
    bucket.redirect = target
    with pytest.raises(PlasticodeError, match=r"not HTTPS|status 302"):
        brought(bucket, tmp_path)
    assert not (tmp_path / "data" / "run.hf5").exists()


def test_a_listing_is_read_to_its_last_page(bucket: Bucket) -> None:
    bucket.files = {f"ds/d/file {number}": bytes(number) for number in range(5)}
    bucket.page = 2
    files = s3_files(bucket.url, "ds/d/", strip="ds/")
    assert [(file.path, file.size) for file in files] == [(f"d/file {number}", number) for number in range(5)]
    assert files[0].url == f"{bucket.url}/ds/d/file%200"


def test_what_is_no_listing_is_named(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    for body, what in (
        (b"<html>", "not a listing"),
        (b"<!DOCTYPE x><x/>", "declares entities"),
        (b"<x/>", "it is a 'x'"),
    ):
        monkeypatch.setitem(globals(), "_listing", lambda *_, body=body: body)
        with pytest.raises(BrokenData, match=what):
            s3_files(bucket.url, "ds/")


def lebel(bucket: Bucket, folder: str) -> None:
    base = f"ds003020/{folder}"
    bucket.files = {
        f"{base}/preprocessed_data/UTS03/a.hf5": CONTENT,
        f"{base}/preprocessed_data/UTS03/notes.txt": b"not needed",
        f"{base}/preprocessed_data/UTS04/b.hf5": OTHER,
        f"{base}/TextGrids/a.TextGrid": b"grid a",
        f"{base}/TextGrids/b.TextGrid": b"grid b",
        f"{base}/respdict.json": b"{}",
    }


@pytest.mark.parametrize("folder", ["derivatives", "derivative"])
def test_a_subject_of_lebel2023_is_planned_and_brought(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lebel(bucket, folder)
    monkeypatch.setattr(Lebel2023, "bucket", bucket.url)
    wanted = [f"{folder}/{name}" for name in ("preprocessed_data/UTS03/a.hf5", "TextGrids/a.TextGrid", "respdict.json")]
    assert [file.path for file in plan("lebel2023", ["UTS03"])] == wanted
    arguments = ["lebel2023", "--subject", "UTS03", "--root", str(tmp_path / "root")]
    fetch_run(parsed([*arguments, "--dry-run"]))
    assert not (tmp_path / "root").exists()
    printed = capsys.readouterr().out
    assert "300.0 kB  size    to fetch  " + wanted[0] in printed
    assert "300.0 kB in 3 files; 300.0 kB in 3 files to fetch" in printed
    fetch_run(parsed(arguments))
    assert Lebel2023(tmp_path / "root").recordings() == [("UTS03", "a", "")]
    with pytest.raises(MissingData, match=r"no recordings of UTS09 .*There are UTS01 to UTS08"):
        plan("lebel2023", ["UTS09"])


def test_a_plan_says_what_is_here_already(bucket: Bucket, tmp_path: Path) -> None:
    brought(bucket, tmp_path)
    console = Console(record=True, width=40)
    print_plan([bucket.file("data/run.hf5", size=300_000), bucket.file("b", size=1, md5="0" * 32)], tmp_path, console)
    lines = console.export_text().splitlines()
    assert lines[0].split() == ["300.0", "kB", "size", "here", "data/run.hf5"]
    assert lines[1].split() == ["1", "byte", "md5", "to", "fetch", "b"]


def test_a_dry_run_without_a_network_estimates(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(Lebel2023, "bucket", "http://127.0.0.1:9")  # the discard port: nobody answers
    fetch_run(parsed(["lebel2023", "--subject", "UTS03", "--dry-run"]))
    out, notice = capsys.readouterr()
    assert "this is an estimate" in notice
    assert "21.5 GB    84 files  derivatives/preprocessed_data/UTS03/*.hf5" in out
    with pytest.raises(Unreachable, match="Check the network and try again"):
        fetch_run(parsed(["lebel2023", "--subject", "UTS03", "--root", str(tmp_path)]))


def test_a_study_without_a_public_place_says_where_to_get_it() -> None:
    with pytest.raises(MissingData, match=r"brennan2016 cannot be fetched \(https://.*Get it from there by hand"):
        plan("brennan2016")
    with pytest.raises(WrongArgument, match=r"no subject named \(--subject\)"):
        plan("lebel2023")


def digits(kind: str, n_images: int) -> dict[str, bytes]:
    """Two idx files of black digits, unpacked."""
    header = struct.pack(">4B3I", 0, 0, 8, 3, n_images, 28, 28), struct.pack(">4BI", 0, 0, 8, 1, n_images)
    labels = bytes(i % 10 for i in range(n_images))
    return {
        f"{kind}-images-idx3-ubyte": header[0] + bytes(n_images * 784),
        f"{kind}-labels-idx1-ubyte": header[1] + labels,
    }


def test_mnist_is_planned_brought_and_read(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    contents = digits("train", 20) | digits("t10k", 10)
    bucket.files = {f"{name}.gz": gzip.compress(content) for name, content in contents.items()}
    known = tuple(
        IdxFile(name, len(bucket.files[f"{name}.gz"]), md5(bucket.files[f"{name}.gz"]), md5(content))
        for name, content in contents.items()
    )
    monkeypatch.setattr(Mnist, "source", IdxSource("MNIST", bucket.url, known))
    root = tmp_path / "mnist"
    fetch_run(parsed(["mnist", "--root", str(root), "--dry-run"]))
    assert not root.exists()
    assert bucket.requests == []
    assert "md5     to fetch  train-images-idx3-ubyte.gz" in capsys.readouterr().out
    fetch_run(parsed(["mnist", "--root", str(root)]))
    assert Mnist(root).load("train").labels.tolist() == list(range(10)) * 2
    assert len(Mnist(root).load("test")) == 10


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("name", image_names())
def test_the_files_of_every_image_collection_are_planned_without_a_network_and_can_be_verified(name: str) -> None:
    files = plan(name)
    assert files == image_class(name).published_files()
    assert all(file.url.startswith("https://") and file.md5 and file.size for file in files)
    assert len({file.path for file in files}) == len(files)


def test_an_image_that_came_with_another_content_is_refused(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Moved(ImageCollection):
        """The published archive at the test's server, which holds another."""

        dataset = url = doi = licence = citation = "x"
        classes, info = ("a",), {}

        @classmethod
        def published_files(cls) -> list[RemoteFile]:
            return [RemoteFile(f"{bucket.url}/data/run.hf5", "run", len(CONTENT), md5=md5(OTHER))]

        def _read(self, split: str) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
            raise AssertionError("nothing is read")

    with pytest.raises(BrokenData, match=r"what came is not what was promised: md5 .* instead of"):
        fetch(Moved.remote_files([]), tmp_path, progress=False, patience=QUICK)
    assert not (tmp_path / "run").exists()


def test_images_have_no_subjects_and_unknown_names_list_what_there_is() -> None:
    with pytest.raises(WrongArgument, match=r"mnist has no subjects \(--subject\)"):
        plan("mnist", ["UTS03"])
    with pytest.raises(
        MissingData, match=r"no study or image collection named 'fashionmnist'.*lebel2023.*fashion_mnist"
    ):
        plan("fashionmnist")


def test_help_gives_an_example() -> None:
    parser = argparse.ArgumentParser(prog="plasticode fetch")
    fetch_arguments(parser)
    assert "plasticode fetch lebel2023 --subject UTS03" in parser.format_help()


def test_a_response_is_closed_with_its_block(bucket: Bucket) -> None:
    with open_url(f"{bucket.url}/data/run.hf5", {}, timeout=5) as response:
        assert response.read(10) == CONTENT[:10]
    assert response.closed


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    fetch_arguments(parser)
    return parser.parse_args(arguments)
