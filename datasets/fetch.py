"""Brings the files of a data set over HTTPS: plans, shows the plan, and transfers what can be verified.

A data set (a study, a study of images, an image collection) that lies somewhere public says so with the class methods
of `Fetchable`; the others name where to get them by hand.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar, Protocol, cast

from filelock import FileLock, Timeout
from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from .annex import absent_key
from .errors import MissingData, PlasticodeError, WrongArgument
from .labelled_images import image_class, image_names
from .remote import Estimate, RemoteFile
from .study import study_class, study_names
from .transfer import PATIENCE, Patience, destination, download, is_complete

LOCK = ".plasticode-fetch.lock"


class Fetchable(Protocol):
    """What a `Study` adds when its files lie somewhere public; image collections and studies of images have it."""

    url: ClassVar[str]

    @classmethod
    def remote_files(cls, subjects: Sequence[str]) -> list[RemoteFile]: ...

    @classmethod
    def remote_estimate(cls, subjects: Sequence[str]) -> list[Estimate]: ...


def plan(name: str, subjects: Sequence[str] = ()) -> list[RemoteFile]:
    """What to bring of a data set, for these subjects where it has any. Nothing is written.

    Raises `MissingData` for an unknown name, for a study that must be got by hand and for unknown subjects, and
    `Unreachable` when the listing cannot be read.
    """
    return _fetchable(name).remote_files(subjects)


def estimate(name: str, subjects: Sequence[str] = ()) -> list[Estimate]:
    """About how much `plan` would list, from published numbers and without a network; empty where not known."""
    return _fetchable(name).remote_estimate(subjects)


def print_plan(files: Sequence[RemoteFile], root: Path, console: Console | None = None) -> None:
    """One line per file (size, how it will be checked, path) and the total; files that are there already say so."""
    console = console or Console()
    left = [file for file in files if not is_complete(file, root / file.path)]
    for file in files:
        state = "to fetch" if file in left else "here"
        _line(console, f"{_size(file):>10}  {_check(file):<6}  {state:<8}  {file.path}")
    total, missing = (sum(file.size or 0 for file in some) for some in (files, left))
    _line(
        console, f"{decimal(total)} in {len(files)} files; {decimal(missing)} in {len(left)} files to fetch to {root}"
    )


def print_estimate(estimates: Sequence[Estimate], console: Console | None = None) -> None:
    """What would come, about, by kind of file and in all."""
    console = console or Console()
    for about in estimates:
        _line(console, f"about {decimal(about.size):>10}  {about.count:4d} files  {about.pattern}")
    _line(console, f"about {decimal(sum(about.size for about in estimates))} in all")


def fetch(
    files: Sequence[RemoteFile],
    root: Path,
    progress: bool = True,
    patience: Patience = PATIENCE,
) -> list[Path]:
    """Bring the files that are not yet complete below `root`; interrupted, it goes on where it stopped.

    Raises `WrongArgument` when a file cannot be verified or another process fetches into the root, and
    `PlasticodeError` when the disk is too small, both before anything is transferred; then as `transfer.download`.
    """
    files = [_verifiable(file, root) for file in files]
    root.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(root / LOCK, timeout=0):
            left = [file for file in files if not is_complete(file, destination(file, root))]
            _require_space(left, root)
            _transfer(left, root, progress, patience)
    except Timeout:
        raise WrongArgument("another process fetches into this folder", root, "Wait until it has ended.") from None
    return [root / file.path for file in files]


def _transfer(files: Sequence[RemoteFile], root: Path, progress: bool, patience: Patience) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), disable=not progress) as bar:
        task = bar.add_task("", total=sum(file.size or 0 for file in files) or None)
        done = 0
        for file in files:
            bar.update(task, description=Path(file.path).name)
            target = download(file, root, patience, partial(_show, bar, task, done))
            done += target.stat().st_size


def _show(bar: Progress, task: TaskID, done: int, size: int) -> None:
    bar.update(task, completed=done + size)


def _verifiable(file: RemoteFile, root: Path) -> RemoteFile:
    """The file with what a git-annex pointer in its place adds. Refused when nothing is known to hold it against."""
    key = absent_key(root / file.path)
    if key is not None:
        file = replace(file, size=file.size or key.size, sha256=file.sha256 or key.sha256, md5=file.md5 or key.md5)
    if not file.verifiable:
        raise WrongArgument("neither size nor checksum is known, so it cannot be verified", file.url, "Get it by hand.")
    return file


def _require_space(files: Sequence[RemoteFile], root: Path) -> None:
    needed = sum(file.size or 0 for file in files)
    free = shutil.disk_usage(root).free
    if needed > free:
        raise PlasticodeError(
            f"{decimal(needed)} are to come but {decimal(free)} are free", root, "Choose a --root on a larger disk."
        )


def _fetchable(name: str) -> type[Fetchable]:
    if name in image_names():
        return image_class(name)
    if name not in study_names():
        from .image_study import image_study_class, image_study_names  # rsatoolbox takes 2 s to import

        if name in image_study_names():
            return image_study_class(name)
        known = ", ".join([*study_names(), *image_study_names(), *image_names()])
        raise MissingData(f"no study or image collection named {name!r}", "fetch", f"Choose one of: {known}.")
    study = study_class(name)
    if not hasattr(study, "remote_files"):
        raise MissingData(f"study {name} cannot be fetched", study.url, "Get it from there by hand.")
    return cast(type[Fetchable], study)


def _size(file: RemoteFile) -> str:
    return "unknown" if file.size is None else decimal(file.size)


def _check(file: RemoteFile) -> str:
    return "sha256" if file.sha256 else "md5" if file.md5 else "size" if file.size is not None else "none"


def _line(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
