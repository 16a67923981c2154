"""`decode` and `evaluate` on recordings in memory: two sessions of one story, one of another."""

import argparse
import io
import json
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
from plasticode.datasets.errors import WrongArgument
from plasticode.decoding import commands, held_out_verbs, scoring
from plasticode.decoding import held_out as opening
from plasticode.decoding.held_out_verbs import decode, evaluate
from plasticode.decoding.reading import Reader
from plasticode.decoding.report_input import read_run
from plasticode.decoding.results import Row
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


def test_all_nulls_of_a_run_stand_in_its_folder_and_on_the_console(run_dir, tmp_path):
    said = io.StringIO()
    evaluate(run_dir, tmp_path, None, ["two"], None, "none at hand", Console(file=said, width=120), ("all", 2))
    nulls = json.loads((run_dir / "nulls.json").read_text())
    (extra,) = {tuple(row)[len(fields(Row)) :] for row in nulls}
    assert extra == ("system", "n_draws", "draw_sd", "decoder", "p_draws")
    systems = {"noise input", "zero input", "time-reversed responses", "untrained encoder"}
    systems |= {"language model alone, as long as noise input"}
    assert {row["system"] for row in nulls} == systems  # 60 rows are too few to shift, and nobody else heard the story
    assert {row["n_draws"] for row in nulls if row["system"] == "untrained encoder"} == {2}
    notes = " ".join(json.loads((run_dir / "notes.json").read_text()))
    for without in ("another person's brain", "shifted latents"):
        assert f"{without} could not be had for arrays/S1/two/ses-1." in notes
        assert f"{without} could not be had for arrays/S1/two/ses-1." in said.getvalue()
    assert "Fed noise with the recordings' own spectra, the decoder beat the language model alone in" in said.getvalue()


def test_another_person_who_heard_the_story_is_found_in_the_study(tiny, run_dir, tmp_path, monkeypatch):
    other = replace(tiny.run("S2", "two", seed=7), session="ses-9")
    study = scoring.open_study()
    everybody = [*study.by_key.values(), other]

    class Both(type(study)):
        def sessions(self, subject, story):
            return ["ses-9"] if subject == "S2" else super().sessions(subject, story)

    monkeypatch.setattr(opening, "open_study", lambda *_: Both(tmp_path, everybody))
    monkeypatch.setattr(
        scoring,
        "prepare",
        lambda study, subjects, stories: [r for r in everybody if r.story in stories and r.subject in subjects],
    )
    evaluate(run_dir, tmp_path, ["S1"], ["two"], None, "none", Console(file=io.StringIO()), ("other-brain", 2))
    assert {row["system"] for row in json.loads((run_dir / "nulls.json").read_text())} == {"another person's brain"}


def test_rows_name_their_system_where_nulls_were_asked_for_and_only_there(run_dir, tmp_path):
    found = {}
    for asked in ("permuted", "alone,zero"):
        evaluate(run_dir, tmp_path, None, ["two"], tmp_path / "o.json", "none", Console(file=io.StringIO()), (asked, 2))
        found[asked] = json.loads((tmp_path / "o.json").read_text())
    names = [field.name for field in fields(Row)]
    assert {tuple(row) for row in found["permuted"]} == {tuple(names)}
    assert {row["system"] for row in found["alone,zero"]} == {"plasticode", "zero input"}
    own = [row for row in found["alone,zero"] if row["system"] == "plasticode"]
    assert [{name: row[name] for name in names} for row in own] == found["permuted"]


def test_an_evaluation_without_nulls_leaves_none_of_an_earlier_one(run_dir, tmp_path):
    for asked in ("zero", "permuted"):
        evaluate(run_dir, tmp_path, None, ["two"], None, "none", Console(file=io.StringIO()), (asked, 2))
    assert json.loads((run_dir / "nulls.json").read_text()) == []


def test_what_was_decoded_or_scored_once_is_not_written_again(run_dir, tmp_path, monkeypatch):
    decode(run_dir, tmp_path, None, None, tmp_path / "one.tsv", Console(file=io.StringIO()))
    monkeypatch.setattr(Reader, "write_latents", None)
    decode(run_dir, tmp_path, None, None, tmp_path / "two.tsv", Console(file=io.StringIO()))
    assert (tmp_path / "one.tsv").read_bytes() == (tmp_path / "two.tsv").read_bytes()
    evaluate(run_dir, tmp_path, None, None, None, "none", Console(file=io.StringIO()))


def test_the_console_hands_the_nulls_on(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(held_out_verbs, "evaluate", lambda *arguments: asked.append(arguments[-1]))
    for more in ([], ["--nulls", "noise,zero", "--null-draws", "7"]):
        parser = argparse.ArgumentParser()
        commands.evaluate_arguments(parser)
        commands.evaluate_run(parser.parse_args([str(tmp_path), "--root", str(tmp_path), *more]))
    assert asked == [("permuted", 20), ("noise,zero", 7)]


def test_a_null_that_is_none_is_refused_before_anything_is_read(run_dir, tmp_path, loaded):
    with pytest.raises(WrongArgument, match="no null brain"):
        evaluate(run_dir, tmp_path, None, None, None, "none", Console(file=io.StringIO()), ("brain", 2))
    assert loaded == []
