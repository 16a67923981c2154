"""Oracles: a tree written in the layout of ds002345, with the authors' own events and exclusions; words counted out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plasticode.datasets import narratives
from plasticode.datasets.bids import BidsStudy
from plasticode.datasets.errors import BrokenData, MissingData, WrongArgument
from plasticode.datasets.fetch import estimate, plan
from plasticode.datasets.narratives import EXCLUDED, Narratives, read_excluded
from plasticode.datasets.remote import RemoteFile
from plasticode.datasets.study import study_class

HEADER = "onset\tduration\ttrial_type\tstim_file"
PIEMAN = (("0.0", "13.0", "music", "pieman_audio.wav"), ("15.0", "30.0", "story", "pieman_audio.wav"))
MILKY = (("0.0", "18.0", "music", "milkywayvodka_audio.wav"), ("21.0", "30.0", "story", "milkywayvodka_audio.wav"))
SCHEMA = (
    ("5.0", "5.0", "movie", "n/a"),
    ("12.4", "9.0", "story", "friends_audio.wav"),
    ("25.0", "3.0", "movie", "n/a"),
    ("30.0", "6.0", "story", "bigbang_audio.wav"),
)
EARLY = (("4.5", "5.0", "music", "notthefall_audio.wav"), ("11.5", "30.0", "story", "notthefall_audio.wav"))
ALIGNED = "A,a,16.0,16.5\nman,man,,\nspoke,spoke,18.0,19.0\n"


class Tree:
    """Writes recordings of 40 volumes 1.5 s apart, raw or by fMRIPrep, and alignments."""

    def __init__(self, tree: Any) -> None:
        self.tree, self.root = tree, Path(tree.root)

    def scan(self, name: str, events: object = PIEMAN, seconds: float = 1.5) -> Path:
        func = self.tree.func(self.root, name)
        path = self.tree.image(func / f"{name}_bold.nii.gz", self.tree.bold(), seconds=seconds)
        if events is not None:
            self.tree.table(func / f"{name}_events.tsv", events, HEADER)
        return Path(path)

    def cleaned(self, name: str, space: str = "MNI152NLin2009cAsym") -> Path:
        self.scan(name)
        func = self.tree.func(self.tree.fmriprep_root, name)
        made = f"{name}_space-{space}_res-native_desc"
        self.tree.image(func / f"{made}-brain_mask.nii.gz", self.tree.brain().astype(np.uint8))
        columns = ["csf", "white_matter", *(f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz")]
        values = np.random.default_rng(1).normal(size=(40, 8)).astype(str).tolist()
        self.tree.table(func / f"{name}_desc-confounds_regressors.tsv", values, "\t".join(columns))
        self.tree.json(func / f"{name}_desc-confounds_regressors.json", {})
        return Path(self.tree.image(func / f"{made}-preproc_bold.nii.gz", self.tree.bold(), seconds=1.5))

    def aligned(self, story: str, table: str = ALIGNED) -> Path:
        path = self.root / "stimuli" / "gentle" / story / "align.csv"
        path.parent.mkdir(parents=True)
        path.write_text(table)
        return path


@pytest.fixture
def made(tree: Any) -> Tree:
    return Tree(tree)


def said(run: Any) -> list[tuple[str, float, float]]:
    return [(word.text, round(word.onset, 6), round(word.offset, 6)) for word in run.words]


def test_the_name_finds_the_class() -> None:
    assert study_class("narratives") is Narratives


def test_raw_scans_are_cleaned_as_those_of_any_bids_folder(made: Tree) -> None:
    path = made.scan("sub-002_task-pieman")
    run = Narratives(made.root).run("sub-002", "pieman")
    assert (run.key, run.repetition_time, run.language) == ("narratives/sub-002/pieman", 1.5, "en")
    path.with_name("sub-002_task-pieman_events.tsv").unlink()
    (plain,) = BidsStudy(made.root).runs()
    np.testing.assert_array_equal(run.responses[:], plain.responses[:])


def test_the_audio_starts_with_its_music(made: Tree) -> None:
    made.scan("sub-002_task-pieman", (("4.5", "5.0", *PIEMAN[0][2:]), ("20.5", "30.0", *PIEMAN[1][2:])))
    text = made.aligned("pieman")
    study = Narratives(made.root)
    run = study.run("sub-002", "pieman")
    assert said(run) == [("A", 20.5, 21.0), ("man", 21.0, 22.5), ("spoke", 22.5, 23.5)]
    assert text in study.sources("sub-002", "pieman")


def test_words_that_the_aligner_put_into_the_music_are_taken_to_the_story(made: Tree) -> None:
    made.scan("sub-002_task-pieman")
    made.aligned("pieman", "A,a,2.0,2.5\nman,man,16.0,17.0\n")
    assert said(Narratives(made.root).run("sub-002", "pieman")) == [("A", 15.0, 16.0), ("man", 16.0, 17.0)]


def test_a_repeated_scan_is_another_session_and_never_another_story(made: Tree) -> None:
    made.scan("sub-010_task-pieman_run-1")
    made.scan("sub-010_task-pieman_run-2")
    made.scan("sub-011_task-pieman")
    study = Narratives(made.root)
    assert study.recordings() == [
        ("sub-010", "pieman", "run-1"),
        ("sub-010", "pieman", "run-2"),
        ("sub-011", "pieman", ""),
    ]
    assert study.run("sub-010", "pieman", "run-2").key == "narratives/sub-010/pieman/run-2"


def test_a_story_is_named_by_the_version_that_was_played(made: Tree) -> None:
    made.scan("sub-038_task-milkyway", MILKY)
    made.scan("sub-316_task-notthefallintact", EARLY)
    made.scan("sub-317_task-piemanpni", None)
    made.aligned("milkywayvodka")
    study = Narratives(made.root, excluded=True)
    assert study.recordings() == [
        ("sub-038", "milkywayvodka", ""),
        ("sub-316", "notthefallintact", ""),
        ("sub-317", "piemanpni", ""),
    ]
    assert [len(run.words) for run in study.runs()] == [3, 0, 0]
    assert {name for group in Narratives.info["same_text"] for name in group} >= {"milkywayvodka", "piemanpni"}


def test_stories_among_films_are_cut_out_of_the_recording(made: Tree) -> None:
    made.scan("sub-049_task-schema_run-1", SCHEMA)
    made.aligned("friends", "hi,hi,0.1,0.6\nthere,there,8.0,8.5\nlater,later,40.0,41.0\n")
    study = Narratives(made.root)
    assert study.recordings() == [("sub-049", "bigbang", "run-1"), ("sub-049", "friends", "run-1")]
    whole = BidsStudy(made.root)
    rows = whole._images["sub-049", "schema", ""]
    friends, bigbang = (study.run("sub-049", story, "run-1") for story in ("friends", "bigbang"))
    # 12.4 s lies in row 8 (12.0 s); the story ends at 21.4 s, 15 s later is within row 24. The other is cut at the end.
    assert friends.responses.n_rows == 25 - 8
    assert bigbang.responses.n_rows == min(34, 40) - 20
    assert said(friends) == [("hi", 0.5, 1.0), ("there", 8.4, 8.9)]
    assert bigbang.words == ()
    study_rows = Narratives(made.root, task="schema").run("sub-049", "friends", "run-1").responses
    np.testing.assert_array_equal(study_rows[2:6], friends.responses[:][2:6])
    assert study.image_path("sub-049", "friends", "run-1") == rows


def test_a_part_of_a_recording_holds_its_rows(made: Tree) -> None:
    made.scan("sub-049_task-schema_run-1", SCHEMA)
    part = Narratives(made.root).run("sub-049", "friends", "run-1").responses
    path = made.root / "sub-049" / "func" / "sub-049_task-schema_run-1_events.tsv"
    path.unlink()
    (whole,) = BidsStudy(made.root).runs()
    np.testing.assert_array_equal(part[:], whole.responses[8:25])


def test_scans_that_the_authors_exclude_are_left_out(made: Tree) -> None:
    for name in ("sub-021_task-pieman", "sub-021_task-piemanpni", "sub-013_task-pieman_run-1", "sub-002_task-pieman"):
        made.scan(name, None)
    made.scan("sub-013_task-pieman_run-2", None)
    expected = [("sub-002", "pieman", ""), ("sub-013", "pieman", "run-1"), ("sub-021", "piemanpni", "")]
    assert Narratives(made.root).recordings() == expected
    assert len(Narratives(made.root, excluded=True).recordings()) == 5
    made.tree.json(made.root / "code" / "scan_exclude.json", {"pieman": {"sub-002": ["sub-002_task-pieman"]}})
    assert ("sub-002", "pieman", "") not in Narratives(made.root).recordings()
    assert len(Narratives(made.root).recordings()) == 4


def test_the_excluded_scans_are_as_many_as_published() -> None:
    assert len(set(EXCLUDED)) == len(EXCLUDED) == 27


@pytest.mark.parametrize(
    ("content", "what"),
    [("{", "the excluded scans cannot be read"), ("[1]", "cannot be read"), ('{"a": {"b": [1]}}', "is not a name")],
)
def test_a_broken_list_of_excluded_scans_is_named(tmp_path: Path, content: str, what: str) -> None:
    (tmp_path / "scan_exclude.json").write_text(content)
    with pytest.raises(BrokenData, match=what):
        read_excluded(tmp_path / "scan_exclude.json")


@pytest.mark.parametrize("below", ["", "derivatives/fmriprep"])
def test_what_fmriprep_made_is_read_where_it_is(made: Tree, below: str) -> None:
    path = made.cleaned("sub-002_task-pieman")
    made.cleaned("sub-003_task-pieman", "MNI152NLin6Asym")
    made.aligned("pieman")
    study = Narratives(made.root / below)
    assert study.subjects() == ["sub-002"]
    run = study.run("sub-002", "pieman")
    assert run.responses.n_channels == made.tree.brain().sum()
    assert [word.text for word in run.words] == ["A", "man", "spoke"]
    sources = study.sources("sub-002", "pieman")
    assert path in sources
    assert path.with_name("sub-002_task-pieman_desc-confounds_regressors.tsv") in sources
    again = type(study)(study.root).run("sub-002", "pieman")
    np.testing.assert_array_equal(again.responses[:], run.responses[:])


@pytest.mark.parametrize(
    ("header", "rows", "error", "what"),
    [
        ("onset\tduration\tword", (("0", "1", "a"),), MissingData, "no column trial_type, stim_file"),
        (HEADER, (("soon", "1", "story", "pieman_audio.wav"),), BrokenData, "onset or duration of an audio is no numb"),
        ("", (), BrokenData, "the events cannot be read"),
    ],
)
def test_events_in_another_layout_are_named(
    made: Tree, header: str, rows: object, error: type[Exception], what: str
) -> None:
    path = made.scan("sub-002_task-pieman", None)
    made.tree.table(path.with_name("sub-002_task-pieman_events.tsv"), rows, header)
    with pytest.raises(error, match=what):
        Narratives(made.root).subjects()


def test_an_unknown_recording_lists_what_there_is(made: Tree) -> None:
    made.scan("sub-002_task-pieman")
    with pytest.raises(MissingData, match=r"no run of sub-002 tunnel .*Stories of this subject: pieman"):
        Narratives(made.root).run("sub-002", "tunnel")


def published(monkeypatch: pytest.MonkeyPatch, openneuro: list[str], indi: list[str]) -> None:
    """Buckets that hold these keys, of ten bytes each."""
    buckets = {Narratives.openneuro[0]: openneuro, Narratives.indi[0]: indi}

    def listing(bucket: str, prefix: str, strip: str = "") -> list[RemoteFile]:
        keys = [key for key in buckets[bucket] if key.startswith(prefix)]
        return [RemoteFile(f"{bucket}/{key}", key.removeprefix(strip), 10) for key in keys]

    monkeypatch.setattr(narratives, "s3_files", listing)


TEXTS = ["stimuli/gentle/pieman/align.csv", "stimuli/gentle/pieman/align.json", "code/scan_exclude.json"]


@pytest.mark.parametrize("here", [True, False])
def test_a_person_is_planned_with_the_texts_of_whichever_bucket_holds_them(
    monkeypatch: pytest.MonkeyPatch, here: bool
) -> None:
    runs = ["sub-002/func/sub-002_task-pieman_bold.nii.gz", "sub-002/func/sub-002_task-pieman_events.tsv"]
    raw = [f"ds002345/{path}" for path in (*runs, "sub-003/func/x_bold.nii.gz", "sub-002/anat/t1.nii.gz")]
    raw += ["ds002345/task-pieman_bold.json", "ds002345/participants.tsv"]
    texts = [f"{(Narratives.openneuro if here else Narratives.indi)[1]}{path}" for path in TEXTS]
    published(monkeypatch, [*raw, *(texts if here else [])], [] if here else texts)
    wanted = [*runs, "task-pieman_bold.json", "participants.tsv", TEXTS[0], TEXTS[2]]
    assert [file.path for file in plan("narratives", ["sub-002"])] == wanted
    with pytest.raises(MissingData, match=r"no recordings of sub-999 at OpenNeuro .*sub-001 to sub-345"):
        plan("narratives", ["sub-999"])


def test_somebody_must_be_named_and_the_size_is_known_without_a_network() -> None:
    with pytest.raises(WrongArgument, match=r"no subject named \(--subject\)\. Name one or more of sub-001 to sub-345"):
        plan("narratives")
    assert sum(about.size for about in estimate("narratives", ["sub-002"])) > 500_000_000
    assert estimate("narratives", ["nobody"]) == []


def test_the_layout_of_an_alignment_in_json_is_read_too(made: Tree) -> None:
    made.scan("sub-002_task-pieman")
    path = made.aligned("pieman").with_name("align.json")
    path.with_name("align.csv").unlink()
    word = {"case": "success", "word": "Hi", "start": 16.0, "end": 16.5}
    path.write_text(json.dumps({"words": [word]}))
    assert said(Narratives(made.root).run("sub-002", "pieman")) == [("Hi", 16.0, 16.5)]
