"""What an evaluation has finished of each recording stays in the run folder, so that an interrupted one goes on.

RUN_DIR/scored/RECORDING/PIECE.npz, each written whole. A piece carries a digest of everything it depends on: the
model's files, the search, this package's own code, the recording's responses and words, and the piece's options. Where
the digest is another one, or the file cannot be read, the piece is made again: what is kept can save time, and can
change no number.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from urllib.parse import quote

import numpy as np
import torch

from ..datasets.study import Run
from ..datasets.whole_file import whole_file
from .search import Search

Arrays = Mapping[str, np.ndarray]
FOLDER = "scored"
DIGEST = "digest"  # name under which a file holds its own
MODEL_FILES = ("model.json", "model.safetensors")
ROWS_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class KeptScores:
    """Pieces of finished work.

    Parameters
    ----------
    folder
        Where they are; None keeps nothing.
    basis
        Digest of model, search and code (see `of_run`).
    """

    folder: Path | None = None
    basis: str = ""
    _recordings: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of_run(cls, run_dir: Path, search: Search) -> KeptScores:
        """Of the run in this folder; a folder that cannot be written to keeps nothing."""
        if not os.access(run_dir, os.W_OK):
            return cls()
        files = [_file_digest(run_dir / name) for name in MODEL_FILES]
        return cls(run_dir / FOLDER, _digest(*files, json.dumps(asdict(search)), code_digest(), torch.__version__))

    def piece(self, run: Run, name: str, options: str, make: Callable[[], Arrays]) -> Arrays:
        """The arrays that `make` gives, from the folder where they are there; `options` is all that they depend on."""
        if self.folder is None:
            return make()
        path = self.folder / quote(run.key, safe=" ") / f"{quote(name, safe=' ')}.npz"
        digest = _digest(self.basis, self._recording(run), name, options)
        found = _read(path, digest)
        if found is None:
            found = make()
            with whole_file(path) as draft, draft.open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, **{DIGEST: np.array(digest)}, **found)
        return found

    def _recording(self, run: Run) -> str:
        if run.key not in self._recordings:
            self._recordings[run.key] = recording_digest(run)
        return self._recordings[run.key]


def recording_digest(run: Run) -> str:
    """Of a recording's responses, mask, words and clock."""
    whole = hashlib.sha256(repr((run.key, run.repetition_time, run.responses.shape, run.timing)).encode())
    for start in range(0, run.responses.n_rows, ROWS_AT_ONCE):
        whole.update(run.responses[start : start + ROWS_AT_ONCE].tobytes())
    if run.responses.mask is not None:
        whole.update(run.responses.mask.volume.tobytes() + run.responses.mask.affine.tobytes())
    whole.update(repr([(word.text, word.onset, word.offset) for word in run.words]).encode())
    return whole.hexdigest()


@cache
def code_digest() -> str:
    """Of the source that scores: after a change of code nothing that was kept is taken for its result."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return _digest(*(_file_digest(source) for source in sources))


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _read(path: Path, digest: str) -> Arrays | None:
    """The arrays of a file with this digest, None for another or none, or one that cannot be read."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            if str(archive[DIGEST]) != digest:
                return None
            return {name: archive[name] for name in archive.files if name != DIGEST}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
