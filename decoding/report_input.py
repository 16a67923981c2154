"""Reads what a run left in its folder: scores, logs, texts, similarities, maps. Only `results.json` must be there."""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from ..datasets.brain_map import BrainMap, read_map
from ..datasets.errors import BrokenData, MissingData
from .results import POOLED, Row

TEXT_COLUMNS = ("subject", "story", "start", "stop", "decoded", "true")
OPTIONAL = {
    "config.yaml": "the configuration",
    "split.json": "which recordings were trained on",
    "split_audit.json": "the audit of the split",
    "logs/csv": "the training log",
    "language_model/logs/csv": "the log of the language model's own training",
    "baselines.json": "the baselines",
    "nulls.json": "the null battery",
    "comparisons.json": "paired differences between systems",
    "facts.json": "further figures",
    "windows.tsv": "the decoded text",
    "identification.npz": "the similarities of latents and texts",
    "voxel_map.nii.gz": "the map of responsive voxels",
    "truth_map.nii.gz": "the planted truth (synthetic data only)",
    "model.json": "the model's facts",
    "versions.json": "the versions",
    "notes.json": "notes",
}


@dataclass(frozen=True)
class Score(Row):
    """A row of `results.json`, or of `baselines.json` with the `system` that it belongs to."""

    system: str = ""

    @property
    def pooled(self) -> bool:
        """Whether the row stands for all scored stories of its subject and quadrant."""
        return self.story == POOLED


@dataclass(frozen=True)
class NullScore(Score):
    """A row of `nulls.json`, with the decoder's value on the same windows and its p among the null's draws."""

    n_draws: int = 0
    draw_sd: float = math.nan
    decoder: float = math.nan
    p_draws: float = math.nan


@dataclass(frozen=True)
class Comparison:
    """One row of `comparisons.json`: the difference is system_a minus system_b on the same windows."""

    subject: str
    quadrant: str
    metric: str
    system_a: str
    system_b: str
    difference: float
    ci_low: float = math.nan
    ci_high: float = math.nan
    p: float = math.nan
    n_windows: int = 0


@dataclass(frozen=True, eq=False)
class RunRecord:
    """Everything that a report shows. `missing` names the files of `OPTIONAL` that the folder does not have."""

    folder: Path
    results: list[Score]
    baselines: list[Score]
    nulls: list[NullScore]
    comparisons: list[Comparison]
    facts: list[dict[str, Any]]
    notes: list[str]
    split: dict[str, Any]
    audit: dict[str, Any]
    model: dict[str, Any]
    versions: dict[str, Any]
    config: str
    log: pd.DataFrame
    language_log: pd.DataFrame
    texts: pd.DataFrame
    similarities: dict[tuple[str, str], Float[np.ndarray, "window candidate"]]
    voxel_map: BrainMap | None
    truth_map: BrainMap | None
    missing: frozenset[str]

    @property
    def identified_by(self) -> str:
        """What picks the right window: "latent", or "likelihood" for an encoding decoder."""
        return "likelihood" if any(row.metric.startswith("likelihood_") for row in self.results) else "latent"

    @property
    def study(self) -> str:
        named = [score.study for score in self.results if score.study]
        return str(self.split.get("study") or (named[0] if named else "unnamed study"))


