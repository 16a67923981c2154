"""A run is a folder: where its parts are, and what it says about the machine and the command that made it."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from ..datasets.errors import MissingData, WrongArgument
from ..datasets.whole_file import write_text
from ..provenance import provenance

REPORTED = ("plasticode", "torch", "lightning", "nilearn", "nibabel", "numpy", "scipy", "scikit-learn", "himalaya")


class RunFolder:
    """Paths of a run. A folder that is named is made when something is first written, a dated one at once."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self.split = self.path / "split.json"
        self.last = self.path / "checkpoints" / "last.ckpt"
        self.best = self.path / "checkpoints" / "best.ckpt"
        self.model = self.path / "model.json"
        self.results = self.path / "results.json"
        self.language_model = self.path / "language_model"

    @classmethod
    def dated(cls, name: str, parent: str | Path = "runs") -> RunFolder:
        """A new folder `parent/name-YYYYMMDD-HHMMSS`, with -2, -3, ... for further ones of the same second.

        It is made here, so that runs which start together cannot take the same one.
        """
        first = Path(parent) / f"{name}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
        path, number = first, 1
        while True:
            try:
                path.mkdir(parents=True)
                return cls(path)
            except FileExistsError:
                number += 1
                path = first.with_name(f"{first.name}-{number}")

    @classmethod
    def existing(cls, path: str | Path) -> RunFolder:
        """Raises `MissingData` unless the folder holds a run."""
        folder = cls(path)
        if not folder.path.is_dir() or not (folder.config.is_file() or folder.model.is_file()):
            raise MissingData(
                "no run in this folder", folder.path, "Give the folder that `plasticode fit` or `demo` made."
            )
        return folder

    def require_new(self) -> None:
        """Raise `WrongArgument` when there is a run already: nothing is overwritten."""
        if self.config.is_file():
            raise WrongArgument(
                "there is a run in this folder already", self.path, f"Go on with --resume {self.path}, or name another."
            )

    def write_json(self, name: str, value: Any) -> Path:
        """Write `name` whole or not at all."""
        return write_text(self.path / name, json.dumps(value, indent=1, ensure_ascii=False))

    def write_versions(self) -> None:
        """versions.json: packages, Python, hardware and the command."""
        self.write_json("versions.json", provenance(REPORTED))
