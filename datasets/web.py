"""Opens web addresses: HTTPS only, also after a redirect; plain HTTP only to this very machine."""

from __future__ import annotations

import http.client
import ipaddress
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from .errors import BrokenData, MissingData, WrongArgument

AGAIN = {408, 425, 429, 500, 502, 503, 504}  # statuses after which the same request may succeed
BROKEN_LINE = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError)


class Unreachable(MissingData):
    """No answer, or one that says to come back later: worth another try."""


class RangeNotSatisfiable(BrokenData):
    """The server has no bytes from there on (status 416)."""


def require_safe(url: str) -> str:
    """The address itself. Raises `WrongArgument` unless it is HTTPS, or HTTP to the loopback interface."""
    parts = urlsplit(url)
    if parts.hostname and (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname))):
        return url
    raise WrongArgument(
        "refused to use an address that is not HTTPS", url, "Give an address that begins with https://."
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to a safe address, and never from another machine to this one."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urlsplit(require_safe(newurl)).scheme == "http" and urlsplit(req.full_url).scheme == "https":
            raise WrongArgument("refused a redirect away from HTTPS", newurl, "Report it to whoever runs the server.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextmanager
def open_url(url: str, headers: Mapping[str, str], timeout: float = 30.0) -> Iterator[http.client.HTTPResponse]:
    """The response to a GET. `timeout` is the longest silence, in s.

    Raises `Unreachable` when another try may help, `MissingData` when there is nothing at the address,
    `RangeNotSatisfiable` for status 416, `BrokenData` for any other status.
    """
    loopback = urlsplit(require_safe(url)).scheme == "http"
    opener = urllib.request.build_opener(_Redirects, *([urllib.request.ProxyHandler({})] if loopback else []))
    request = urllib.request.Request(url, headers={"User-Agent": "plasticode", **headers})  # noqa: S310  # checked above
    try:
        with opener.open(request, timeout=timeout) as response:
            yield response
    except urllib.error.HTTPError as error:
        with error:
            raise _of_status(error.code, url) from None
    except BROKEN_LINE as error:
        reason = getattr(error, "reason", error)
        raise Unreachable(f"no complete answer: {reason}", url, "Check the network and try again.") from error


def _of_status(status: int, url: str) -> BrokenData | MissingData:
    if status in AGAIN:
        return Unreachable(f"the server answers with status {status}", url, "Try again later.")
    if status in (401, 403, 404, 410):
        return MissingData(f"nothing to be had there (status {status})", url, "Check the name, or get it by hand.")
    if status == 416:
        return RangeNotSatisfiable("the server has no bytes from there on", url, "Start again.")
    return BrokenData(f"the server answers with status {status}", url, "Try again later, or get it by hand.")
