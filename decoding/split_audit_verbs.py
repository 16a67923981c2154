"""Where an audit is made: before a `fit` takes a step, before an `evaluate` scores, and by `plasticode audit split`.

Each prints the table, writes the manifest, and refuses a split that leaks.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from ..datasets.errors import MissingData
from ..datasets.prepare import prepare
from ..datasets.study import Run, open_study
from ..datasets.windows import WindowShape
from .decoders import Decoder
from .run_folder import RunFolder
from .split_audit import audit
from .split_audit_evidence import Evidence, Folder, PreTraining, numbers_of
from .split_audit_manifest import FILE, manifest_of
from .split_audit_table import print_audit
from .trained import Split


def audit_split(run_dir: Path, root: Path | None, console: Console, semantic_model: str = "minilm") -> Path:
    """Audit a run folder; returns the manifest's path.

    Parameters
    ----------
    run_dir
        Folder of a brain model's run, finished or not.
    root
        Folder of the scored recordings; the run's own by default.

    Raises `Leak` with the kinds of leaks, once rows are printed and the manifest is written; `MissingData` and
    `BrokenData` for what cannot be read.
    """
    folder = Folder.read(run_dir)
    place = root or folder.root
    if place is None:
        raise MissingData("the run does not say where its recordings are", run_dir, "Give their folder with --root.")
    study = open_study(folder.split.study, place, folder.split.options)
    chosen = folder.scored(study)
    subjects, stories = (sorted({recording[i] for recording in chosen}) for i in (0, 1))
    prepared = prepare(study, subjects=subjects, stories=stories)
    scored = [run for run in prepared if (run.subject, run.story, run.session) in set(chosen)]
    evidence = _of_folder(folder, scored, place, semantic_model)
    return _conclude(evidence, folder.run.path / FILE, "audit", console)[0]


def audit_evaluation(
    run: RunFolder,
    model: Decoder,
    scored: Sequence[Run],
    root: Path,
    out: Path | None,
    semantic_model: str,
    console: Console,
) -> None:
    """Before scoring: raises `Leak`. The manifest goes into the run folder, or beside `out` where results go there."""
    evidence = _of_folder(Folder.read(run.path), scored, root, semantic_model)
    path = run.path / FILE if out is None else out.with_name(f"{out.stem}.{FILE}")
    _conclude(evidence, path, "evaluate", console)


def audit_fit(
    run: RunFolder,
    split: Split,
    window: WindowShape,
    recordings: tuple[Sequence[Run], Sequence[Run], Sequence[Run]],
    language: PreTraining,
    console: Console,
) -> dict[str, Any]:
    """Before the first step: raises `Leak`; returns the manifest, which travels in checkpoint and model.

    `recordings` are those for training, for validation and for the test; of the last only the words are looked at.
    """
    training, watched, scored = (tuple(runs) for runs in recordings)
    evidence = Evidence(
        split,
        window,
        training,
        watched,
        scored,
        named=split.test,
        language=language,
        semantic_model=None,
    )
    return _conclude(evidence, run.path / FILE, "fit", console)[1]


def _of_folder(folder: Folder, scored: Sequence[Run], root: Path, semantic_model: str) -> Evidence:
    training, watched, missing = folder.training(root)
    return Evidence(
        folder.split,
        folder.window,
        training,
        watched,
        tuple(scored),
        claimed=folder.claims(),
        numbers=numbers_of(training, watched, scored),
        language=folder.language,
        model_split=folder.model_split,
        semantic_model=semantic_model,
        missing=missing,
    )


def _conclude(evidence: Evidence, path: Path, stage: str, console: Console) -> tuple[Path, dict[str, Any]]:
    found = audit(evidence)
    manifest = manifest_of(found, evidence, stage)
    written = RunFolder(path.parent).write_json(path.name, manifest)
    print_audit(found, console)
    found.refuse(path.parent)
    return written, manifest
