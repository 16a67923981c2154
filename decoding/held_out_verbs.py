"""`plasticode decode` and `plasticode evaluate`: recordings that the run never saw, to text and to scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.progress import track

from .defaults import search_of
from .evaluation import Evaluation
from .held_out import HeldOut, held_out
from .reading import Reader
from .results import DECODER, POOLED, print_table, write_rows
from .run_folder import RunFolder
from .scoring import evaluate_run, prepared, rows_of, scorable, score, write_table
from .trained import TrainedModel


def decode(
    run_dir: Path,
    root: Path,
    subjects: Sequence[str] | None,
    stories: Sequence[str] | None,
    out: Path,
    console: Console,
) -> None:
    """Write subject, story, start, stop (s on the recording's clock) and text of every window to `out`.

    Where somebody heard a story in several sessions it is named with its session: `story_ses-02`.
    """
    run, model, chosen = _opened(run_dir, root, subjects, stories, console)
    hearings = Counter((subject, story) for subject, story, _ in chosen.recordings)
    reader, search, lines = Reader(model), search_of(run), []
    for recording in track(prepared(chosen.study, chosen.recordings), description="decoding", console=console):
        reading = reader.read(recording)
        length = reading.rows * recording.repetition_time
        repeated = hearings[recording.subject, recording.story] > 1
        story = f"{recording.story}_{recording.session}" if repeated else recording.story
        for onset, text in zip(reading.onsets(), reader.write(reading, search), strict=True):
            lines.append((recording.subject, story, round(onset, 3), round(onset + length, 3), text))
    out.parent.mkdir(parents=True, exist_ok=True)
    write_table(pd.DataFrame(lines, columns=["subject", "story", "start", "stop", "text"]), out)


def evaluate(
    run_dir: Path,
    root: Path,
    subjects: Sequence[str] | None,
    stories: Sequence[str] | None,
    out: Path | None,
    semantic_model: str,
    console: Console,
) -> None:
    """Score and print the table; without `out`, everything that the report shows is written into the run folder."""
    run, model, chosen = _opened(run_dir, root, subjects, stories, console)
    runs = scorable(prepared(chosen.study, chosen.recordings), model, console)
    evaluation = Evaluation(Reader(model), search_of(run), semantic_model)
    if out is None:
        _, rows = evaluate_run(run, model, root, runs, search_of(run), semantic_model)
    else:
        rows = rows_of(score(evaluation, runs), DECODER)
        out.parent.mkdir(parents=True, exist_ok=True)
        write_rows(rows, out)
    print_table([row for row in rows if row.story == POOLED], console, evaluation.absent())


def _opened(
    run_dir: Path, root: Path, subjects: Sequence[str] | None, stories: Sequence[str] | None, console: Console
) -> tuple[RunFolder, TrainedModel, HeldOut]:
    """The run, its model and the recordings that may be scored; names those that may not, and why."""
    run = RunFolder.existing(run_dir)
    model = TrainedModel.load(run.path)
    chosen = held_out(model, root, subjects, stories)
    reasons: dict[str, list[str]] = {}
    for name, reason in chosen.passed_over.items():
        reasons.setdefault(reason, []).append(name)
    for reason, names in reasons.items():
        console.print(f"refused, {reason}: {', '.join(sorted(names))}", markup=False, highlight=False, soft_wrap=True)
    return run, model, chosen
