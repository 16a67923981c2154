"""Builds the cache of a study once: cleaned responses in float16, memory-mapped when they are read.

An entry is named by the content of the files it was made from, so that a changed file, parameter or format makes a new
one. Several processes may prepare at once, and an interrupted `prepare` goes on where it stopped.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track

from .cache import Entry
from .column_blocks import BLOCK_BYTES, scratch_folder
from .errors import MissingData, WrongArgument
from .fingerprint import ROW_BYTES, Recording, fingerprint
from .study import Run, Study

BASE_MEMORY = 300 * 10**6  # the interpreter with nilearn, before any data (benchmarks/memory_prepare.py)


@dataclass(frozen=True)
class Estimate:
    """What preparing takes: bytes that stay in the cache, bytes there meanwhile, and bytes of memory at the peak."""

    n_runs: int
    bytes_on_disk: int
    temporary_bytes: int
    peak_memory_bytes: int

    def __str__(self) -> str:
        sizes = (_size(number) for number in (self.bytes_on_disk, self.temporary_bytes, self.peak_memory_bytes))
        return "{} run(s) to prepare: {} on disk, {} more meanwhile, about {} of memory".format(self.n_runs, *sizes)


def default_cache() -> Path:
    """$PLASTICODE_CACHE, or ~/.cache/plasticode."""
    return Path(os.environ.get("PLASTICODE_CACHE") or Path.home() / ".cache" / "plasticode")


def estimate(study: Study, subjects: Sequence[str] | None = None, stories: Sequence[str] | None = None) -> Estimate:
    """Size of the whole cache of the chosen runs, from the shapes of their responses.

    Opens every run, so that what is wrong with a header, a mask or the words is said here.
    """
    return _estimate(study.run(*recording) for recording in study.recordings(subjects, stories))


def prepare(
    study: Study,
    cache: Path | None = None,
    subjects: Sequence[str] | None = None,
    stories: Sequence[str] | None = None,
    *,
    progress: bool = True,
) -> list[Run]:
    """Runs of the chosen subjects and stories with memory-mapped responses; those not yet in the cache are built.

    Parameters
    ----------
    study
        Where the runs come from.
    cache
        Folder of all caches (`default_cache()` by default); entries lie in `<cache>/<study.name>`.
    subjects, stories
        Only these; all by default.
    progress
        Print the estimate and show a progress bar (on standard error).

    Raises `MissingData` when there are no runs, `WrongArgument` when the disk has too little room, and `BrokenData` for
    runs that cannot be read or do not fit into float16.
    """
    folder = _writable(cache or default_cache())
    recordings = study.recordings(subjects, stories)
    if not recordings:
        raise MissingData(f"study {study.name} has no runs", study.root, "Look whether the folder is complete.")
    entries = {recording: _entry(study, recording, folder) for recording in recordings}
    todo = [recording for recording in recordings if not entries[recording].is_whole()]
    if todo:
        _announce(_estimate(study.run(*recording) for recording in todo), folder, progress)
        _build(study, {recording: entries[recording] for recording in todo}, folder, progress)
    return [entry.read() for entry in entries.values()]


def _build(study: Study, entries: dict[Recording, Entry], folder: Path, progress: bool) -> None:
    console = Console(stderr=True)
    with scratch_folder(folder / "scratch"):
        for recording in track(list(entries), f"prepare {study.name}", console=console, disable=not progress):
            with entries[recording].locked():
                if not entries[recording].is_whole():  # another process may have built it meanwhile
                    entries[recording].write(study.run(*recording))


def _entry(study: Study, recording: Recording, folder: Path) -> Entry:
    digest = fingerprint(study, recording, folder / "digests")
    name = "_".join(re.sub(r"[^\w.-]", "-", part) for part in (*recording, digest) if part)
    return Entry(folder / study.name / name)


def _estimate(runs: Iterable[Run]) -> Estimate:
    values = [run.responses.n_rows * run.responses.n_channels for run in runs]
    working = 2 * ROW_BYTES + 12 * BLOCK_BYTES  # nilearn's cleaning holds a block several times in float64
    return Estimate(len(values), 2 * sum(values), 4 * max(values, default=0), BASE_MEMORY + working)


def _announce(plan: Estimate, folder: Path, progress: bool) -> None:
    """Print the estimate; `WrongArgument` when the disk cannot hold what is coming."""
    needed, free = plan.bytes_on_disk + plan.temporary_bytes, shutil.disk_usage(folder).free
    if needed > free:
        raise WrongArgument(
            f"preparing {plan.n_runs} run(s) needs {_size(needed)} but the disk has {_size(free)} left",
            folder,
            "Make room, or name a folder on a larger disk with the environment variable PLASTICODE_CACHE.",
        )
    if progress:
        Console(stderr=True).print(str(plan), soft_wrap=True)


def _writable(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WrongArgument(
            f"the cache folder cannot be made: {error.strerror}", folder, "Name another with PLASTICODE_CACHE."
        ) from error
    return folder


def _size(number: int) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"