def read_run(folder: Path) -> RunRecord:
    """Read a run's folder.

    Raises `MissingData` without `results.json`, `BrokenData` for a file that is there but does not hold what its
    format promises.
    """
    results = folder / "results.json"
    if not results.is_file():
        raise MissingData("no results.json in the run", folder, f"Make it with `plasticode evaluate {folder}`.")
    maps = {name: folder / f"{name}.nii.gz" for name in ("voxel_map", "truth_map")}
    return RunRecord(
        folder=folder,
        results=_rows(results, Score),
        baselines=_rows(folder / "baselines.json", Score),
        nulls=_rows(folder / "nulls.json", NullScore),
        comparisons=_rows(folder / "comparisons.json", Comparison),
        facts=[row for row in _json(folder / "facts.json", list) if isinstance(row, dict)],
        notes=[str(note) for note in _json(folder / "notes.json", list)],
        split=_split(folder / "split.json"),
        audit=_json(folder / "split_audit.json", dict),
        model=_json(folder / "model.json", dict),
        versions=_json(folder / "versions.json", dict),
        config=_text(folder / "config.yaml"),
        log=_log(folder / "logs" / "csv"),
        language_log=_log(folder / "language_model" / "logs" / "csv"),
        texts=_texts(folder / "windows.tsv"),
        similarities=_similarities(folder / "identification.npz"),
        voxel_map=read_map(maps["voxel_map"]) if maps["voxel_map"].is_file() else None,
        truth_map=read_map(maps["truth_map"]) if maps["truth_map"].is_file() else None,
        missing=frozenset(name for name in OPTIONAL if not (folder / name).exists()),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8") if path.is_file() else ""
    except UnicodeDecodeError as error:
        raise BrokenData("the file is not UTF-8 text", path, "Write it again.") from error


def _json(path: Path, kind: type[Any]) -> Any:
    """The file's content, an empty `kind` where there is no file."""
    if not path.is_file():
        return kind()
    try:
        content = json.loads(_text(path))
    except json.JSONDecodeError as error:
        raise BrokenData(f"the file is not JSON: {error}", path, "Write it again or remove it.") from error
    if not isinstance(content, kind):
        name = {"list": "a list", "dict": "an object"}[kind.__name__]
        raise BrokenData(f"the file does not hold {name}", path, "Write it again or remove it.")
    return content


def _rows(path: Path, row: type[Any]) -> list[Any]:
    """Rows of a table; keys that the report does not know are left aside, absent and null numbers become NaN."""
    try:
        return [_row(entry, row) for entry in _json(path, list)]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"a row lacks or garbles {error}"
        raise BrokenData(what, path, "Write it again with `plasticode evaluate`.") from error


def _row(entry: dict[str, Any], row: type[Any]) -> Any:
    return row(**{field.name: TYPES[str(field.type)](entry, field.name) for field in fields(row)})


def _string(entry: dict[str, Any], name: str) -> str:
    return str(entry.get(name, "") if name in ("system", "study") else entry[name])


def _float(entry: dict[str, Any], name: str) -> float:
    return _number(entry[name] if name in ("value", "difference") else entry.get(name))


def _int(entry: dict[str, Any], name: str) -> int:
    return int(entry.get(name) or 0)


TYPES: dict[str, Callable[[dict[str, Any], str], Any]] = {"str": _string, "float": _float, "int": _int}


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _split(path: Path) -> dict[str, Any]:
    split = _json(path, dict)
    for part in ("train", "validation", "test"):
        pairs = split.get(part, [])
        if not (isinstance(pairs, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in pairs)):
            raise BrokenData(f"{part!r} is not a list of [subject, story]", path, "Write it again or remove it.")
    return dict(split)


def _log(folder: Path) -> pd.DataFrame:
    """The CSV logs as one: where a run was resumed, a later log replaces the earlier one from its first step on."""
    whole = pd.DataFrame()
    for path in sorted(folder.glob("**/metrics.csv"), key=_version):
        part = _table(path, ("step",), sep=",")
        if len(whole) and len(part):
            whole = whole[whole["step"] < part["step"].min()]
        whole = pd.concat([whole, part], ignore_index=True) if len(whole) else part
    return whole


def _version(path: Path) -> tuple[int, str]:
    """Lightning's version_10 comes after version_9."""
    digits = path.parent.name.removeprefix("version_")
    return (int(digits) if digits.isdigit() else 0, str(path))


def _texts(path: Path) -> pd.DataFrame:
    if not path.is_file():
        return pd.DataFrame(columns=[*TEXT_COLUMNS, "alone"])
    texts = _table(path, TEXT_COLUMNS, sep="\t", dtype=str, keep_default_na=False)
    try:
        texts = texts.astype({"start": float, "stop": float})
    except ValueError as error:
        raise BrokenData(f"start or stop is not a time in s: {error}", path, "Write it again.") from error
    if "session" in texts:  # as identification.npz names it
        texts["story"] = texts["story"] + ("/" + texts["session"]).where(texts["session"] != "", "")
    return texts.sort_values(["subject", "story", "start"], kind="stable")


def _table(path: Path, required: Iterable[str], **options: Any) -> pd.DataFrame:
    try:
        table: pd.DataFrame = pd.read_csv(path, **options)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise BrokenData(f"not a readable table: {error}", path, "Write it again or remove it.") from error
    absent = [name for name in required if name not in table]
    if absent:
        raise BrokenData(f"no column {', '.join(absent)}", path, "Write it again or remove it.")
    return table


def _similarities(path: Path) -> dict[tuple[str, str], np.ndarray]:
    if not path.is_file():
        return {}
    try:
        with np.load(path, allow_pickle=False) as archive:
            found = {name: np.asarray(archive[name]) for name in archive.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise BrokenData(f"not a readable npz archive: {error}", path, "Write it again or remove it.") from error
    for name, matrix in found.items():
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or "/" not in name:
            what = f"{name!r} has shape {matrix.shape}"
            raise BrokenData(what, path, "Give one (window, window) array per subject/story.")
        if not np.isfinite(matrix).all():
            raise BrokenData(f"{name!r} holds similarities that are not finite", path, "Look for empty latents.")
    return {tuple(name.split("/", 1)): matrix for name, matrix in found.items()}
