"""Oracles: a planted person whose channels mix two others', and the study of the encoding decoder's tests."""

import json

import numpy as np
import pytest
from plasticode.cli import main
from plasticode.datasets.study import open_study
from plasticode.decoding.encoding_decoder import EncodingDecoder
from plasticode.decoding.encoding_reader import EncodingReader
from plasticode.decoding.search import Search

from .planted_words import HELD, N_CHANNELS, fit, made

SEARCH = Search(10, 0.0, 1.0)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """UTS01 is UTS03 in other channels, with noise of its own; four minutes of it are used."""
    place = tmp_path_factory.mktemp("new")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLASTICODE_CACHE", str(place / "cache"))
        root = made(place / "study")
        with np.load(root / "uts03.npz") as theirs:
            parts = dict(theirs)
        rng = np.random.default_rng(1)
        mixed = parts["pcs"].astype(np.float64) @ rng.normal(size=(N_CHANNELS, N_CHANNELS)) / np.sqrt(N_CHANNELS)
        parts["pcs"] = (mixed + 0.2 * rng.normal(size=mixed.shape)).astype(np.float16)
        np.savez(root / "uts01.npz", **parts)
        assert fit(root, place / "new", "--data.minutes={UTS01: 4}") == 0
        assert fit(root, place / "alone", "--data.subjects=[UTS01]") == 0
        yield place


@pytest.fixture
def here(place, monkeypatch):
    monkeypatch.setenv("PLASTICODE_CACHE", str(place / "cache"))
    return place


def identified(here, run, story=HELD["test"][0]):
    reader = EncodingReader(EncodingDecoder.load(here / run))
    reading = reader.read(open_study("lebel2023", here / "study", {}).run("UTS01", story))
    kept = list(reading.scored)
    said = reader.text_similarity([reader.write(reading, SEARCH)[i] for i in kept], [reading.true[i] for i in kept])
    heard = reading.similarity()[np.ix_(kept, kept)]
    return [np.mean(matrix.argmax(axis=1) == np.arange(len(kept))) for matrix in (heard, said)]


def test_minutes_are_enough_where_others_lend_their_models(here):
    likelihood, text = identified(here, "new")
    assert likelihood > 0.9
    assert text > 0.4


def test_the_run_says_what_was_used_of_the_new_person(here):
    split = json.loads((here / "new" / "split.json").read_text())
    used = {story for subject, story in split["train"] if subject == "UTS01"}
    assert 1 <= len(used) < len({story for subject, story in split["train"] if subject == "UTS03"})
    assert {story for _, story in split["fitted"]["alignment"]} == used
    assert EncodingDecoder.load(here / "new").notes["new_people"] == {"UTS01": 4}


def test_the_new_persons_other_recordings_change_nothing(here, tmp_path):
    """Only the minutes that are named are read: with all the rest made noise, the decoder is the same."""
    root = made(tmp_path / "study")
    split = json.loads((here / "new" / "split.json").read_text())
    used = {story for subject, story in split["train"] if subject == "UTS01"}
    with np.load(here / "study" / "uts01.npz") as theirs:
        parts = dict(theirs)
    for story, start, stop in zip(parts["story"], parts["start"], parts["stop"], strict=True):
        if story not in used:
            parts["pcs"][start:stop] = np.random.default_rng(0).normal(size=(stop - start, N_CHANNELS))
    np.savez(root / "uts01.npz", **parts)
    assert fit(root, tmp_path / "run", "--data.minutes={UTS01: 4}") == 0
    first, second = (EncodingDecoder.load(folder).people["UTS01"] for folder in (here / "new", tmp_path / "run"))
    np.testing.assert_array_equal(first.encoding.weights, second.encoding.weights)
    np.testing.assert_array_equal(first.rate.weights, second.rate.weights)


@pytest.mark.parametrize(
    ("told", "said"),
    [("{UTS09: 4}", "no person UTS09"), ("{UTS01: 0}", "above 0"), ("{UTS01: 4, UTS03: 4}", "1 people")],
)
def test_minutes_that_cannot_be_are_refused(here, tmp_path, capsys, told, said):
    assert fit(here / "study", tmp_path / "run", f"--data.minutes={told}") == 2
    assert said in capsys.readouterr().err


def test_one_story_of_the_new_person_is_enough(here, tmp_path):
    root = made(tmp_path / "study")
    with np.load(here / "study" / "uts01.npz") as theirs:
        parts = dict(theirs)
    chosen = [i for i, story in enumerate(parts["story"]) if story in ("storya", *HELD["test"])]
    kept = {name: parts[name][chosen] for name in ("story", "start", "stop")}
    np.savez(root / "uts01.npz", pcs=parts["pcs"], **kept)
    assert fit(root, tmp_path / "run", "--data.minutes={UTS01: 4}") == 0
    donors = EncodingDecoder.load(tmp_path / "run")
    assert {story.split("[")[0] for story in donors.people["UTS01"].encoding.stories} == {"storya"}


def test_it_is_scored_like_any_run(here):
    told = ["--root", str(here / "study"), "--semantic-model", "none", "--subject", "UTS01"]
    assert main(["evaluate", str(here / "new"), *told]) == 0
    rows = json.loads((here / "new" / "results.json").read_text())
    assert {row["subject"] for row in rows} == {"UTS01"}
    notes = " ".join(json.loads((here / "new" / "notes.json").read_text()))
    assert "UTS01 was new: 4 minutes" in notes
    assert "The ridge is left out for UTS01" in notes
    assert "ridge" not in (here / "new" / "baselines.json").read_text()
