"""What a cache entry is named by: the content of a recording's sources and the parameters of its study."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .errors import MissingData
from .study import Responses, Run, Study
from .whole_file import write_text

FORMAT = 1
ROW_BYTES = 16 * 2**20
Recording = tuple[str, str, str]


def fingerprint(study: Study, recording: Recording, memo: Path) -> str:
    """Twelve hexadecimal digits of a SHA-256 over sources, parameters and the cache's format.

    A study that names no sources is read: then the responses, words and facts of its run are hashed. `memo` is a
    folder that keeps the digests of files, so that files are read again only when size or time of change differ.
    """
    sources: Any = [[path.name, file_digest(path, memo)] for path in study.sources(*recording)]
    parts = [FORMAT, study.cache_key(), recording, sources or _run_digest(study.run(*recording))]
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def file_digest(path: Path, memo: Path) -> str:
    """SHA-256 of a file's content, remembered by path, size and time of change. `MissingData` without the file."""
    if not path.is_file():
        raise MissingData("a file of the study is missing", path, "Fetch or restore it.")
    state = path.stat()
    name = hashlib.sha256(f"{path.resolve()}\n{state.st_size}\n{state.st_mtime_ns}".encode()).hexdigest()
    remembered = memo / name
    if remembered.is_file():
        return remembered.read_text(encoding="ascii")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    write_text(remembered, digest)
    return digest


def facts(run: Run) -> dict[str, Any]:
    """Everything about a run but its responses and mask, as JSON holds it."""
    names = "study", "subject", "story", "session", "repetition_time", "language", "timing"
    words = [[word.text, word.onset, word.offset] for word in run.words]
    return {name: getattr(run, name) for name in names} | {"words": words}


def row_blocks(responses: Responses) -> Iterator[np.ndarray]:
    """The rows in order, about 16 MB at a time."""
    step = max(1, ROW_BYTES // (4 * max(1, responses.n_channels)))
    for start in range(0, responses.n_rows, step):
        yield responses[start : start + step]


def _run_digest(run: Run) -> str:
    digest = hashlib.sha256(json.dumps([facts(run), run.responses.shape], sort_keys=True).encode())
    for rows in row_blocks(run.responses):
        digest.update(rows.tobytes())
    if (mask := run.responses.mask) is not None:
        digest.update(np.packbits(mask.volume).tobytes() + np.asarray(mask.affine, np.float64).tobytes())
    return digest.hexdigest()
