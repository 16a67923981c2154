"""Scores a run and leaves in its folder everything that the report shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track

from ..datasets.errors import BrokenData, MissingData, PlasticodeError
from ..datasets.prepare import prepare
from ..datasets.study import Run, Study, open_study
from ..datasets.whole_file import whole_file
from .comparisons import comparisons
from .decoders import Decoder, reader_of
from .evaluation import Evaluation, ScoredStory
from .kept_scores import KeptScores
from .null_battery import Battery
from .null_table import null_rows
from .results import ALONE, DECODER, FREQUENT, RIDGE, Row, rows_of_story, rows_pooled, write_rows
from .ridge import FittedRidge, Ridge
from .run_folder import RunFolder
from .search import Search
from .text_features import TextFeatures
from .trained import TrainedModel


def prepared(study: Study, recordings: Sequence[tuple[str, str, str]]) -> list[Run]:
    """The recordings from the cache, made if need be, in order."""
    chosen = set(recordings)
    subjects, stories = ({recording[i] for recording in recordings} for i in (0, 1))
    runs = prepare(study, subjects=sorted(subjects), stories=sorted(stories)) if recordings else []
    return [run for run in runs if (run.subject, run.story, run.session) in chosen]


def scorable(runs: Sequence[Run], model: Decoder, console: Console) -> list[Run]:
    """The runs that have words and a window; the others are passed over by name.

    Raises `BrokenData` when none is left.
    """
    shape = model.window
    short = [run for run in runs if run.responses.n_rows < shape.rows(run.repetition_time)]
    silent = [run for run in runs if len([word for word in run.words if word.onset >= 0]) < 2 and run not in short]
    for reason, group in (("shorter than one window", short), ("without words to compare with", silent)):
        if group:
            names = ", ".join(run.key for run in group)
            console.print(f"passed over, {reason}: {names}", markup=False, highlight=False, soft_wrap=True)
    kept = [run for run in runs if run not in short and run not in silent]
    if runs and not kept:
        raise BrokenData("no recording can be scored", runs[0].key, "Give recordings with words, of a window or more.")
    return kept


def score(evaluation: Evaluation, runs: Sequence[Run]) -> list[ScoredStory]:
    """Score recordings one after the other, with a progress bar."""
    return [evaluation.score(run) for run in track(runs, description="decoding and scoring")]


def heard_by_others(study: Study, most: int) -> Callable[[Run], Sequence[Run]]:
    """For a run, the recordings of its story by up to `most` other people, one each, from the cache."""

    def others(run: Run) -> Sequence[Run]:
        first: dict[str, tuple[str, str, str]] = {}
        for recording in study.recordings(stories=[run.story]):
            if recording[0] != run.subject:
                first.setdefault(recording[0], recording)
        return prepared(study, [first[subject] for subject in sorted(first)[:most]])

    return others


def rows_of(scored: Sequence[ScoredStory], system: str) -> list[Row]:
    """Rows of one system: per story, then pooled by subject and quadrant."""
    scores = [story.scores[system] for story in scored if system in story.scores]
    return [row for one in scores for row in rows_of_story(one)] + rows_pooled(scores)


def baselines_of_training(model: Decoder, root: str | Path) -> tuple[dict[str, FittedRidge], list[str], list[str]]:
    """A ridge per person and the training texts, from the training runs, and notes on what could not be had."""
    try:
        study = open_study(model.split.study, root, model.split.options)
        runs = prepared(study, [r for r in study.recordings() if r[:2] in set(model.split.train)])
        if not runs:
            raise MissingData("none of the training runs", root, "Give the run's own data folder.")
    except PlasticodeError as error:
        return {}, [], [f"Baselines from training data (ridge, most frequent words) are left out: {error}"]
    people = {run.subject for run in runs}
    wide = max(run.responses.n_channels for run in runs)
    ridge, notes = Ridge(features_of(model, runs)), []
    if wide > ridge.max_channels:
        notes.append(f"The ridge is left out: {wide} channels are more than its {ridge.max_channels}.")
        people = set()
    if new := people & set(model.notes.get("new_people", {})):
        notes.append(f"The ridge is left out for {', '.join(sorted(new))}: of a new person only minutes were used.")
        people -= new
    fitted = {person: ridge.fit([run for run in runs if run.subject == person]) for person in sorted(people)}
    texts = {run.story: " ".join(word.text for word in run.words) for run in runs}
    return fitted, [texts[story] for story in sorted(texts)], notes


def features_of(model: Decoder, training: Sequence[Run]) -> TextFeatures:
    """Text features of the run, standardised by its training recordings."""
    return model.features if isinstance(model, TrainedModel) else TextFeatures(model.vectors).fit(list(training))


def write_scores(run: RunFolder, scored: Sequence[ScoredStory], notes: Sequence[str]) -> list[Row]:
    """results.json, baselines.json, nulls.json, comparisons.json, windows.tsv, identification.npz and notes.json."""
    rows = rows_of(scored, DECODER)
    systems = (ALONE, FREQUENT, RIDGE)
    baselines = [{**_plain(row), "system": system} for system in systems for row in rows_of(scored, system)]
    run.write_json("baselines.json", baselines)
    run.write_json("nulls.json", [_plain(row) for row in null_rows(scored)])
    run.write_json("comparisons.json", comparisons(scored))
    run.write_json("notes.json", list(notes))
    _write_windows(run.path / "windows.tsv", scored)
    _write_similarities(run.path / "identification.npz", scored)
    write_rows(rows, run.results)
    return rows


def _plain(row: Row) -> dict[str, Any]:
    """NaN is not JSON."""
    return {
        name: None if isinstance(value, float) and np.isnan(value) else value for name, value in asdict(row).items()
    }


def _write_windows(path: Path, scored: Sequence[ScoredStory]) -> None:
    rows = [
        {
            "subject": story.reading.run.subject,
            "story": story.reading.run.story,
            "session": story.reading.run.session,
            "start": round(story.reading.onsets()[i], 3),
            "stop": round(story.reading.onsets()[i] + story.reading.rows * story.reading.run.repetition_time, 3),
            "decoded": story.texts[DECODER][i],
            "true": story.reading.true[i],
            "alone": story.texts[ALONE][i],
        }
        for story in scored
        for i in story.kept
    ]
    write_table(pd.DataFrame(rows), path)


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a .tsv whole or not at all."""
    with whole_file(path) as draft:
        table.to_csv(draft, sep="\t", index=False)


