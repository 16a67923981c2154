"""Addresses and paths that are refused before anything is asked for or written."""

import pytest
from plasticode.datasets.errors import WrongArgument
from plasticode.datasets.remote import RemoteFile
from plasticode.datasets.web import require_safe


@pytest.mark.parametrize("path", ["../run", "/etc/run", "a/../../run", "", "a\\..\\run", "C:/run"])
def test_a_path_out_of_the_root_is_refused(path: str) -> None:
    with pytest.raises(WrongArgument, match="leads out of the root"):
        RemoteFile("https://example.org/run", path, 1)


@pytest.mark.parametrize("url", ["http://example.org/run", "ftp://example.org/run", "file:///etc/passwd", "run"])
def test_only_https_is_used(url: str) -> None:
    with pytest.raises(WrongArgument, match=r"not HTTPS .*begins with https://"):
        require_safe(url)


@pytest.mark.parametrize("url", ["https://example.org/run", "http://127.0.0.1:8000/run", "http://[::1]/run"])
def test_https_and_this_very_machine_are_safe(url: str) -> None:
    assert require_safe(url) == url
