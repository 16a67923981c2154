"""Oracles: a tree written in the layout of ds004078; its README for the clock. The words are invented."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from plasticode.datasets import smn4lang
from plasticode.datasets.bold import Cleaning
from plasticode.datasets.errors import BrokenData, MissingData, WrongArgument
from plasticode.datasets.fetch import estimate, plan
from plasticode.datasets.remote import RemoteFile
from plasticode.datasets.smn4lang import Smn4Lang, read_story
from plasticode.datasets.study import study_class
from scipy.io import savemat

WORDS = ("山羊", "在", "桥上", "，", "唱歌")
STARTS = (10.7, 11.2, 11.5, 12.0, 12.4)
HEADER = "onset\tduration\tstim_file"


class Tree:
    """Writes recordings of 40 volumes .71 s apart and annotated times."""

    def __init__(self, tree: Any) -> None:
        self.tree, self.root = tree, Path(tree.root)

    def raw(self, subject: str, run: int, image: bool = True, story: int | None = None, onset: str = "10.65") -> Path:
        stem = f"sub-{subject}_task-RDR_run-{run}"
        func = self.root / f"sub-{subject}" / "func"
        self.tree.json(func / f"{stem}_bold.json", {"RepetitionTime": 0.71})
        played = (onset, "20", f"audio/story_{run if story is None else story}.wav")
        self.tree.table(func / f"{stem}_events.tsv", (played, ("35", "2", "images/hurryup.png")), HEADER)
        path = func / f"{stem}_bold.nii.gz"
        return Path(self.tree.image(path, self.tree.bold(), seconds=0.71)) if image else path

    def volumes(self, subject: str, run: int, seconds: float | None = 0.71) -> Path:
        folder = self.root / "derivatives" / "preprocessed_data" / f"sub-{subject}" / "MNI"
        path = folder / f"sub-{subject}_task-RDR_run-{run}_bold.nii.gz"
        return Path(self.tree.image(path, self.tree.bold(), seconds=seconds))

    def annotated(
        self, story: int, texts: Sequence[str] = WORDS, starts: Sequence[float] = STARTS, level: str = "word"
    ) -> Path:
        folder = self.root / "derivatives" / "annotations" / "time_align" / f"{level}-level"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"story_{story}_{level}_time.mat"
        times = {"start": np.array([starts]), "end": np.array([starts]) + 0.25}
        savemat(path, times | {level: np.array(texts)})
        return path


@pytest.fixture
def made(tree: Any) -> Tree:
    return Tree(tree)


def said(run: Any) -> list[tuple[str, float]]:
    return [(word.text, round(word.onset, 6)) for word in run.words]


def test_the_name_finds_the_class() -> None:
    assert study_class("smn4lang") is Smn4Lang


@pytest.mark.parametrize("preprocessed", [True, False])
def test_a_run_is_its_cleaned_image_and_its_words(made: Tree, preprocessed: bool) -> None:
    made.raw("01", 3, image=not preprocessed)
    if preprocessed:
        made.volumes("01", 3)
    made.annotated(3)
    run = Smn4Lang(made.root).run("sub-01", "story_03")
    assert (run.key, run.repetition_time, run.language) == ("smn4lang/sub-01/story_03", 0.71, "zh")
    assert said(run) == [("山羊", 10.7), ("在", 11.2), ("桥上", 11.5), ("唱歌", 12.4)]
    assert run.words[0].offset == pytest.approx(10.95)
    mask = run.responses.mask
    assert mask is not None
    expected = Cleaning(0.71, 0.01)(made.tree.bold()[mask.volume].T.astype(np.float32))
    np.testing.assert_allclose(run.responses[:], expected, atol=1e-6)


def test_preprocessed_volumes_come_before_raw_ones(made: Tree) -> None:
    made.raw("01", 3)
    made.raw("02", 3)
    path = made.volumes("01", 3)
    text = made.annotated(3)
    study = Smn4Lang(made.root)
    assert study.recordings() == [("sub-01", "story_03", "")]
    func = made.root / "sub-01" / "func"
    beside = [func / f"sub-01_task-RDR_run-3_{ending}" for ending in ("bold.json", "events.tsv")]
    assert study.sources("sub-01", "story_03") == [path, *beside, text]


def test_stories_are_in_order_and_named_by_what_was_played(made: Tree) -> None:
    made.raw("01", 2, story=10)
    made.raw("01", 9)
    made.volumes("02", 11)
    assert Smn4Lang(made.root).recordings() == [("sub-02", "story_11", "")]
    (made.root / "derivatives" / "preprocessed_data").rename(made.root / "elsewhere")
    assert Smn4Lang(made.root).stories("sub-01") == ["story_09", "story_10"]


def test_one_word_per_character_on_request(made: Tree) -> None:
    made.volumes("01", 1)
    made.annotated(1, level="char", texts=("山", "羊", "，"), starts=(10.7, 10.8, 11.2))
    assert said(Smn4Lang(made.root, level="char").run("sub-01", "story_01")) == [("山", 10.7), ("羊", 10.8)]
    assert Smn4Lang(made.root).run("sub-01", "story_01").words == ()
    assert Smn4Lang(made.root).cache_key() != Smn4Lang(made.root, level="char").cache_key()
    with pytest.raises(WrongArgument, match=r"no annotation of level 'tone' .*Choose word or char"):
        Smn4Lang(made.root, level="tone")


def test_an_audio_that_started_elsewhere_moves_its_words(made: Tree) -> None:
    made.raw("01", 3, onset="11.65")
    made.annotated(3)
    assert said(Smn4Lang(made.root).run("sub-01", "story_03"))[0] == ("山羊", 11.7)


def test_words_outside_the_recording_are_left_out_and_the_rest_is_sorted(made: Tree) -> None:
    made.volumes("01", 1)
    made.annotated(1, texts=("晚", "早", "前", "后"), starts=(20.0, 12.0, -0.5, 28.5))
    assert said(Smn4Lang(made.root).run("sub-01", "story_01")) == [("早", 12.0), ("晚", 20.0)]


def test_a_header_that_does_not_tell_has_the_studys_repetition_time(made: Tree) -> None:
    made.volumes("01", 1, seconds=None)
    assert Smn4Lang(made.root).run("sub-01", "story_01").repetition_time == 0.71
    made.volumes("01", 2, seconds=2.0)
    made.raw("01", 2, image=False)
    with pytest.raises(BrokenData, match=r"the sidecar says that the repetition time is 0\.71 s, the image's header 2"):
        Smn4Lang(made.root).run("sub-01", "story_02")


def test_two_images_of_a_story_are_refused(made: Tree) -> None:
    made.raw("01", 2, story=3)
    made.raw("01", 3)
    with pytest.raises(BrokenData, match=r"two images of sub-01 story_03, the other sub-01_task-RDR_run-2_bold\.nii"):
        Smn4Lang(made.root).subjects()


def test_times_that_are_not_as_many_as_the_words_are_refused(made: Tree) -> None:
    made.volumes("01", 1)
    path = made.annotated(1)
    savemat(path, {"word": np.array(WORDS), "start": np.array([STARTS[:3]]), "end": np.array([STARTS])})
    with pytest.raises(BrokenData, match="5 texts, 3 starts and 5 ends"):
        Smn4Lang(made.root).run("sub-01", "story_01")


def test_times_that_lead_into_another_file_are_refused(made: Tree) -> None:
    path = made.annotated(1)
    with h5py.File(path, "w") as file:
        file["start"] = h5py.ExternalLink("/etc/passwd", "start")
    with pytest.raises(BrokenData, match="is reached through a link to another place"):
        smn4lang.mat_array(path, "start")
    made.volumes("01", 1)
    with pytest.raises(BrokenData, match=r"text in a MATLAB 7\.3 file is not read"):
        Smn4Lang(made.root).run("sub-01", "story_01")


def test_an_annotation_that_git_annex_has_not_brought_is_named(made: Tree) -> None:
    made.volumes("01", 1)
    path = made.annotated(1)
    path.unlink()
    path.symlink_to("../.git/annex/objects/a/b/MD5E-s21968--4b22b11a58965e6b624ae76ae321c899.mat")
    with pytest.raises(MissingData, match=r"git-annex pointer instead of content .*21,968 bytes"):
        Smn4Lang(made.root).run("sub-01", "story_01")


@pytest.mark.parametrize(
    ("header", "row", "error", "what"),
    [
        ("onset\tfile", ("1", "audio/story_1.wav"), MissingData, "no column stim_file"),
        ("onset\tstim_file", ("1", "audio/other.wav"), BrokenData, "0 stories with onsets"),
        ("onset\tstim_file", ("soon", "audio/story_1.wav"), BrokenData, r"1 stories with onsets \[nan\]"),
        ("", (), BrokenData, "the events cannot be read"),
    ],
)
def test_events_in_another_layout_are_named(
    made: Tree, header: str, row: Sequence[str], error: type[Exception], what: str
) -> None:
    path = made.tree.table(made.root / "events.tsv", (row,) if row else (), header)
    with pytest.raises(error, match=what):
        read_story(path)


def test_unknown_names_list_what_there_is(made: Tree) -> None:
    made.volumes("01", 1)
    with pytest.raises(MissingData, match=r"no story story_02 in study smn4lang .*There are: story_01"):
        Smn4Lang(made.root).run("sub-01", "story_02")


def test_a_person_is_planned_with_events_and_times(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [
        "derivatives/preprocessed_data/sub-01/MNI/sub-01_task-RDR_run-1_bold.nii.gz",
        "sub-01/func/sub-01_task-RDR_run-1_bold.json",
        "sub-01/func/sub-01_task-RDR_run-1_events.tsv",
        "derivatives/annotations/time_align/word-level/story_1_word_time.mat",
    ]
    other = [
        "sub-01/func/sub-01_task-RDR_run-1_bold.nii.gz",
        "derivatives/preprocessed_data/sub-01/CIFTI/sub-01_task-RDR_run-1_bold.dtseries.nii",
        "derivatives/preprocessed_data/sub-02/MNI/sub-02_task-RDR_run-1_bold.nii.gz",
    ]

    def listing(bucket: str, prefix: str, strip: str = "") -> list[RemoteFile]:
        keys = [f"ds004078/{path}" for path in wanted + other]
        return [RemoteFile(f"{bucket}/{k}", k.removeprefix(strip), 10) for k in keys if k.startswith(prefix)]

    monkeypatch.setattr(smn4lang, "s3_files", listing)
    assert [file.path for file in plan("smn4lang", ["sub-01"])] == wanted
    with pytest.raises(MissingData, match=r"no recordings of sub-13 at OpenNeuro .*There are sub-01 to sub-12"):
        plan("smn4lang", ["sub-13"])


def test_somebody_must_be_named_and_the_size_is_known_without_a_network() -> None:
    with pytest.raises(WrongArgument, match=r"no subject named \(--subject\)\. Name one or more of sub-01 to sub-12"):
        plan("smn4lang")
    assert sum(about.size for about in estimate("smn4lang", ["sub-01"])) > 20_000_000_000
    assert estimate("smn4lang", ["sub-13"]) == []