def _write_similarities(path: Path, scored: Sequence[ScoredStory]) -> None:
    # subject/story[/session]: a second hearing of a story must not take the first one's place.
    arrays = {story.reading.run.key.split("/", 1)[1]: story.similarity for story in scored}
    with whole_file(path) as draft, draft.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def evaluate_run(
    run: RunFolder,
    model: Decoder,
    root: str | Path,
    runs: Sequence[Run],
    search: Search,
    semantic_model: str,
    notes: Sequence[str] = (),
    battery: Battery | None = None,
) -> tuple[list[ScoredStory], list[Row]]:
    """Score recordings with a run's model beside all baselines and the battery's nulls; write all into its folder."""
    ridges, texts, missing = baselines_of_training(model, root)
    work, chosen = KeptScores.of_run(run.path, search), battery or Battery()
    evaluation = Evaluation(reader_of(model), search, semantic_model, ridges, texts, chosen, work)
    scored = score(evaluation, runs)
    said = [f"{metric} is left out: {reason}" for metric, reason in evaluation.absent().items()]
    told = [
        f"{who} was new: {minutes:g} minutes of recordings, beside what was learned from other people."
        for who, minutes in model.notes.get("new_people", {}).items()
    ]
    if tuned := model.notes.get("tuned_for"):
        told.append(f"The encoder was tuned to {tuned}: other people are read through an encoder that is not theirs.")
    rows = write_scores(run, scored, [*notes, *told, *missing, *said, *left_out(chosen, scored)])
    return scored, rows


def left_out(battery: Battery, scored: Sequence[ScoredStory]) -> list[str]:
    """Which nulls some recordings could not have."""
    without = {
        system: [story.reading.run.key for story in scored if system not in story.scores] for system in battery.systems
    }
    return [f"{system} could not be had for {', '.join(keys)}." for system, keys in without.items() if keys]
