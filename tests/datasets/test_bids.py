"""Oracles: the tree that was written, the BIDS specification, nilearn."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from nilearn.interfaces.fmriprep import load_confounds
from nilearn.maskers import NiftiMasker
from plasticode.datasets.bids import BidsStudy
from plasticode.datasets.errors import BrokenData, MissingData, PlasticodeError, WrongArgument
from plasticode.datasets.study import study_class

SMALL = np.ones((12, 12, 10, 2), np.int16)


class GroupMaskStudy(BidsStudy):
    """A study with one mask for all its runs: images without a brain will do. Without the file it is a BidsStudy."""

    def mask_path(self, subject: str, story: str, session: str = "") -> Path | None:
        group = self.root / "derivatives" / "masks" / "brain_mask.nii.gz"
        return group if group.is_file() else super().mask_path(subject, story, session)


@pytest.fixture
def masked(tree: Any) -> Any:
    tree.image(tree.root / "derivatives" / "masks" / "brain_mask.nii.gz", tree.brain().astype(np.uint8))
    return tree


def only_run(root: Path, **options: Any) -> Any:
    (run,) = GroupMaskStudy(root, **options).runs()
    return run


def test_the_name_finds_the_class() -> None:
    assert study_class("bids") is BidsStudy


def test_a_raw_run_is_what_was_written(tree: Any) -> None:
    tree.raw("sub-01_ses-2_task-alice")
    run = only_run(tree.root, language="de")
    assert (run.key, run.repetition_time, run.language) == ("bids/sub-01/alice/ses-2", 2.0, "de")
    assert [(word.text, word.onset, word.offset) for word in run.words] == [
        ("once", 0.5, 0.7),
        ("upon", 1.0, 1.0),
        ("nan", 4.25, 4.5),
    ]
    assert run.responses.n_rows == 40
    rows = run.responses[0:40]
    np.testing.assert_allclose(rows.std(axis=0, ddof=1), 1, atol=1e-4)
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-4)


def test_stories_are_tasks_or_their_numbered_runs(masked: Any) -> None:
    names = "sub-01_task-alice", "sub-01_task-wolf_run-01", "sub-01_task-wolf_run-02", "sub-02_task-wolf_run-01"
    for name in names:
        masked.raw(name, data=SMALL)
    masked.raw("sub-02_ses-1_task-alice", data=SMALL)
    masked.raw("sub-02_ses-2_task-alice", data=SMALL)
    study = GroupMaskStudy(masked.root)
    assert study.subjects() == ["sub-01", "sub-02"]
    assert study.stories("sub-01") == ["alice", "wolf_run-01", "wolf_run-02"]
    assert study.stories("sub-02") == ["alice", "wolf_run-01"]
    assert study.sessions("sub-02", "alice") == ["ses-1", "ses-2"]
    assert BidsStudy(masked.root, task="alice").stories("sub-01") == ["alice"]
    assert [run.key for run in study.runs(["sub-02"], ["alice"])] == [f"bids/sub-02/alice/ses-{n}" for n in (1, 2)]


def test_nothing_but_the_func_folders_is_listed(masked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    masked.raw(data=SMALL)
    masked.table(masked.root / "sub-01" / "anat" / "deep" / "sub-01_task-hidden_bold.nii.gz", ())
    monkeypatch.setattr(Path, "rglob", None)
    assert BidsStudy(masked.root).stories("sub-01") == ["alice"]


def test_the_repetition_time_is_inherited_and_the_nearest_sidecar_wins(masked: Any) -> None:
    masked.raw(data=SMALL, sidecar=None, header_seconds=None)
    masked.json(masked.root / "bold.json", {"RepetitionTime": 1.1})
    masked.json(masked.root / "task-other_bold.json", {"RepetitionTime": 1.2})
    assert only_run(masked.root).repetition_time == 1.1
    masked.json(masked.root / "task-alice_bold.json", {"RepetitionTime": 1.3})
    assert only_run(masked.root).repetition_time == 1.3
    masked.json(masked.root / "sub-01" / "sub-01_task-alice_bold.json", {"RepetitionTime": 1.4})
    assert only_run(masked.root).repetition_time == 1.4
    masked.json(masked.root / "sub-01" / "func" / "sub-01_task-alice_bold.json", {"TaskName": "alice"})
    assert only_run(masked.root).repetition_time == 1.4


def test_a_plausible_header_stands_in_for_the_sidecar(masked: Any) -> None:
    masked.raw(data=SMALL, sidecar=None, header_seconds=1.5)
    assert only_run(masked.root).repetition_time == 1.5


@pytest.mark.parametrize("seconds", [None, 0.0, 1500.0])
def test_an_implausible_header_does_not(masked: Any, seconds: float | None) -> None:
    masked.raw(data=SMALL, sidecar=None, header_seconds=seconds)
    with pytest.raises(MissingData, match=r"repetition time is not known .*Write a sidecar"):
        only_run(masked.root)


def test_fmriprep_runs_are_masked_and_cleaned_as_by_nilearn(tree: Any) -> None:
    path = tree.fmriprep(unsteady=2)
    run = only_run(tree.fmriprep_root)
    confounds, kept = load_confounds(str(path), ("motion", "wm_csf"), motion="basic", wm_csf="basic")
    mask = path.with_name(path.name.replace("preproc_bold", "brain_mask"))
    masker = NiftiMasker(
        mask, detrend=True, high_pass=0.01, t_r=2.0, standardize="zscore_sample", clean_args={"extrapolate": False}
    )
    expected = masker.fit_transform(path, confounds=confounds, sample_mask=kept)
    rows = run.responses[0:40]
    np.testing.assert_allclose(rows[2:], expected, atol=1e-4)
    assert not rows[:2].any()
    np.testing.assert_array_equal(run.responses.mask.volume, tree.brain())
    assert [word.text for word in run.words] == ["once", "upon", "nan"]


def test_derivatives_elsewhere_take_their_words_from_the_raw_folder(tree: Any, tmp_path: Path) -> None:
    tree.fmriprep()
    away = shutil.move(tree.fmriprep_root, tmp_path / "fmriprep")
    assert only_run(away).words == ()
    assert [word.text for word in only_run(away, raw=tree.root).words] == ["once", "upon", "nan"]


def test_two_spaces_are_told_apart(tree: Any) -> None:
    tree.fmriprep(space="T1w")
    tree.fmriprep(space="MNI")
    with pytest.raises(WrongArgument, match=r"two images for sub-01 alice.*Choose one with space=MNI or T1w"):
        BidsStudy(tree.fmriprep_root).subjects()
    assert "space-MNI" in str(BidsStudy(tree.fmriprep_root, space="MNI").image_path("sub-01", "alice"))


def test_a_plain_confounds_table_is_regressed_out(masked: Any) -> None:
    signal = np.random.default_rng(5).normal(size=40)
    path = masked.raw()
    masked.table(path.with_name("sub-01_task-alice_confounds.tsv"), [[str(value)] for value in signal], "breath")
    rows = only_run(masked.root, high_pass=None).responses[0:40]
    assert np.abs(np.corrcoef(rows[:, :20].T, signal)[-1, :-1]).max() < 1e-3


def test_runs_without_events_have_no_words(masked: Any) -> None:
    masked.raw(data=SMALL, words=None)
    assert only_run(masked.root).words == ()


def test_sources_are_the_files_that_decide_the_run(tree: Any) -> None:
    tree.fmriprep()
    tree.raw("sub-02_task-alice")
    tree.json(tree.root / "task-alice_bold.json", {"RepetitionTime": 2.0})
    names = [path.name for path in BidsStudy(tree.fmriprep_root).sources("sub-01", "alice")]
    assert sorted(names) == [
        "sub-01_task-alice_bold.json",
        "sub-01_task-alice_desc-confounds_timeseries.json",
        "sub-01_task-alice_desc-confounds_timeseries.tsv",
        "sub-01_task-alice_events.tsv",
        "sub-01_task-alice_space-T1w_desc-brain_mask.nii.gz",
        "sub-01_task-alice_space-T1w_desc-preproc_bold.nii.gz",
        "task-alice_bold.json",
    ]


WORD = [("1.0", "0.5", "once")]
BAD_RUNS: dict[str, tuple[dict[str, Any], type[PlasticodeError], str]] = {
    "one TR": ({"data": SMALL[..., :1]}, BrokenData, r"has 1 row\(s\) \(bids/sub-01/alice\). A run needs at least two"),
    "3D": ({"data": SMALL[..., 0], "header_seconds": None}, BrokenData, r"has 3 dimensions, not 4 \(.*bold.nii.gz\)"),
    "zero affine": ({"affine": np.zeros((4, 4))}, BrokenData, r"affine is degenerate.*Set the sform"),
    "flat affine": ({"affine": np.diag([3.0, 3.0, 0.0, 1.0])}, BrokenData, r"affine is degenerate"),
    "NaN affine": ({"affine": np.diag([np.nan, 3.0, 3.0, 1.0])}, BrokenData, r"affine is degenerate"),
    "negative onset": ({"words": [*WORD, ("-2", "1", "upon")]}, BrokenData, r"onset of a word is '-2'.*tsv, line 3\)"),
    "n/a onset": ({"words": [("n/a", "1", "once")]}, BrokenData, r"onset of a word is 'n/a'.*line 2\). Give onset"),
    "negative duration": ({"words": [("1", "-1", "once")]}, BrokenData, r"duration of a word is '-1'"),
    "no words": ({"words": [("1", "1", "n/a")]}, BrokenData, r"hold no words \(.*events.tsv\). Add one row per word"),
    "empty events": ({"words": []}, BrokenData, r"hold no words"),
    "milliseconds": ({"words": [("500", "1", "once")]}, BrokenData, r"after the end of the recording.*in seconds"),
    "disagreement": ({"header_seconds": 1.5}, BrokenData, r"sidecar says .* 2 s, the image's header 1.5 s"),
    "wrong sidecar": ({"sidecar": {"RepetitionTime": "2"}}, BrokenData, r"RepetitionTime is '2' .*Give seconds"),
    "sidecar in ms": ({"sidecar": {"RepetitionTime": 2000}}, BrokenData, r"RepetitionTime is 2000 "),
    "sidecar list": ({"sidecar": [2.0]}, BrokenData, r"does not hold a JSON object"),
}


@pytest.mark.parametrize("kind", BAD_RUNS)
def test_bad_input_gives_one_clear_error(masked: Any, kind: str) -> None:
    options, error, text = BAD_RUNS[kind]
    masked.raw(**({"data": SMALL} | options))
    with pytest.raises(error, match=text) as caught:
        only_run(masked.root)
    assert "\n" not in str(caught.value)


def test_events_without_a_word_column_are_named(masked: Any) -> None:
    path = masked.raw(data=SMALL)
    masked.table(path.with_name("sub-01_task-alice_events.tsv"), [("1", "1", "tone")], "onset\tduration\ttrial_type")
    with pytest.raises(MissingData, match=r"no column word .*events.tsv.*to do without words"):
        only_run(masked.root)


def test_an_events_file_of_no_bytes_is_refused(masked: Any) -> None:
    masked.raw(data=SMALL).with_name("sub-01_task-alice_events.tsv").write_text("")
    with pytest.raises(BrokenData, match="events cannot be read"):
        only_run(masked.root)


def test_a_mask_on_another_grid_is_refused(tree: Any) -> None:
    tree.fmriprep(affine=np.diag([2.0, 3.0, 3.0, 1.0]))
    with pytest.raises(BrokenData, match=r"another affine or shape than the image .*on the grid of the image"):
        only_run(tree.fmriprep_root)


def test_confounds_of_another_length_are_refused(masked: Any) -> None:
    masked.table(masked.raw(data=SMALL).with_name("sub-01_task-alice_confounds.tsv"), [["1.0"]], "breath")
    with pytest.raises(BrokenData, match=r"confounds have 1 rows but the image has 2 volumes"):
        only_run(masked.root)


def test_an_unknown_task_names_the_known_ones(masked: Any) -> None:
    masked.raw(data=SMALL)
    with pytest.raises(MissingData, match=r"no runs of task wolf .*Tasks: alice"):
        BidsStudy(masked.root, task="wolf").subjects()


def test_a_folder_without_images_says_what_it_looked_for(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"no BOLD images sub-\*.*top folder of a BIDS data set"):
        BidsStudy(tmp_path).subjects()


def test_content_that_was_not_fetched_is_said_to_be_missing(masked: Any) -> None:
    path = masked.raw(data=SMALL)
    path.unlink()
    path.symlink_to("../.git/annex/objects/absent")
    with pytest.raises(MissingData, match=r"no image .*a broken link means"):
        only_run(masked.root)


def test_the_real_localizer_run_is_read_as_a_raw_data_set(tree: Any, real_data: Path) -> None:
    source = real_data / "bold4d_studyforrest_localizer" / "small_6mm_bold.nii.gz"
    func = tree.func(tree.root, "sub-02")
    func.mkdir(parents=True)
    shutil.copy(source, func / "sub-02_task-oneback_bold.nii.gz")
    run = only_run(tree.root)
    assert (run.repetition_time, run.responses.n_rows) == (2.0, 156)
    assert 2000 < run.responses.n_channels < 15000
    assert nib.load(source).shape[:3] == run.responses.mask.volume.shape
    assert np.isfinite(run.responses[0:156]).all()
