"""Oracles: planted responses of a made study on disk, through the console; nulls that must be at chance."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from plasticode.cli import main
from plasticode.datasets.errors import BrokenData, MissingData, WrongArgument
from plasticode.datasets.study import Responses, open_study
from plasticode.decoding.causal_words import CausalWords
from plasticode.decoding.encoding_decoder import EncodingDecoder
from plasticode.decoding.encoding_reader import EncodingReader
from plasticode.decoding.search import Search

from .planted_words import HELD, STORIES, fit, made

SEARCH = Search(10, 0.0, 1.0)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the study, a fitted run and its evaluation."""
    place = tmp_path_factory.mktemp("encoding")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLASTICODE_CACHE", str(place / "cache"))
        root = made(place / "study")
        assert fit(root, place / "run") == 0
        told = ["--root", str(root), "--semantic-model", "none", "--nulls", "all", "--null-draws", "2"]
        assert main(["evaluate", str(place / "run"), *told]) == 0
        yield place


@pytest.fixture
def here(place, monkeypatch):
    monkeypatch.setenv("PLASTICODE_CACHE", str(place / "cache"))
    return place


@pytest.fixture
def reader(here):
    return EncodingReader(EncodingDecoder.load(here / "run"))


def recording(here, story=HELD["test"][0]):
    return open_study("lebel2023", here / "study", {}).run("UTS03", story)


def pooled(path, system=None):
    rows = pd.DataFrame(json.loads(path.read_text()))
    rows = rows[rows["story"] == "all"] if system is None else rows[(rows["story"] == "all") & (rows.system == system)]
    return rows.set_index("metric")


def test_likelihood_and_text_pick_the_right_window(here):
    found = pooled(here / "run" / "results.json")
    assert found.loc["likelihood_top1", "value"] > 0.9
    assert found.loc["text_top1", "value"] > 0.5
    assert found.loc["text_top1", "p"] == pytest.approx(1 / 37)  # the smallest that two short stories allow
    assert found.loc["word_rate_r", "value"] > 0.25
    assert "latent_top1" not in found.index


def test_the_text_is_better_than_the_language_model_alone(here):
    alone = pooled(here / "run" / "baselines.json", "language model alone")
    assert pooled(here / "run" / "results.json").loc["cer", "value"] < alone.loc["cer", "value"]
    compared = pd.DataFrame(json.loads((here / "run" / "comparisons.json").read_text()))
    gain = compared[(compared.metric == "cer") & (compared.system_b == "language model alone")]
    assert gain[gain.system_a == "plasticode"].iloc[0].ci_high < 0
    assert (compared[compared.system_b == "ridge"].metric.str.startswith("likelihood_")).all()


@pytest.mark.parametrize("system", ["noise input", "zero input", "time-reversed responses", "untrained encoder"])
def test_without_this_brain_it_is_at_chance(here, system):
    found = pooled(here / "run" / "nulls.json", system)
    for metric in ("likelihood_top1", "text_top1"):
        assert found.loc[metric, "p"] > 0.01
        assert found.loc[metric, "value"] < 0.35


def test_noise_does_not_beat_the_language_model_alone(here):
    compared = pd.DataFrame(json.loads((here / "run" / "comparisons.json").read_text()))
    noise = compared[(compared.system_a == "noise input") & compared.system_b.str.startswith("language model alone")]
    assert set(noise.metric) >= {"cer", "text_top1"}
    assert (noise[noise.metric == "cer"].ci_high > 0).all()
    assert (noise[noise.metric == "text_top1"].ci_low <= 0).all()


def test_no_true_text_is_looked_at(reader, here):
    run = recording(here)
    silent = type(run)(run.study, run.subject, run.story, run.repetition_time, run.responses, ())
    assert reader.write(reader.read(run), SEARCH) == reader.write(reader.read(silent), SEARCH)


def test_alone_writes_as_many_words_or_characters_without_looking_at_the_brain(reader, here):
    reading = reader.read(recording(here))
    decoded, alone = reader.write(reading, SEARCH), reader.write_alone(reading, SEARCH)
    assert decoded != alone
    words = [len(text.split()) for text in decoded]
    assert [len(text.split()) for text in alone] == words
    longest = max(map(len, reader.model.language.vocabulary))
    longer = reader.with_as_many_characters([reading], SEARCH, alone)
    for text, count in zip(longer, words, strict=True):
        assert abs(len(text) + 1 - count * reader.model.letters) <= longest / 2 + 1
    assert reader.with_as_many_characters([reading], Search(10, 0.0, 5.0), alone) == longer


def test_similarities_are_those_of_windows_and_shifts_move_the_responses(reader, here):
    run = recording(here)
    reading = reader.read(run)
    encoding = reader.model.people["UTS03"].encoding
    np.testing.assert_allclose(reading.similarity(), encoding.log_likelihood(run, reading.starts), rtol=1e-6)
    kept = list(reading.scored)
    np.testing.assert_array_equal(reading.shifted([0], kept)[0], reading.similarity()[np.ix_(kept, kept)])
    later = reading.similarity()[np.ix_(kept[1:], kept)]
    np.testing.assert_array_equal(reading.shifted([reading.rows], kept)[0, :-1], later)


def test_the_first_window_is_written_but_not_scored(reader, here):
    reading = reader.read(recording(here))
    assert reading.scored == range(1, len(reading.starts))
    assert len(reader.write(reading, SEARCH)) == len(reading.starts)


def test_a_reading_comes_back_from_its_arrays(reader, here):
    reading = reader.read(recording(here))
    again = reader.reading.of(reading.run, reading.arrays())
    np.testing.assert_array_equal(reading.similarity(), again.similarity())
    assert (again.true, again.starts, again.rows) == (reading.true, reading.starts, reading.rows)


