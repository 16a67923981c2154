"""Oracle: git-annex's key format, and keys that OpenNeuro's repositories hold."""

from pathlib import Path

import pytest
from plasticode.datasets.annex import absent_key, parse_key, pointer_key, require_content
from plasticode.datasets.errors import MissingData


@pytest.mark.parametrize(
    ("text", "size", "md5", "sha256"),
    [
        ("MD5E-s300000--" + "c" * 32 + ".hf5", 300_000, "c" * 32, None),
        ("SHA256E-s5--" + "a" * 64 + ".mp3", 5, None, "a" * 64),
        ("SHA1--" + "b" * 40, None, None, None),
    ],
)
def test_a_key_promises_size_and_checksum(text: str, size: int | None, md5: str | None, sha256: str | None) -> None:
    key = parse_key(f"../.git/annex/objects/aa/{text}/{text}")
    assert key is not None
    assert (key.key, key.size, key.md5, key.sha256) == (text, size, md5, sha256)
    assert parse_key("just words") is None


def test_only_a_pointer_file_is_a_pointer() -> None:
    assert pointer_key(b"/annex/objects/MD5E-s1--" + b"d" * 32) is not None
    assert pointer_key(b"see /annex/objects/MD5E-s1--" + b"d" * 32) is None
    assert pointer_key(b"/annex/objects/" + b"x" * 40_000) is None


def test_content_that_is_here_is_not_absent(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(MissingData, match=r"no such file .*plasticode fetch"):
        require_content(path)
    path.write_bytes(b"content")
    assert absent_key(path) is None
    assert require_content(path) == path
