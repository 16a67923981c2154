"""`plasticode demo`: the whole chain into one run folder; resumed, finished trainings are kept and scoring is redone.

data -> language model -> encoder and decoder -> text of stories never seen -> scores beside nulls -> report.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from ..datasets.errors import MissingData, WrongArgument
from ..datasets.grammar import corpus
from ..datasets.prepare import default_cache
from ..datasets.study import study_class
from ..datasets.synthetic import SyntheticStudy, write_synthetic
from ..datasets.whole_file import write_text
from .defaults import CONFIGS, language_config, search_of, studies_with_demo
from .evaluation import ScoredStory
from .fitting import run_lightning
from .held_out import held_out
from .network import BrainToTextNetwork
from .planted_facts import map_facts, oracle_facts, planted_map
from .report import write_report
from .results import POOLED, print_table, read_rows
from .run_folder import RunFolder
from .scoring import evaluate_run, prepared, scorable
from .search import Search
from .split_audit_verbs import audit_evaluation
from .trained import TrainedModel
from .voxel_map import save_map

DEMO = "demo.json"  # what the demo was asked for, so that --resume needs no other argument
PROSE = Path("text") / "prose_and_speech.tar.xz"
CORPUS_CHARACTERS = 400_000


def start_demo(study: str, root: str | None, subject: str | None, run_dir: Path | None, console: Console) -> Path:
    """Begin a run and carry it to its end; returns the report.

    Raises `WrongArgument` for a study without a config or a folder with a run in it, `MissingData` without its data.
    """
    if study not in studies_with_demo():
        raise WrongArgument(f"no demo for study {study!r}", "--study", f"One of: {', '.join(studies_with_demo())}.")
    _check(study, root, subject)
    run = RunFolder(run_dir) if run_dir else RunFolder.dated("demo")
    if (run.path / DEMO).is_file():
        raise WrongArgument("there is a demo in this folder already", run.path, f"Go on with --resume {run.path}.")
    run.write_json(DEMO, {"study": study, "root": root and str(Path(root).resolve()), "subject": subject})
    return resume_demo(run.path, console)


def _check(study: str, root: str | None, subject: str | None) -> None:
    """Say what is wrong with the arguments before there is a run that would keep them."""
    if study != SyntheticStudy.name:
        if root is None:
            raise MissingData(
                f"no data folder for study {study}", "--root", f"Give it, or see `plasticode fetch {study} -h`."
            )
        study_class(study)(root).recordings([subject] if subject else None)
    config: dict[str, Any] = yaml.safe_load((CONFIGS / f"{study}.yaml").read_text(encoding="utf-8"))
    kept_out = config["data"]["init_args"].get("test_subjects") or []
    if subject in kept_out:
        raise WrongArgument(f"{subject} is held out for the test", "--subject", "Name a person to train on.")


def resume_demo(run_dir: Path, console: Console) -> Path:
    """Do what is still to be done of a run that `start_demo` began; returns the report."""
    run = RunFolder(run_dir)
    if not (run.path / DEMO).is_file():
        raise MissingData("no demo in this folder", run.path, "Begin one with `plasticode demo --run-dir DIR`.")
    console.print(f"run: {run.path}", soft_wrap=True, highlight=False)
    return _chain(**json.loads((run.path / DEMO).read_text(encoding="utf-8")), run=run, console=console)


def _chain(study: str, root: str | None, subject: str | None, run: RunFolder, console: Console) -> Path:
    data, texts = _data(study, root, console)
    _language_model(study, data, texts, run, console)
    _brain_model(study, data, subject, run, console)
    model = TrainedModel.load(run.path)
    scored = _score(model, data, subject, run, search_of(run, study), console)
    _facts(study, data, scored, model.network, run)
    print_table([row for row in read_rows(run.results) if row.story == POOLED], console)
    report = write_report(run.path)
    console.print(f"report: {report}", soft_wrap=True, highlight=False)
    return report


def _data(study: str, root: str | None, console: Console) -> tuple[Path, list[str]]:
    """Folder of the recordings, and further text files for the language model."""
    if study == SyntheticStudy.name:
        folder = Path(root) if root else default_cache() / "demo" / "synthetic"
        console.print(f"synthetic recordings: {folder}", soft_wrap=True, highlight=False)
        write_synthetic(folder)
        text = folder.parent / f"{folder.name}_corpus.txt"
        if not text.is_file():
            write_text(text, corpus(seed=1, n_characters=CORPUS_CHARACTERS))
        return folder, [str(text)]
    assert root is not None  # see `_check`
    folder = Path(root)
    shared = os.environ.get("PLASTICODE_DATA")
    places = [Path(place) / PROSE for place in (shared, folder.parent) if place]
    prose = next((str(place) for place in places if place.is_file()), None)
    if prose is None:
        console.print(f"no {PROSE} beside the data: the language model reads the training transcripts only")
    return folder, [prose] if prose else []


def _language_model(study: str, root: Path, texts: list[str], run: RunFolder, console: Console) -> None:
    folder = RunFolder(run.language_model)
    if folder.model.is_file():
        return
    console.rule("language model")
    overrides = ["--config", str(CONFIGS / language_config(study)), "--data.root", str(root)]
    _fit([*overrides, f"--data.paths={texts}"], folder)


def _brain_model(study: str, root: Path, subject: str | None, run: RunFolder, console: Console) -> None:
    if run.model.is_file():
        return
    console.rule("encoder and decoder")
    overrides = [
        "--config",
        str(CONFIGS / f"{study}.yaml"),
        "--data.root",
        str(root),
        "--data.language_model",
        str(run.language_model.resolve()),  # the config is read again on resuming, from anywhere
    ]
    _fit([*overrides, *([f"--data.subjects=[{subject}]"] if subject else [])], run)


def _fit(arguments: list[str], run: RunFolder) -> None:
    if run.config.is_file():
        run_lightning("fit", [], resume=str(run.path))
    else:
        run_lightning("fit", arguments, run_dir=str(run.path))


def _score(
    model: TrainedModel, root: Path, subject: str | None, run: RunFolder, search: Search, console: Console
) -> list[ScoredStory]:
    console.rule("stories never seen")
    chosen = held_out(model, root, [subject] if subject else None)
    run.write_json("search.json", asdict(search))
    runs = scorable(prepared(chosen.study, chosen.recordings), model, console)
    audit_evaluation(run, model, runs, root, None, "minilm", console)
    scored, _ = evaluate_run(run, model, root, runs, search, "minilm")
    return scored


def _facts(study: str, root: Path, scored: Sequence[ScoredStory], network: BrainToTextNetwork, run: RunFolder) -> None:
    """On synthetic data: the map against the planted truth, and the share of the oracle."""
    facts: list[dict[str, Any]] = []
    if study == SyntheticStudy.name:
        source = SyntheticStudy(root)
        people = sorted({story.reading.run.subject for story in scored})
        save_map(planted_map(source, people), run.path / "truth_map.nii.gz")
        facts = [*map_facts(source, scored, network), *oracle_facts(source, scored)]
    run.write_json("facts.json", facts)
