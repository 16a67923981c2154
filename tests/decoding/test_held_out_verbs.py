"""`decode` and `evaluate` on recordings in memory: two sessions of one story, one of another."""

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from plasticode.decoding import held_out as opening
from plasticode.decoding import scoring
from plasticode.decoding.held_out_verbs import decode, evaluate
from plasticode.decoding.report_input import read_run
from plasticode.decoding.trained import TrainedModel
from rich.console import Console

HEARINGS = [("one", "ses-1"), ("one", "ses-2"), ("two", "ses-1")]


@pytest.fixture
def run_dir(tiny, tmp_path, monkeypatch):
    """The folder of a run; its study offers `HEARINGS` and a story that was trained on."""
    runs = [replace(tiny.run(story=story, seed=i), session=session) for i, (story, session) in enumerate(HEARINGS)]

    class Sessions(tiny.study):
        def sessions(self, subject, story):
            return [run.session for run in runs if run.story == story] or [""]

    study = Sessions(tmp_path, [*runs, tiny.run(story="trained")])
    monkeypatch.setattr(opening, "open_study", lambda *_: study)
    monkeypatch.setattr(scoring, "open_study", lambda *_: study)
    monkeypatch.setattr(scoring, "prepare", lambda study, subjects, stories: [r for r in runs if r.story in stories])
    tiny.model().save(tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def loaded(monkeypatch):
    """Folders from which a model was loaded."""
    folders, load = [], TrainedModel.load
    monkeypatch.setattr(TrainedModel, "load", lambda folder: folders.append(folder) or load(folder))
    return folders


def test_a_story_heard_in_two_sessions_is_decoded_under_two_names(run_dir, tmp_path, loaded):
    said = io.StringIO()
    decode(run_dir, tmp_path, None, None, tmp_path / "decoded.tsv", Console(file=said))
    table = pd.read_csv(tmp_path / "decoded.tsv", sep="\t", keep_default_na=False)
    assert list(table.columns) == ["subject", "story", "start", "stop", "text"]
    assert list(table["story"].unique()) == ["one_ses-1", "one_ses-2", "two"]
    assert not table.duplicated(["subject", "story", "start"]).any()
    assert "refused, trained on: trained" in said.getvalue()
    assert loaded == [run_dir]


def test_an_evaluation_keeps_the_sessions_of_a_story_apart(run_dir, tmp_path, loaded):
    said = io.StringIO()
    evaluate(run_dir, tmp_path, None, None, None, "none at hand", Console(file=said))
    table = pd.read_csv(run_dir / "windows.tsv", sep="\t", keep_default_na=False)
    assert list(table.columns) == ["subject", "story", "session", "start", "stop", "decoded", "true", "alone"]
    assert list(dict.fromkeys(zip(table["story"], table["session"], strict=True))) == HEARINGS
    assert "refused, trained on: trained" in said.getvalue()
    assert loaded == [run_dir]


def test_the_report_reads_texts_under_the_names_of_their_similarities(run_dir, tmp_path):
    evaluate(run_dir, tmp_path, None, None, None, "none at hand", Console(file=io.StringIO()))
    record = read_run(run_dir)
    texts = set(zip(record.texts["subject"], record.texts["story"], strict=True))
    assert texts == set(record.similarities) == {("S1", f"{story}/{session}") for story, session in HEARINGS}
    assert all(np.all(np.diff(part["start"]) > 0) for _, part in record.texts.groupby("story"))
