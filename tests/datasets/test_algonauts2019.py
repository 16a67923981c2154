"""Oracles: files that the test writes in the challenge's layout, as MATLAB 5 and 7.3; refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image
from plasticode.datasets.algonauts2019 import Algonauts2019
from plasticode.datasets.errors import BrokenData, MissingData, WrongArgument
from plasticode.datasets.kriegeskorte2008 import IDS
from scipy.io import savemat

TIMES = 3


def rdms(*shape: int) -> np.ndarray:
    values = np.random.default_rng(sum(shape)).uniform(0.1, 1, shape)
    values += values.swapaxes(-1, -2)
    values[..., np.arange(shape[-1]), np.arange(shape[-1])] = 0
    return values


class Challenge:
    """The unpacked archive, with one image set of the true size and tiny photographs."""

    def __init__(self, root: Path, image_set: str = "92", version: str = "5", targets: bool = True) -> None:
        self.n = int(image_set)
        part = "Test_Data" if image_set == "78" else f"Training_Data/{image_set}_Image_Set"
        self.root, self.folder = root, root / part
        self.images = self.folder / f"{image_set}images"
        self.images.mkdir(parents=True)
        self.pixels = np.random.default_rng(0).integers(0, 256, (self.n, 3), np.uint8)
        for number, colour in enumerate(self.pixels, start=1):
            name = f"image_{number:0{len(image_set)}d}.jpg"
            Image.fromarray(np.broadcast_to(colour, (8, 8, 3)).copy()).save(self.images / name, quality=100)
        self.fmri = {"EVC_RDMs": rdms(15, self.n, self.n), "IT_RDMs": rdms(15, self.n, self.n) / 2}
        self.meg = {f"MEG_RDMs_{when}": rdms(15, TIMES, self.n, self.n) for when in ("early", "late")}
        if targets:
            self.write("target_fmri.mat", self.fmri, version)
            self.write("target_meg.mat", self.meg, version)

    def write(self, name: str, arrays: dict[str, Any], version: str = "5") -> None:
        """Version 7.3 reverses the axes."""
        if version == "5":
            savemat(self.folder / name, arrays)
            return
        with h5py.File(self.folder / name, "w", userblock_size=512) as file:
            for key, values in arrays.items():
                file[key] = values.T


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_fmri_is_one_rdm_per_subject(tmp_path: Path, version: str) -> None:
    challenge = Challenge(tmp_path, version=version)
    study = Algonauts2019(tmp_path)
    assert study.regions == ("EVC", "IT", "MEG early", "MEG late")
    for region in ("EVC", "IT"):
        found = study.rdms(region)
        np.testing.assert_allclose(found.get_matrices(), challenge.fmri[f"{region}_RDMs"])
        assert found.rdm_descriptors["subject"] == list(study.subjects) == [f"92-{n:02d}" for n in range(1, 16)]
        assert found.dissimilarity_measure == "correlation"


def test_meg_is_the_mean_over_its_times_unless_they_are_asked_for(tmp_path: Path) -> None:
    challenge = Challenge(tmp_path)
    study = Algonauts2019(tmp_path)
    late = challenge.meg["MEG_RDMs_late"]
    np.testing.assert_allclose(study.rdms("MEG late").get_matrices(), late.mean(axis=1))
    each = study.rdms("MEG late", averaged=False)
    np.testing.assert_allclose(each.get_matrices(), late.reshape(-1, 92, 92))
    assert each.rdm_descriptors["session"][:4] == ["time 01", "time 02", "time 03", "time 01"]


@pytest.mark.parametrize(("image_set", "first"), [("92", "image_01"), ("118", "image_001"), ("78", "image_01")])
def test_images_are_in_the_order_of_their_numbers_and_in_every_place(
    tmp_path: Path, image_set: str, first: str
) -> None:
    challenge = Challenge(tmp_path / "algonautsChallenge2019", image_set, targets=image_set != "78")
    study = Algonauts2019(tmp_path, image_set)
    stimuli = study.stimuli()
    assert (len(stimuli), stimuli.ids[0]) == (int(image_set), first)
    assert stimuli.images.shape == (int(image_set), 3, 8, 8)
    assert np.abs(stimuli.images[:, :, 4, 4].astype(int) - challenge.pixels).max() <= 8  # JPEG
    assert (study.regions == ()) == (image_set == "78")  # the test set came without its targets
    assert (stimuli.ids == IDS) == (image_set == "92")  # the images of kriegeskorte2008


def test_rdms_need_no_photographs_and_photographs_no_rdms(tmp_path: Path) -> None:
    challenge = Challenge(tmp_path)
    (challenge.images / "image_50.jpg").unlink()
    study = Algonauts2019(tmp_path)
    assert study.rdms("IT").n_rdm == 15
    with pytest.raises(MissingData, match=rf"91 \.jpg files, not numbered 1 to 92 \({challenge.images}\)"):
        study.stimuli()
    (challenge.folder / "target_fmri.mat").unlink()
    with pytest.raises(MissingData, match=r"no region 'IT' in study algonauts2019.*There are: MEG early, MEG late"):
        study.rdms("IT")


def test_a_file_that_leads_to_another_file_is_refused(tmp_path: Path) -> None:
    challenge = Challenge(tmp_path / "data", targets=False)
    with h5py.File(tmp_path / "secret.mat", "w") as file:
        file["EVC_RDMs"] = challenge.fmri["EVC_RDMs"].T
    with h5py.File(challenge.folder / "target_fmri.mat", "w") as file:
        file["EVC_RDMs"] = h5py.ExternalLink(str(tmp_path / "secret.mat"), "/EVC_RDMs")
    with pytest.raises(BrokenData, match="'EVC_RDMs' is reached through a link to another place"):
        Algonauts2019(tmp_path / "data").rdms("EVC")


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ({"EVC_RDMs": rdms(14, 92, 92)}, BrokenData, r"have shape \(14, 1, 92, 92\) instead of \(15, 1, 92, 92\)"),
        ({"EVC_RDMs": rdms(15, 118, 118)}, BrokenData, r"have shape \(15, 1, 118, 118\)"),
        ({"EVC_RDMs": np.ones((15, 4))}, BrokenData, r"shape \(15, 4\) instead of \(subject image image\)"),
        ({"EVC_RDMs": 1 - rdms(15, 92, 92)}, BrokenData, "is not 0 between a condition and itself"),
        ({"IT_RDMs": rdms(15, 92, 92)}, MissingData, "no array 'EVC_RDMs'"),
    ],
)
def test_what_is_not_in_the_layout_is_refused(tmp_path: Path, arrays: Any, error: Any, message: str) -> None:
    challenge = Challenge(tmp_path, targets=False)
    challenge.write("target_fmri.mat", arrays)
    with pytest.raises(error, match=message):
        Algonauts2019(tmp_path).rdms("EVC")


def test_unknown_sets_and_absent_folders_say_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(WrongArgument, match=r"no image set '156' \(image_set\)\. Choose one of: 92, 118, 78"):
        Algonauts2019(tmp_path, "156")
    with pytest.raises(MissingData, match=r"no folder Training_Data/118_Image_Set of algonauts2019"):
        Algonauts2019(tmp_path, "118")
