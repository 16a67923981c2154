"""The synthetic study: a valid BIDS tree with the planted signal in it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from plasticode.datasets import planted_tree
from plasticode.datasets.design import SyntheticDesign
from plasticode.datasets.errors import MissingData, WrongArgument
from plasticode.datasets.haemodynamics import evoked, feature_names
from plasticode.datasets.noise import drift, noise, spatial_covariance, spikes
from plasticode.datasets.plan import make_plan
from plasticode.datasets.planting import brain_mask, warp
from plasticode.datasets.study import Word, study_class
from plasticode.datasets.synthetic import SyntheticStudy, write_synthetic
from sklearn.metrics import roc_auc_score

SMALL = SyntheticDesign.small()
# The names that BIDS 1.9 allows in such a tree.
BIDS_NAME = re.compile(
    r"dataset_description\.json|participants\.tsv|README"
    r"|sub-(\d+)/func/sub-\1_task-[a-zA-Z0-9]+_(bold\.nii\.gz|bold\.json|events\.tsv)"
    r"|derivatives/.*"
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> SyntheticStudy:
    return write_synthetic(tmp_path_factory.mktemp("synthetic") / "small", SMALL, progress=False)


def explained(study: SyntheticStudy, subject: str) -> np.ndarray:
    """Share of each voxel's variance that least squares on the true features explains, over all stories."""
    responses, design = [], []
    for run in study.runs([subject]):
        table = pd.read_csv(study.root / f"derivatives/truth/task-{run.story}_desc-features_timeseries.tsv", sep="\t")
        responses.append(run.responses[:])
        design.append(table.drop(columns="time").to_numpy())
    y, x = np.concatenate(responses), np.concatenate(design)
    x = np.column_stack([x, np.ones(len(x))])
    residual = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    return 1 - residual.var(0) / y.var(0)


def test_the_study_is_found_by_its_name() -> None:
    assert study_class("synthetic") is SyntheticStudy


def test_every_file_has_a_name_that_bids_allows(study: SyntheticStudy) -> None:
    names = [path.relative_to(study.root).as_posix() for path in study.root.rglob("*") if path.is_file()]
    assert [name for name in names if not BIDS_NAME.fullmatch(name)] == []
    for folder in (".", "derivatives/truth", "derivatives/masks"):
        described = json.loads((study.root / folder / "dataset_description.json").read_text())
        assert {"Name", "BIDSVersion"} <= described.keys()


def test_the_image_header_and_the_sidecar_give_the_repetition_time(study: SyntheticStudy) -> None:
    path = study.image_path("sub-01", "amber")
    image, sidecar = nib.load(path), json.loads(path.with_name("sub-01_task-amber_bold.json").read_text())
    assert image.header.get_zooms()[3] == sidecar["RepetitionTime"] == 2.0
    assert image.header.get_xyzt_units() == ("mm", "sec")
    assert sidecar["TaskName"] == "amber"
    assert image.shape[:3] == SMALL.grid
    assert image.get_data_dtype() == np.int16


def test_the_study_is_read_as_any_other(study: SyntheticStudy) -> None:
    run = study.run("sub-02", "lagoon")
    assert study.subjects() == list(SMALL.subjects)
    assert study.stories("sub-01") == sorted(SMALL.stories)
    assert run.responses.mask is not None
    assert run.responses.mask.same_grid(brain_mask(SMALL))
    assert np.array_equal(run.responses.mask.volume, brain_mask(SMALL).volume)
    assert np.allclose(run.responses[:].std(0, ddof=1), 1, atol=1e-3)


def test_events_are_the_words(study: SyntheticStudy) -> None:
    words = make_plan(SMALL, 0, None).text["kelp"]
    read = study.run("sub-01", "kelp").words
    assert [word.text for word in read] == [word.text for word in words]
    assert np.allclose([(w.onset, w.offset) for w in read], [(w.onset, w.offset) for w in words], atol=2e-3)


def test_the_truth_is_not_needed_to_read_the_study(study: SyntheticStudy, tmp_path: Path) -> None:
    root = tmp_path / "bare"
    shutil.copytree(study.root, root)
    shutil.rmtree(root / "derivatives" / "truth")
    bare = SyntheticStudy(root)
    assert np.array_equal(bare.run("sub-01", "amber").responses[:], study.run("sub-01", "amber").responses[:])
    with pytest.raises(MissingData, match=r"no planted truth .*design\.json.* Write the study again"):
        _ = bare.design


