"""`plasticode decode` and `plasticode evaluate`: recordings that the run never saw, to text and to scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.progress import track

from .decoders import Decoder, load_decoder, reader_of
from .defaults import search_of
from .evaluation import Evaluation, written
from .held_out import HeldOut, held_out
from .kept_scores import KeptScores
from .null_battery import N_DRAWS, Battery, named
from .null_table import null_rows, say_nulls
from .results import DECODER, POOLED, print_table, write_rows, write_systems
from .run_folder import RunFolder
from .scoring import evaluate_run, heard_by_others, left_out, prepared, rows_of, scorable, score, write_table
from .split_audit_verbs import audit_evaluation


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
    reader, search, lines = reader_of(model), search_of(run), []
    work = KeptScores.of_run(run.path, search)
    for recording in track(prepared(chosen.study, chosen.recordings), description="decoding", console=console):
        reading, texts = written(reader, search, recording, work)
        length = reading.rows * recording.repetition_time
        repeated = hearings[recording.subject, recording.story] > 1
        story = f"{recording.story}_{recording.session}" if repeated else recording.story
        for onset, text in zip(reading.onsets(), texts, strict=True):
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
    nulls: tuple[str, int] = ("permuted", N_DRAWS),
) -> None:
    """Score and print the table; without `out`, everything that the report shows is written into the run folder.

    `nulls` are the names of the null battery's parts and the number of draws. Where there are any beside the permuted
    pairing, `out` holds their pooled rows too, and every row names its `system`.

    The split is audited first: raises `Leak`, with its rows printed, where what is to be scored was seen.
    """
    names = named(nulls[0])
    run, model, chosen = _opened(run_dir, root, subjects, stories, console)
    runs = scorable(prepared(chosen.study, chosen.recordings), model, console)
    audit_evaluation(run, model, runs, root, out, semantic_model, console)
    search, battery = search_of(run), Battery(names, nulls[1], heard_by_others(chosen.study, nulls[1]))
    work = KeptScores.of_run(run.path, search)
    evaluation = Evaluation(reader_of(model), search, semantic_model, battery=battery, work=work)
    if out is None:
        scored, rows = evaluate_run(run, model, root, runs, search, semantic_model, battery=battery)
    else:
        scored = score(evaluation, runs)
        rows = rows_of(scored, DECODER)
        if battery.systems:
            write_systems(rows, null_rows(scored), out)
        else:
            write_rows(rows, out)
    pooled = [row for row in rows if row.story == POOLED]
    print_table(pooled, console, evaluation.absent())
    say_nulls(pooled, scored, left_out(battery, scored), console)


def _opened(
    run_dir: Path, root: Path, subjects: Sequence[str] | None, stories: Sequence[str] | None, console: Console
) -> tuple[RunFolder, Decoder, HeldOut]:
    """The run, its model and the recordings that may be scored; names those that may not, and why."""
    run = RunFolder.existing(run_dir)
    model = load_decoder(run.path)
    chosen = held_out(model, root, subjects, stories)
    reasons: dict[str, list[str]] = {}
    for name, reason in chosen.passed_over.items():
        reasons.setdefault(reason, []).append(name)
    for reason, names in reasons.items():
        console.print(f"refused, {reason}: {', '.join(sorted(names))}", markup=False, highlight=False, soft_wrap=True)
    return run, model, chosen
