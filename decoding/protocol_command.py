"""`plasticode evaluate RUN_DIR --protocol within | cross | adapt`: encoding models across the people of a run's study.

The run gives the study, which stories were held out and its word vectors; its own network is not used. Left in
RUN_DIR/protocol: `scores.tsv`, `gains.tsv`, `minutes_*.png`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console

from ..datasets.errors import MissingData, WrongArgument
from ..datasets.study import Run, open_study
from ..datasets.whole_file import whole_file
from ..page_figure import saved
from . import semantic
from .across_people import WAYS, AcrossPeople, Way
from .decoders import load_decoder
from .encoding_bands import encoding_model
from .figures_minutes import minutes_figure
from .held_out import used_stories
from .kept_scores import KeptScores
from .protocol import METRICS, Protocol, basis_of, gains, table
from .run_folder import RunFolder
from .scoring import prepared, write_table
from .split_audit_verbs import audit_evaluation
from .trained import Split

FOLDER = "protocol"
SHOWN = ["metric", "subject", "way", "minutes", "value", "ci_low", "ci_high", "null_mean", "p", "chance", "n_windows"]
LABELS = dict(zip(METRICS, ("identified among the story's windows", "among 5 of like word count"), strict=True))


def evaluate_protocol(
    run_dir: Path,
    root: Path,
    ways: Sequence[Way],
    minutes: Sequence[float],
    draws: int,
    console: Console,
    training_root: Path | None = None,
) -> pd.DataFrame:
    """Score, print and write; what is finished is not computed again. Returns the table.

    Every story below `root` is scored that the run has not used in any way; the run's training stories lie there, too,
    or below `training_root`. Raises `MissingData` where there is none of either, `Leak` where the split leaks.
    """
    run = RunFolder.existing(str(run_dir))
    model = load_decoder(run.path)
    used = used_stories(model)
    training = sorted(model.split.trained_stories())
    runs = recordings(model.split, training_root or root, lambda story: story in training)
    fresh = recordings(model.split, root, lambda story: story not in used)
    audit_evaluation(run, model, list(fresh.values()), root, None, semantic.MINILM, console)
    runs, scored = runs | fresh, sorted({story for _, story in fresh})
    console.print(f"scored: {', '.join(scored)}", markup=False, highlight=False, soft_wrap=True)
    repetition_time = next(iter(runs.values())).repetition_time
    states = sentence_model(console)
    encoding = encoding_model(model.vectors, model.window.rows(repetition_time), states)
    people = AcrossPeople(runs, training, scored, encoding)
    folder = run.path / FOLDER
    vectors = hashlib.sha256(model.vectors.table.tobytes()).hexdigest()
    work = KeptScores(folder / "kept", basis_of(people, f"{vectors} {states}"))
    ways = with_no_minutes(ways, minutes, people, console)
    return write(Protocol(people, ways, minutes, draws, work), folder, console)


def recordings(split: Split, root: Path, wanted: Callable[[str], bool]) -> dict[tuple[str, str], Run]:
    """By (subject, story): recordings of the wanted stories; the first session where there are several."""
    study = open_study(split.study, root, split.options)
    runs = prepared(study, [recording for recording in study.recordings() if wanted(recording[1])])
    if not runs:
        raise MissingData("no story to train on, or none to score", root, "Give the folder of the run's own study.")
    return {(run.subject, run.story): run for run in reversed(runs)}


def sentence_model(console: Console) -> str:
    """The packaged one where it is at hand; nothing, and why, where it is not."""
    if reason := semantic.unavailable(semantic.MINILM):
        console.print(f"without states of a sentence model: {reason}", markup=False, highlight=False, soft_wrap=True)
        return ""
    return semantic.MINILM


def with_no_minutes(
    ways: Sequence[Way], minutes: Sequence[float], people: AcrossPeople, console: Console
) -> Sequence[Way]:
    """No minutes of the person are the way `cross`, where channels are voxels of one space; else it is said."""
    if 0.0 not in minutes or "cross" in ways:
        return ways
    try:
        people.one_space(people.subjects[0])
    except WrongArgument as error:
        console.print(f"0 minutes are impossible here: {error}", markup=False, highlight=False, soft_wrap=True)
        return ways
    return (*ways, "cross")


def write(protocol: Protocol, folder: Path, console: Console) -> pd.DataFrame:
    """Table, paired gains and figures."""
    scores = protocol.scores()
    found, paired = table(scores), gains(scores)
    folder.mkdir(parents=True, exist_ok=True)
    write_table(found, folder / "scores.tsv")
    write_table(paired, folder / "gains.tsv")
    for metric, label in LABELS.items():
        figure = minutes_figure(found[found["metric"] == metric], label)
        with whole_file(folder / f"minutes_{metric}.png") as draft:
            draft.write_bytes(saved(figure, "png"))
    console.print(found[SHOWN].round(3).to_string(index=False), markup=False, highlight=False, soft_wrap=True)
    if len(paired):
        console.print("adapt less within:", paired.round(4).to_string(index=False), sep="\n", markup=False)
    console.print(f"written: {folder}", markup=False, highlight=False, soft_wrap=True)
    return found


def ways_of(text: str) -> tuple[Way, ...]:
    """ "within,adapt" to ways. Raises `WrongArgument` for a name that is none."""
    names = [name.strip() for name in text.split(",")]
    found = tuple(way for way in WAYS if way in names)
    if len(found) < len(set(names)):
        raise WrongArgument(f"protocol {text!r}", "--protocol", f"Give some of {', '.join(WAYS)}, parted by commas.")
    return found


def minutes_of(text: str) -> tuple[float, ...]:
    """ "0,10,60,all" to numbers. Raises `WrongArgument` for anything else."""
    try:
        found = tuple(math.inf if part.strip() == "all" else float(part) for part in text.split(","))
    except ValueError:
        found = (-1.0,)
    if min(found) < 0:
        raise WrongArgument(f"minutes {text!r}", "--minutes", "Give numbers of minutes, or `all`, parted by commas.")
    return found
