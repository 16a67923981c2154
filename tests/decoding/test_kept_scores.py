"""Oracles: the work done a second time; what was kept changes no number, and saves only what is the same."""

from dataclasses import replace

import numpy as np
import pytest
from plasticode.datasets.study import Responses, Word
from plasticode.decoding import kept_scores
from plasticode.decoding.evaluation import Evaluation, written
from plasticode.decoding.kept_scores import KeptScores, recording_digest
from plasticode.decoding.null_battery import Battery, named
from plasticode.decoding.reading import Reader
from plasticode.decoding.search import Search

SEARCH = Search(1)


class Work:
    """Counts how often it is done."""

    def __init__(self):
        self.done = 0

    def __call__(self):
        self.done += 1
        return {"number": np.array(self.done), "text": np.array(["a dead", ""])}


@pytest.fixture
def run_dir(tiny, tmp_path):
    tiny.model().save(tmp_path)
    return tmp_path


def test_what_was_done_is_not_done_again_and_comes_back_as_it_was(tiny, run_dir):
    work, run = Work(), tiny.run()
    first, second = (KeptScores.of_run(run_dir, SEARCH).piece(run, "a", "x", work) for _ in range(2))
    assert work.done == 1
    assert first.keys() == second.keys()
    assert (int(second["number"]), list(second["text"])) == (1, ["a dead", ""])
    assert [path.name for path in (run_dir / "scored").rglob("*.*")] == ["a.npz"]


@pytest.mark.parametrize(
    "change",
    [
        lambda run: replace(run, responses=Responses(run.responses[:] + np.float32(1e-3))),
        lambda run: replace(run, words=(*run.words[:-1], Word("gab", 1.0, 1.0))),
        lambda run: replace(run, repetition_time=2.5),
    ],
    ids=["responses", "words", "clock"],
)
def test_another_recording_of_the_same_name_is_done_anew(tiny, run_dir, change):
    work, run = Work(), tiny.run()
    assert recording_digest(change(run)) != recording_digest(run)
    for one in (run, change(run)):
        KeptScores.of_run(run_dir, SEARCH).piece(one, "a", "x", work)
    assert work.done == 2


def test_another_search_option_code_or_model_is_done_anew(tiny, run_dir, monkeypatch):
    work, run = Work(), tiny.run()
    KeptScores.of_run(run_dir, SEARCH).piece(run, "a", "x", work)
    KeptScores.of_run(run_dir, SEARCH).piece(run, "a", "y", work)
    KeptScores.of_run(run_dir, Search(3)).piece(run, "a", "y", work)
    monkeypatch.setattr(kept_scores, "code_digest", lambda: "another")
    KeptScores.of_run(run_dir, Search(3)).piece(run, "a", "y", work)
    tiny.planted().save(run_dir)
    KeptScores.of_run(run_dir, Search(3)).piece(run, "a", "y", work)
    assert work.done == 5


@pytest.mark.parametrize("content", [b"", b"PK", b"not an archive at all"])
def test_a_file_that_cannot_be_read_is_made_again(tiny, run_dir, content):
    work, run = Work(), tiny.run()
    KeptScores.of_run(run_dir, SEARCH).piece(run, "a", "x", work)
    (path,) = (run_dir / "scored").rglob("a.npz")
    for broken in (content, path.read_bytes()[:-40]):
        path.write_bytes(broken)
        KeptScores.of_run(run_dir, SEARCH).piece(run, "a", "x", work)
    assert work.done == 3


def test_any_name_of_a_story_is_a_file_of_its_own(tiny, run_dir):
    work = Work()
    names = ["a/b", "a", "../a", "a b", "雪", ".", "a%2Fb"]
    for name in names:
        KeptScores.of_run(run_dir, SEARCH).piece(tiny.run(story=name), "p", "x", work)
    assert work.done == len(names) == len(list((run_dir / "scored").glob("*/p.npz")))


def test_where_nothing_can_be_kept_everything_is_done(tiny, run_dir, monkeypatch):
    monkeypatch.setattr(kept_scores.os, "access", lambda *_: False)
    work, kept = Work(), KeptScores.of_run(run_dir, SEARCH)
    for _ in range(2):
        kept.piece(tiny.run(), "a", "x", work)
    assert work.done == 2
    assert not (run_dir / "scored").exists()


def test_an_interrupted_evaluation_ends_as_an_uninterrupted_one(tiny, tmp_path, monkeypatch):
    model, run = tiny.planted(), tiny.heard(tiny.run(n_rows=30), noise=0.3)
    model.save(tmp_path)
    battery = Battery(named("noise,zero,reversed"), 2)
    write, calls = Reader.write_latents, []

    def scored(work):
        return Evaluation(Reader(model), SEARCH, "none", battery=battery, work=work).score(run)

    def interrupted(self, *arguments):
        calls.append(1)
        if len(calls) == 3:  # the decoder's own and the noise are written, the zero input is not
            raise KeyboardInterrupt
        return write(self, *arguments)

    whole = scored(KeptScores())
    monkeypatch.setattr(Reader, "write_latents", interrupted)
    with pytest.raises(KeyboardInterrupt):
        scored(KeptScores.of_run(tmp_path, SEARCH))
    resumed = scored(KeptScores.of_run(tmp_path, SEARCH))
    assert len(calls) == 5  # zero and reversed only
    assert resumed.texts == whole.texts
    assert resumed.reading.true == whole.reading.true
    assert resumed.scores.keys() == whole.scores.keys()
    for system, scores in whole.scores.items():
        for metric, pairs in scores.pairs.items():
            np.testing.assert_array_equal(resumed.scores[system].pairs[metric], pairs)
    for system, draws in whole.draws.items():
        for metric, values in draws.items():
            np.testing.assert_array_equal(resumed.draws[system][metric], values)
    scored(KeptScores.of_run(tmp_path, SEARCH))
    assert len(calls) == 5


def test_what_is_decoded_for_the_one_verb_is_kept_for_the_other(tiny, tmp_path, monkeypatch):
    model, run = tiny.planted(), tiny.heard(tiny.run(n_rows=30))
    model.save(tmp_path)
    reading, texts = written(Reader(model), SEARCH, run, KeptScores.of_run(tmp_path, SEARCH))
    monkeypatch.setattr(Reader, "write_latents", None)
    scored = Evaluation(Reader(model), SEARCH, "none", work=KeptScores.of_run(tmp_path, SEARCH)).score(run)
    assert scored.texts["plasticode"] == texts
    assert scored.reading.starts == reading.starts
