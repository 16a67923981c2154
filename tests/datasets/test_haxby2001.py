"""Oracles: the responses that the test planted, the published schedule, and PyMVPA's slice of the first person."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nilearn.glm.first_level import compute_regressor
from PIL import Image
from plasticode.analysis.rdm import rdms
from plasticode.datasets.errors import BrokenData, MissingData
from plasticode.datasets.haxby2001 import CATEGORIES, MASKS, PHOTOGRAPHS, REPETITION_TIME, Haxby2001
from plasticode.datasets.image_study import open_image_study
from plasticode.datasets.localizer import IMAGES
from plasticode.datasets.localizer_images import LocalizerImages

N_VOLUMES = 121  # of a run
LATE = (3.0, 4.5, 3.5, 2.5, 1.5, 3.0, 2.0, 1.0)  # s after each block's onset that its published label begins
SHAPE = 4, 3, 2


class Haxby:
    """Two runs of two people in fetch_haxby's layout; every voxel of mask4_vt has a response of its own."""

    def __init__(self, root: Path) -> None:
        self.root, self.random = root, np.random.default_rng(0)
        self.vt = self.random.random(SHAPE) > 0.3
        self.planted = self.random.normal(size=(len(CATEGORIES), self.vt.sum()))
        self.orders = {run: self.random.permutation(len(CATEGORIES)) for run in range(2)}
        for subject in (1, 2):
            self.write(root / f"subj{subject}")

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        data = np.zeros((*SHAPE, 2 * N_VOLUMES), np.float32)
        data[self.vt] = 1000 * (1 + np.vstack([self.response(run) for run in range(2)]).T / 100)
        nib.Nifti1Image(data, np.diag([3.5, 3.75, 3.75, 1.0])).to_filename(folder / "bold.nii.gz")
        nib.Nifti1Image(self.vt.astype(np.uint8), np.diag([3.5, 3.75, 3.75, 1.0])).to_filename(folder / MASKS["vt"])
        lines = [f"{name} {run}" for run in range(2) for name in self.labels(run)]
        (folder / "labels.txt").write_text("\n".join(["labels chunks", *lines]) + "\n")

    def labels(self, run: int) -> list[str]:
        """As published: late, and nine volumes long."""
        labels = np.full(N_VOLUMES, "rest", dtype="<U12")
        for block, category in enumerate(self.orders[run]):
            first = round((12 + 36 * block + LATE[block]) / REPETITION_TIME)
            labels[first : first + 9] = CATEGORIES[category]
        return labels.tolist()

    def response(self, run: int) -> np.ndarray:
        onset = 12 + 36 * np.argsort(self.orders[run]).astype(float)  # of each category, by the paper
        frames = (np.arange(N_VOLUMES) + 0.5) * REPETITION_TIME
        shown = [compute_regressor(np.array([[one], [24.0], [1.0]]), "spm", frames)[0] for one in onset]
        response = np.hstack(shown) @ self.planted
        return response - response.mean(axis=0)


@pytest.fixture
def haxby(tmp_path: Path) -> Haxby:
    return Haxby(tmp_path / "haxby2001")


def test_planted_responses_of_fetch_haxbys_layout_are_recovered(haxby: Haxby) -> None:
    study = open_image_study("haxby2001", haxby.root)
    assert (study.subjects, study.regions, study.gives()) == (("1", "2"), ("vt",), ("patterns",))
    found = study.patterns("2", "vt")
    assert found.obs_descriptors["stimulus"] == [*CATEGORIES, *CATEGORIES]
    assert found.obs_descriptors["run"] == ["01"] * 8 + ["02"] * 8
    np.testing.assert_allclose(found.measurements, np.tile(haxby.planted, (2, 1)), atol=1e-2)
    np.testing.assert_array_equal(found.channel_descriptors["voxel"], np.flatnonzero(haxby.vt))
    told = {"study": "haxby2001", "subject": "2", "region": "vt", "name": "vt, 2"}
    assert found.descriptors == told


def test_the_times_of_the_labels_are_late_for_the_response(haxby: Haxby) -> None:
    def residual(study: Haxby2001) -> float:
        return float(np.mean([(one**2).mean() for one in study.run_patterns("1", "vt").residuals]))

    assert residual(Haxby2001(haxby.root)) < 1e-3 * residual(Haxby2001(haxby.root, as_labelled=True))


def test_a_run_without_labels_is_left_out(haxby: Haxby) -> None:
    path = haxby.root / "subj1" / "labels.txt"
    lines = path.read_text().splitlines()
    lines[1 + N_VOLUMES :] = ["rest 1"] * N_VOLUMES
    path.write_text("\n".join(lines))
    assert Haxby2001(haxby.root).run_patterns("1", "vt").folds == ["01"]