def test_the_design_and_the_split_come_back_from_disk(study: SyntheticStudy) -> None:
    assert study.design == SMALL
    assert study.split() == {"train": ("amber",), "validation": ("kelp",), "test": ("lagoon",)}
    assert study.unseen_subject == "sub-02"


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(study: SyntheticStudy, tmp_path: Path) -> None:
    again = write_synthetic(tmp_path / "again", SMALL, progress=False)
    other = write_synthetic(tmp_path / "other", SMALL, seed=1, progress=False)
    path = study.image_path("sub-02", "kelp").relative_to(study.root)
    assert (again.root / path).read_bytes() == (study.root / path).read_bytes()
    assert (other.root / path).read_bytes() != (study.root / path).read_bytes()


def test_the_same_study_is_reused_and_another_refused(study: SyntheticStudy, tmp_path: Path) -> None:
    path = study.image_path("sub-01", "amber")
    before = path.stat().st_mtime_ns
    write_synthetic(study.root, SMALL, progress=False)
    assert path.stat().st_mtime_ns == before
    with pytest.raises(WrongArgument, match=r"something else .*small\)\. Give another folder, or remove this one\."):
        write_synthetic(study.root, SyntheticDesign.small(snr=2.0), progress=False)
    (tmp_path / "letter.txt").write_text("not ours")
    with pytest.raises(WrongArgument, match="something else"):
        write_synthetic(tmp_path, SMALL, progress=False)


