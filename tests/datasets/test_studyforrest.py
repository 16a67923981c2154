"""Oracles: the files that the test wrote; the published counts; dialogue rate and best parcel correlate (r = 0.68)."""

import json
from pathlib import Path

import numpy as np
import pytest
from nilearn.glm.first_level import compute_regressor
from plasticode.datasets.errors import BrokenData, MissingData
from plasticode.datasets.study import Word
from plasticode.datasets.studyforrest import StudyForrest, clean, film_second, spread

SPEECH = """start,end,person,kind,text
00:00:02:00,00:00:04:00,ERZAEHLER,speech,Ein Berg.
00:00:04:10,00:00:06:10,A,speech,ja gut
00:00:05:00,00:00:05:10,A,non,haha
00:00:16:00,00:00:18:00,B,speech,"beide..."
00:00:19:##,00:00:19:##,B,speech,Moment
00:00:##:##,00:00:21:00,B,speech,verloren
00:00:30:00,00:00:31:00,B,singing,###lyrics###
"""


def small(root: Path) -> np.ndarray:
    """Runs of 10 and 8 rows; the second begins at film second 15, before the first ends at 20."""
    bold = np.random.default_rng(0).normal(0, 1, (2, 18, 3)).astype(np.float16)
    np.savez(root / "bold_shen.npz", bold=bold, subjects=np.array(["04", "01"]), run_start=np.array([0, 10, 18]))
    (root / "timing.json").write_text(json.dumps({"run_start_in_movie_seconds": [0.0, 15.0]}))
    (root / "speech_german_timed.csv").write_text(SPEECH, encoding="utf-8")
    return bold


def test_a_run_is_its_rows_of_its_person(tmp_path: Path) -> None:
    bold = small(tmp_path)
    study = StudyForrest(tmp_path)
    assert study.subjects() == ["01", "04"]
    assert study.stories("01") == ["run-1", "run-2"]
    rows = bold[1, 10:18].astype(float)
    run = study.run("01", "run-2")
    np.testing.assert_allclose(run.responses[:], (rows - rows.mean(0)) / rows.std(0), atol=1e-4)
    assert (run.language, run.timing) == ("de", "repetition")


def test_only_heard_words_are_there_on_the_clock_of_the_run(tmp_path: Path) -> None:
    small(tmp_path)
    words = StudyForrest(tmp_path).run("04", "run-1").words
    assert [word.text for word in words] == ["ja", "gut", "beide", "Moment"]
    assert [word.onset for word in words] == pytest.approx([4.4, 4.4 + 2 * 2 / 5, 16.0, 19.0])


def test_an_utterance_in_the_overlap_belongs_to_both_runs(tmp_path: Path) -> None:
    small(tmp_path)
    words = StudyForrest(tmp_path).run("04", "run-2").words
    assert [(word.text, word.onset) for word in words] == [
        ("beide", pytest.approx(1.0)),
        ("Moment", pytest.approx(4.0)),
    ]


def test_words_of_an_utterance_fill_it_by_their_length() -> None:
    words = spread(Word("ab abcd ab", 10.0, 18.0))
    assert [(word.onset, word.offset) for word in words] == [(10.0, 12.0), (12.0, 16.0), (16.0, 18.0)]


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("...dann würden wir,...", "dann würden wir,"),
        ("###Ein### Kutter?", "Ein Kutter?"),
        ("###hier fehlt etwas###", ""),
        ("#mehr Tempo#", "mehr Tempo"),
        ("- Na ...", "Na"),
        ("###", ""),
    ],
)
def test_marks_are_taken_out_and_remarks_dropped(text: str, spoken: str) -> None:
    assert clean(text) == spoken


def test_an_unknown_frame_is_bounded_and_an_unknown_second_unknown() -> None:
    assert film_second("01:02:03:10", unknown=0) == pytest.approx(3723.4)
    assert film_second("01:02:03:##", unknown=24) == pytest.approx(3723.96)
    assert film_second("01:02:##:##", unknown=0) is None
    assert film_second("bald", unknown=0) is None


def test_wrong_input_is_named(tmp_path: Path) -> None:
    small(tmp_path)
    with pytest.raises(MissingData, match=r"no story run-3 .*There are: run-1, run-2"):
        StudyForrest(tmp_path).run("01", "run-3")
    (tmp_path / "timing.json").write_text("{}")
    with pytest.raises(BrokenData, match=r"the timing cannot be read.*timing\.json"):
        StudyForrest(tmp_path).run("01", "run-1")
    (tmp_path / "timing.json").write_text(json.dumps({"run_start_in_movie_seconds": [0.0]}))
    with pytest.raises(BrokenData, match="1 runs are timed, others are there"):
        StudyForrest(tmp_path).run("01", "run-1")
    small(tmp_path)
    (tmp_path / "speech_german_timed.csv").write_text("start,end\n")
    with pytest.raises(MissingData, match="no column person, kind, text"):
        StudyForrest(tmp_path).run("01", "run-1")


def test_the_real_recordings_follow_the_dialogue(real_data: Path) -> None:
    study = StudyForrest(real_data / "studyforrest_roi")
    assert len(study.subjects()) == 10
    assert len(study.stories("01")) == 8
    rates, parcels = [], []
    for story in study.stories("01"):
        runs = [study.run(subject, story) for subject in study.subjects()]
        onsets = np.array([word.onset for word in runs[0].words])
        events = onsets, np.full(len(onsets), 0.3), np.ones(len(onsets))
        rates.append(compute_regressor(events, "spm", np.arange(runs[0].responses.n_rows) * 2.0)[0][:, 0])
        parcels.append(np.mean([run.responses[:] for run in runs], axis=0))
    rate, bold = np.concatenate([_z(r) for r in rates]), np.concatenate([_z(p) for p in parcels])
    assert bold.shape == (3599, 267)
    assert (rate @ bold / len(bold)).max() > 0.64


def _z(rows: np.ndarray) -> np.ndarray:
    return (rows - rows.mean(0)) / rows.std(0)
