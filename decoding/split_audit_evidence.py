"""What an audit of a split looks at, gathered from a run folder and the recordings that are at hand."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from jaxtyping import UInt64
from numpy import ndarray

from ..datasets.errors import BrokenData, MissingData, PlasticodeError
from ..datasets.prepare import prepare
from ..datasets.study import Run, Study, open_study
from ..datasets.windows import WindowShape
from .run_folder import RunFolder
from .split_audit_rows import row_numbers
from .trained import Split


@dataclass(frozen=True)
class PreTraining:
    """What is known of a language model: its folder, the stories that it read ("study/story") and its text files.

    `sources` are the names of the texts that it read beside them; None where that is not known. `stranger` names a
    language model of somebody else's that is used, whose reading nobody here knows.
    """

    folder: Path | None = None
    stories: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    sources: tuple[str, ...] | None = None
    stranger: str = ""

    @classmethod
    def of(cls, folder: Path | None, stories: Sequence[str] | None = None) -> PreTraining:
        """From the model's folder; nothing is said of what is not there."""
        if folder is None:
            return cls(None, tuple(stories or ()))
        about = _json(folder / "model.json") if (folder / "model.json").is_file() else {}
        arguments = _data_arguments(folder)
        paths = tuple(os.path.expandvars(path) for path in arguments.get("paths") or ())
        read = tuple(about.get("stories", ()) if stories is None else stories)
        return cls(folder, read, paths, tuple(about["sources"]) if "sources" in about else None, about.get("model", ""))


@dataclass(frozen=True, eq=False)
class Evidence:
    """Parameters

    ----------
    split, window
        As the run records them.
    training, watched
        Recordings that were trained on and that chose the checkpoint; empty where they are not at hand (`missing`
        says why).
    scored
        Recordings that are scored, or are to be.
    named
        Further (subject, story) pairs that are to be scored, known by name only.
    claimed
        (subject, story, quadrant) of results that were written.
    numbers
        `row_numbers` of every recording by its key; None where scored responses may not be read yet.
    language
        What the language model read.
    model_split
        The split inside the trained model, to be held against `split`.
    semantic_model
        Name of a sentence-embedding model; None where meaning is not compared.
    """

    split: Split
    window: WindowShape
    training: tuple[Run, ...] = ()
    watched: tuple[Run, ...] = ()
    scored: tuple[Run, ...] = ()
    named: tuple[tuple[str, str], ...] = ()
    claimed: tuple[tuple[str, str, str], ...] = ()
    numbers: Mapping[str, UInt64[ndarray, " time"]] | None = None
    language: PreTraining = PreTraining()
    model_split: Split | None = None
    semantic_model: str | None = "minilm"
    missing: str = ""

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """All scored (subject, story) pairs."""
        return list(dict.fromkeys([*((run.subject, run.story) for run in self.scored), *self.named]))


def numbers_of(*groups: Sequence[Run]) -> dict[str, UInt64[ndarray, " time"]]:
    """`row_numbers` of all recordings by key."""
    return {run.key: row_numbers(run) for group in groups for run in group}


@dataclass(frozen=True, eq=False)
class Folder:
    """What a run folder records, read without its weights."""

    run: RunFolder
    split: Split
    window: WindowShape
    language: PreTraining
    root: Path | None
    model_split: Split | None

    @classmethod
    def read(cls, path: Path) -> Folder:
        """Raises `MissingData` for a folder without a run or split, `BrokenData` for records that cannot be read."""
        run = RunFolder.existing(path)
        model = _json(run.model) if run.model.is_file() else {}
        record = _json(run.split) if run.split.is_file() else model.get("split")
        if record is None:
            raise MissingData("no split (split.json, model.json)", run.path, "Audit the folder of a brain model's run.")
        arguments = _data_arguments(run.path)
        try:
            split, window = Split.of(record), WindowShape(**(model.get("window") or arguments.get("window") or {}))
            model_split = Split.of(model["split"]) if "split" in model else None
        except (KeyError, TypeError, ValueError) as error:
            raise BrokenData(f"the split cannot be read: {error!r}", run.path, "Restore its split.json.") from error
        given = [run.language_model, Path(os.path.expandvars(arguments.get("language_model") or "."))]
        folder = next((place for place in given if (place / "model.json").is_file() and place != Path()), None)
        language = PreTraining.of(folder, model.get("language_stories"))
        if not language.paths:  # a decoder of encoding models has counted its words itself
            own = tuple(os.path.expandvars(path) for path in arguments.get("paths") or ())
            language = replace(language, paths=own)
        root = Path(os.path.expandvars(arguments["root"])) if arguments.get("root") else None
        return cls(run, split, window, language, root, model_split)

    def training(self, *elsewhere: Path) -> tuple[tuple[Run, ...], tuple[Run, ...], str]:
        """Training and validation runs from the config's root or the first other folder that has them, or why not."""
        reasons = []
        for root in dict.fromkeys(place for place in (self.root, *elsewhere) if place is not None):
            try:
                study = open_study(self.split.study, root, self.split.options)
                found = tuple(tuple(read(study, pairs)) for pairs in (self.split.train, self.split.validation))
            except PlasticodeError as error:
                reasons.append(str(error))
            else:
                if found[0]:
                    return found[0], found[1], ""
                reasons.append(f"none of the training recordings is below {root}")
        return (), (), "; ".join(reasons) or "the run does not say where its recordings are"

    def scored(self, study: Study) -> list[tuple[str, str, str]]:
        """Recordings to audit: those that were scored or are held out by name, as far as they are there.

        Without any, all that the run has not used; without any of these, all.
        """
        there = study.recordings()
        wanted = {*self._written(), *self.split.test}
        used = {story for _, story in (*self.split.train, *self.split.validation)}
        for chosen in ([r for r in there if r[:2] in wanted], [r for r in there if r[1] not in used], there):
            if chosen:
                return chosen
        raise MissingData("no recording to audit", study.root, f"Give a folder of study {study.name}.")

    def claims(self) -> tuple[tuple[str, str, str], ...]:
        """(subject, story, quadrant) of every row of results that is about one story."""
        rows = _json(self.run.results) if self.run.results.is_file() else []
        found = [(row["subject"], row["story"], row["quadrant"]) for row in rows if row.get("story") != "all"]
        return tuple(dict.fromkeys(found))

    def _written(self) -> set[tuple[str, str]]:
        return {(subject, story) for subject, story, _ in self.claims()}


def read(study: Study, pairs: Sequence[tuple[str, str]]) -> list[Run]:
    """Prepared recordings of (subject, story) pairs, as far as the study has them."""
    wanted, found = set(pairs), []
    for subject in sorted({person for person, _ in wanted} & set(study.subjects())):
        stories = sorted(story for story in study.stories(subject) if (subject, story) in wanted)
        found += prepare(study, subjects=[subject], stories=stories, progress=False) if stories else []
    return found


def _data_arguments(folder: Path) -> dict[str, Any]:
    """`data.init_args` of a run's config, or its `data`; empty without one."""
    path = folder / "config.yaml"
    if not path.is_file():
        return {}
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        arguments: dict[str, Any] = config["data"].get("init_args", config["data"]) or {}
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, UnicodeDecodeError):
        return {}
    return arguments


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BrokenData(f"this is not JSON: {error}", path, "Restore the file.") from error