def test_it_is_decoded_and_reported_like_any_run(here, tmp_path):
    out = tmp_path / "decoded.tsv"
    assert main(["decode", str(here / "run"), "--root", str(here / "study"), "--out", str(out)]) == 0
    table = pd.read_csv(out, sep="\t", keep_default_na=False)
    assert set(table["story"]) == set(HELD["test"])
    assert main(["report", str(here / "run")]) == 0
    page = (here / "run" / "report.html").read_text()
    assert "Likelihood, top-1" in page


def test_the_split_is_audited(here):
    assert main(["audit", "split", str(here / "run")]) == 0
    assert json.loads((here / "run" / "model.json").read_text())["notes"]["split_audit"]


def test_prose_that_the_words_were_counted_in_is_audited(here, tmp_path, capsys):
    said = json.loads((here / "study" / "texts.json").read_text())
    for name, story, code in (("other", STORIES[0], 0), ("scored", HELD["test"][0], 2)):
        book = tmp_path / f"{name}.txt"
        book.write_text(" ".join(said[story]), encoding="utf-8")
        assert fit(here / "study", tmp_path / name, f"--data.paths=[{book}]") == code
    assert "pre-training corpus" in capsys.readouterr().err
    assert main(["audit", "split", str(tmp_path / "other")]) == 0
    checks = json.loads((tmp_path / "other" / "split_audit.json").read_text())["checks"]
    assert {check["name"]: check["result"] for check in checks}["pre-training corpus"] == "passed"


def test_what_was_fitted_on_or_held_out_for_validation_is_not_scored(here, capsys):
    told = ["evaluate", str(here / "run"), "--root", str(here / "study"), "--story", STORIES[0]]
    assert main(told) == 2
    assert "trained on" in capsys.readouterr().err


def test_a_run_is_not_overwritten(here, capsys):
    assert fit(here / "study", here / "run") == 2
    assert "there is a run in this folder already" in capsys.readouterr().err


def test_other_people_and_sampling_are_refused(reader, here):
    run = recording(here)
    stranger = type(run)(run.study, "UTS09", run.story, run.repetition_time, run.responses, run.words)
    with pytest.raises(WrongArgument, match=r"UTS09 was not fitted.*Fitted: UTS03"):
        reader.read(stranger)
    slower = type(run)(run.study, run.subject, run.story, 1.0, run.responses, run.words)
    with pytest.raises(BrokenData, match=r"repetition time 1\.0 s"):
        reader.read(slower)
    with pytest.raises(WrongArgument, match=r"temperature 0\.5"):
        reader.write(reader.read(run), Search(4, 0.5, 1.0))


def test_a_recording_that_is_too_small_is_refused(reader, here):
    run = recording(here)
    for responses, said in (
        (run.responses[:][:, :9], "9 channels, but the model reads 40"),
        (run.responses[:4], "4 rows"),
    ):
        with pytest.raises(BrokenData, match=said):
            reader.read(replace(run, responses=Responses(responses)))


def test_what_a_strangers_model_has_read_is_not_known(here, tmp_path, tiny_gpt, capsys):
    assert fit(here / "study", tmp_path / "run", "--proposer", tiny_gpt) == 2  # none of its pieces was ever said
    said = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert "not checked" in said
    assert "words are one piece" in said


def test_a_held_out_story_that_is_not_there_is_named(here, tmp_path, capsys):
    assert fit(here / "study", tmp_path / "run", f"--data.test_stories={json.dumps([*HELD['test'], 'stroyx'])}") == 0
    assert "held out, but not there: stroyx" in capsys.readouterr().err


def test_parts_of_another_run_are_named(here, tmp_path):
    model = EncodingDecoder.load(here / "run")
    model.save(tmp_path)
    assert EncodingDecoder.load(tmp_path).beam == model.beam
    part = tmp_path / "people" / "UTS03" / "model.json"
    part.write_text(part.read_text() + " ")
    with pytest.raises(BrokenData, match="not the file that the run wrote"):
        EncodingDecoder.load(tmp_path)
    part.unlink()
    with pytest.raises(MissingData, match="a part of the decoder is not there"):
        EncodingDecoder.load(tmp_path)


def test_a_causal_model_proposes_and_is_kept_by_name(here, tmp_path, tiny_gpt):
    words = CausalWords.of(tiny_gpt, ["the", "cat", "sat"], fewest=3)
    model = replace(EncodingDecoder.load(here / "run"), language=words)
    model.save(tmp_path)
    again = EncodingReader(EncodingDecoder.load(tmp_path))
    reading = again.read(recording(here))
    assert again.write(reading, SEARCH) == EncodingReader(model).write(reading, SEARCH)
    assert set(" ".join(again.write(reading, SEARCH)).split()) <= {"the", "cat", "sat"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--data.subjects", "[UTS07]"], "no person UTS07"),
        (["--data.test_stories", "[nowhere]", "--data.validation_stories", "[nowhere]"], "no held-out story is there"),
        (["--beam.hypotheses", "0"], "at least one of each"),
        (["--data.paths", "[nowhere.txt]"], "no text file or folder"),
        (["--nonsense", "1"], "nonsense"),
    ],
)
def test_what_cannot_be_fitted_is_said_in_one_line(here, tmp_path, capsys, more, said):
    assert fit(here / "study", tmp_path / "run", *more) == 2
    error = capsys.readouterr().err.strip()
    assert said in error
    assert not (tmp_path / "run" / "model.json").exists()