def test_photographs_are_told_by_their_category(haxby: Haxby) -> None:
    with pytest.raises(MissingData, match=r"no photographs of haxby2001.*fetch_haxby's stimuli archive"):
        Haxby2001(haxby.root).stimuli()
    for place, folder in enumerate(PHOTOGRAPHS):
        path = haxby.root / "stimuli" / folder / "first.jpg"
        path.parent.mkdir(parents=True)
        Image.new("RGB", (6, 6), (20 * place,) * 3).save(path)
    stimuli = Haxby2001(haxby.root, side=4).stimuli()
    assert stimuli.ids[0] == "bottles/first"
    assert stimuli.images.shape == (8, 3, 4, 4)
    assert tuple(stimuli.descriptors["category"]) == CATEGORIES


def test_what_is_wrong_is_said(haxby: Haxby, tmp_path: Path) -> None:
    study = Haxby2001(haxby.root)
    with pytest.raises(MissingData, match=r"no subject '7' .*There are: 1, 2"):
        study.patterns("7", "vt")
    with pytest.raises(MissingData, match=r"no region 'face' .*There are: vt"):
        study.patterns("1", "face")
    labels = haxby.root / "subj1" / "labels.txt"
    lines = labels.read_text().splitlines()
    labels.write_text("\n".join(lines[:-3]))
    with pytest.raises(BrokenData, match=r"not the category and run of 242 volumes \(239 lines\)"):
        study.patterns("1", "vt")
    labels.write_text("\n".join([lines[0], *["rest 0"] * 5, *lines[1:-5]]))
    with pytest.raises(BrokenData, match=r"do not follow the published schedule.*as_labelled"):
        study.patterns("1", "vt")
    labels.unlink()
    with pytest.raises(MissingData, match="no labels of the volumes"):
        study.patterns("1", "vt")
    (tmp_path / "empty").mkdir()
    assert Haxby2001(tmp_path / "empty").subjects == ()


def test_pymvpas_slice_has_eight_categories_that_its_runs_agree_on(real_data: Path) -> None:
    study = Haxby2001(real_data / "haxby2001_pymvpa")
    assert (study.subjects, study.regions) == (("1",), ("slice",))
    found = study.run_patterns("1", "slice")
    assert found.dataset.measurements.shape == (8 * Haxby2001.info["runs"], 530)
    noise = found.noise()
    distances = rdms(found.dataset, "crossnobis", noise=np.mean(noise, axis=0))
    assert distances.dissimilarities.mean() == pytest.approx(0.110, abs=0.001)
    assert distances.dissimilarities.min() > 0
    assert right(found.dataset.measurements, noise) == pytest.approx(62 / 96)  # chance: 12 / 96


def right(measurements: np.ndarray, noise: list[np.ndarray]) -> float:
    """Share of the categories of each run whose pattern is most like the same category's in the other runs."""
    white = measurements.reshape(12, 8, -1) @ np.linalg.cholesky(np.mean(noise, axis=0))
    white -= white.mean(axis=1, keepdims=True)
    others = (white.sum(axis=0) - white) / 11
    alike = [np.corrcoef(one, rest)[:8, 8:] for one, rest in zip(white, others, strict=True)]
    return float(np.mean([one.argmax(axis=1) == np.arange(8) for one in alike]))


def test_blocks_of_the_localizer_are_folds_that_agree_on_the_category(real_data: Path) -> None:
    study = LocalizerImages(real_data / "bold4d_studyforrest_localizer")
    whole = study.run_patterns("02")
    assert whole.folds == ["1", "2"]
    visual = whole.within(np.sort(np.argsort(whole.dataset.measurements.mean(axis=0))[-200:]))
    distances = rdms(visual.dataset, "crossnobis", noise=visual.noise())
    assert distances.pattern_descriptors["stimulus"] == list(LocalizerImages.info["categories"])
    assert distances.dissimilarities.min() > 0
    first, second = visual.dataset.measurements.reshape(2, 6, -1)
    first, second = first - first.mean(axis=0), second - second.mean(axis=0)
    np.testing.assert_array_equal(np.corrcoef(first, second)[:6, 6:].argmax(axis=1), np.arange(6))


def test_the_localizers_regions_are_its_brain_and_the_users_masks(tmp_path: Path, real_data: Path) -> None:
    root = real_data / "bold4d_studyforrest_localizer"
    bold = nib.load(root / IMAGES["6mm"])
    box = np.zeros(bold.shape[:3], np.uint8)
    box[15:25, 15:20, 6:10] = 1
    nib.Nifti1Image(box, bold.affine).to_filename(tmp_path / "box.nii.gz")
    study = LocalizerImages(root, masks={"box": tmp_path / "box.nii.gz"})
    assert study.regions == ("brain", "box")
    assert study.patterns("02", "box").n_channel == box.sum()
    with pytest.raises(MissingData, match=r"no region 'IT' .*There are: brain, box"):
        study.patterns("02", "IT")
    with pytest.raises(MissingData, match="the images of the localizer are not in this recording"):
        study.stimuli()
