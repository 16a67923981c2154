"""A cell of the matrix: one rule on one network from one seed, trained in a folder of its own.

The folder is a run folder of `plasticode fit`: config.yaml is there once training has begun, model.json once it is
finished. Its name ends in a digest of everything that training was told (the content of the config, overrides, where
the data are), so that a changed setting is another cell and an old one is never taken for it. The version of the code
is not part of it; versions.json in the folder says what trained it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml

from ..datasets.whole_file import write_text

State = Literal["finished", "refused", "failed", "interrupted", "new"]
DONE = ("finished", "refused")  # nothing is left to do: what is refused once is refused again
MODEL, CONFIG = "model.json", "config.yaml"  # of every run folder
ASKED, LOG, FAILURE = "asked.yaml", "fit.log", "failure.json"  # of a cell's


@dataclass(frozen=True)
class Cell:
    """Where it is and what `plasticode fit` is told to train it.

    Parameters
    ----------
    rule
        Class path of the learning rule.
    network
        What the matrix calls the network.
    seed
        Of weights, feedback, order of the data.
    config
        The text of the training's config, as it was when the matrix was read: editing the file changes no cell.
    arguments
        What `plasticode fit` is given beside `--config` and the folder.
    cells
        The folder that holds the folders of all cells, an absolute path.
    """

    rule: str
    network: str
    seed: int
    config: str
    arguments: tuple[str, ...]
    cells: Path

    @property
    def rule_name(self) -> str:
        """The rule's class, without its module."""
        return self.rule.rpartition(".")[2]

    @cached_property
    def key(self) -> str:
        """`rule-network-seed-digest`: the same for the same settings, and for no others. Comments are no settings."""
        told = json.dumps([self.rule, yaml.safe_load(self.config), self.arguments], sort_keys=True, default=str)
        return f"{self.rule_name}-{self.network}-{self.seed}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"

    @cached_property
    def folder(self) -> Path:
        """The run folder."""
        return self.cells / self.key

    @property
    def state(self) -> State:
        """As the files in the folder have it; a failure is forgotten when the cell is trained again."""
        if (self.folder / MODEL).is_file():
            return "finished"
        if (self.folder / FAILURE).is_file():
            return "refused" if self._failure()["refused"] else "failed"
        return "interrupted" if (self.folder / CONFIG).is_file() else "new"

    @property
    def reason(self) -> str:
        """Why it failed or was refused; empty otherwise."""
        return str(self._failure()["reason"]) if self.state in {"refused", "failed"} else ""

    def write_config(self) -> Path:
        """The config, in the folder, for the training to read."""
        return self._write(ASKED, self.config)

    def fail(self, reason: str, refused: bool = False) -> None:
        """Record why there is no model.

        Parameters
        ----------
        refused
            The rule cannot run on this network, now or later.
        """
        self._write(FAILURE, json.dumps({"refused": refused, "reason": reason}))

    def forget_failure(self) -> None:
        """Before it is tried again."""
        (self.folder / FAILURE).unlink(missing_ok=True)

    def _write(self, name: str, text: str) -> Path:
        return write_text(self.folder / name, text)

    def _failure(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / FAILURE).read_text(encoding="utf-8"))
        return found
