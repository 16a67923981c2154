"""With what a result was made: packages, Python, machine, command."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version


def provenance(packages: Sequence[str]) -> dict[str, str]:
    """Command, Python, installed versions of `packages` and hardware, for a result's `versions.json`."""
    return {"command": shlex.join(sys.argv), **versions(packages), "hardware": hardware()}


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Python's and the packages' installed versions."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def hardware() -> str:
    """Machine, cores and, where torch sees one, GPU."""
    import torch  # here, so that --help does not wait for it

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {gpu}"