def test_an_interrupted_writer_goes_on_to_the_same_bytes(
    study: SyntheticStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, written, write_run = tmp_path / "cut", [], planted_tree._write_run

    def stops_after_two(*arguments: object) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(arguments[2:])
        write_run(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(planted_tree, "_write_run", stops_after_two)
        with pytest.raises(KeyboardInterrupt):
            write_synthetic(root, SMALL, progress=False)
    assert not root.exists()
    finished = tmp_path / ".cut.partial" / "sub-01" / "func" / "sub-01_task-amber_bold.nii.gz"
    before = finished.stat().st_mtime_ns
    write_synthetic(root, SMALL, progress=False)
    for image in study.root.rglob("*_bold.nii.gz"):
        assert (root / image.relative_to(study.root)).read_bytes() == image.read_bytes()
    assert (root / "sub-01" / "func" / finished.name).stat().st_mtime_ns == before
    assert not finished.exists()


def test_least_squares_finds_the_planted_voxels_at_a_high_ratio(tmp_path: Path) -> None:
    study = write_synthetic(tmp_path / "clear", SyntheticDesign.small(snr=3.0), progress=False)
    for subject in study.subjects():
        assert roc_auc_score(study.responsive(subject), explained(study, subject)) > 0.99


def test_least_squares_finds_nothing_without_signal(tmp_path: Path) -> None:
    study = write_synthetic(tmp_path / "noise", SyntheticDesign.small(snr=0.0), progress=False)
    assert study.responsive("sub-01").sum() > 20
    assert abs(roc_auc_score(study.responsive("sub-01"), explained(study, "sub-01")) - 0.5) < 0.15


def test_the_planted_ratio_is_the_stated_one(study: SyntheticStudy) -> None:
    plan = make_plan(SMALL, 0, None)
    features = np.concatenate([plan.features(name) for name in plan.text])
    for index, subject in enumerate(study.subjects()):
        weights = study.weights(subject)[:, study.responsive(subject)]
        ratio = np.sqrt(((features @ weights).var(0, ddof=1)).mean()) / SMALL.noise_sd
        assert ratio == pytest.approx(plan.gains[index] * SMALL.snr, rel=1e-3)
        assert study.record["subjects"][subject]["snr"] == pytest.approx(ratio, rel=1e-3)


def test_people_differ_in_their_warp_and_gain(study: SyntheticStudy) -> None:
    one, other = (study.truth(subject).volume for subject in study.subjects())
    overlap = (one & other).sum() / one.sum()
    assert 0.3 < overlap < 0.98
    displacement = warp(SMALL, np.random.default_rng(0))[:, brain_mask(SMALL).volume]
    assert 1.0 <= np.linalg.norm(displacement, axis=0).max() <= 1.5
    plan = make_plan(SyntheticDesign(), 0, None)
    assert len(set(plan.gains)) == 4
    assert 0.7 < min(plan.gains) < max(plan.gains) < 1.4


def test_the_demo_design_has_its_size() -> None:
    plan = make_plan(SyntheticDesign(), 0, None)
    brain = brain_mask(plan.design)
    assert 3000 < brain.n_voxels < 4000
    assert all(0.07 < mask[brain.volume].mean() < 0.15 for mask in plan.responsive)
    assert all(360 <= plan.n_rows(name) * 2 <= 412 for name in plan.text)


def test_noise_has_the_stated_correlations() -> None:
    values = noise(SyntheticDesign.small(), 1500, np.random.default_rng(0))
    pair = np.zeros(SMALL.grid, bool)
    pair[5, 5, 5:7] = True
    assert values.var() == pytest.approx(1, abs=0.02)
    assert (values[1:] * values[:-1]).mean() == pytest.approx(SMALL.autocorrelation, abs=0.02)
    assert (values[:, 1:] * values[:, :-1]).mean() == pytest.approx(spatial_covariance(SMALL, pair)[0, 1], abs=0.02)


def test_spikes_are_few_sudden_and_of_the_whole_brain() -> None:
    design = SyntheticDesign(spikes=3)
    height = np.abs(spikes(design, 190, np.random.default_rng(0)).mean((1, 2, 3)))
    assert (height > 0.9 * design.spike_size).sum() == 3
    assert (height == 0).sum() >= 190 - 6


def test_drift_is_slow_and_none_in_a_short_run() -> None:
    values = drift(SyntheticDesign(), 190, np.random.default_rng(0)).reshape(190, -1)
    power = (np.abs(np.fft.rfft(values - values.mean(0), axis=0)) ** 2).sum(1)
    frequencies = np.fft.rfftfreq(190, 2.0)
    assert power[frequencies < 0.01].sum() > 0.9 * power.sum()
    assert values.std() == pytest.approx(1, abs=0.3)
    assert not drift(SyntheticDesign(), 20, np.random.default_rng(0)).any()


def test_the_response_peaks_five_seconds_after_the_word_and_adds_up() -> None:
    words = [Word("sailor", 20.0, 20.4), Word("cook", 31.0, 31.5)]
    both, one, other = (evoked(heard, 40, 2.0, 10) for heard in (words, words[:1], words[1:]))
    assert 2.0 * one[:, 0].argmax() == pytest.approx(25, abs=1)
    assert np.allclose(both, one + other)
    assert [name for name, used in zip(feature_names(10), one.any(0), strict=True) if used] == [
        "word_rate",
        "word_length",
        "sea",
    ]


def test_any_text_can_be_planted(tmp_path: Path) -> None:
    words = ["curious", "rabbit", "watches", "teacups"] * 8
    text = {"own": [Word(word, 1.5 * index, 1.5 * index + 1) for index, word in enumerate(words)]}
    study = write_synthetic(tmp_path / "own", SMALL, text=text, progress=False)
    run = study.run("sub-01", "own")
    assert [word.text for word in run.words] == [word.text for word in text["own"]]
    assert run.duration >= text["own"][-1].offset + SMALL.tail
    assert study.split()["train"] == ("own",)


def test_a_story_name_that_bids_forbids_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongArgument, match=r"'my_story' cannot be a BIDS task label .* letters and digits"):
        write_synthetic(tmp_path / "new", SMALL, text={"my_story": [Word("a", 0, 1)]}, progress=False)
    with pytest.raises(WrongArgument, match="no word to plant"):
        write_synthetic(tmp_path / "new", SMALL, text={"empty": []}, progress=False)


@pytest.mark.parametrize(
    ("field", "value"),
    [("n_subjects", 0), ("snr", -1.0), ("repetition_time", 0.0), ("autocorrelation", 1.0), ("test", ("amber",))],
)
def test_an_impossible_design_is_refused(field: str, value: object) -> None:
    with pytest.raises(WrongArgument, match="cannot be"):
        SyntheticDesign(**{field: value})  # type: ignore[arg-type]
