"""Oracles: files that the test writes in both published layouts, whose responses name their voxel and trial."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from plasticode.datasets import things_fmri
from plasticode.datasets.errors import BrokenData, MissingData, WrongArgument
from plasticode.datasets.fetch import plan
from plasticode.datasets.remote import RemoteFile
from plasticode.datasets.things_fmri import ThingsFmri
from plasticode.datasets.things_tables import GAP

N_VOXELS, SESSIONS = 700, 3
TEST, TRAIN = ("candelabra_14s", "altar_02b", "french_horn_07n"), ("dog_12s", "mango_12s")
REGIONS = {
    "V1": np.arange(N_VOXELS) < 5,
    "V2": np.isin(np.arange(N_VOXELS), [3, 4, 4 + GAP, 300, 301, 699]),  # small and large gaps, more than one block
    "LO1 (prf)": np.zeros(N_VOXELS, bool),
    "lFFA": np.arange(N_VOXELS) == 10,
    "rFFA": np.arange(N_VOXELS) == 20,
    "glasser-TE1p": np.arange(N_VOXELS) % 100 == 0,
}


class Things:
    """Three subjects, or fewer, in a layout; the response of voxel v in trial t is v + t / 100, in every file."""

    def __init__(self, root: Path, layout: str = "figshare", subjects: tuple[str, ...] = ("01", "02")) -> None:
        self.root, self.layout, self.trials = root, layout, {}
        for subject in subjects:
            self.trials[subject] = self.shown(int(subject))
            trials, voxels, responses = self.paths(subject)
            trials.parent.mkdir(parents=True, exist_ok=True)
            self.trials[subject].to_csv(trials, index=False)
            self.voxels().to_csv(voxels, index=False)
            self.responses(responses, len(self.trials[subject]))

    def paths(self, subject: str) -> tuple[Path, Path, Path]:
        if self.layout == "figshare":
            base, ends = self.root / "betas_csv", ("StimulusMetadata.csv", "VoxelMetadata.csv", "ResponseData.h5")
            names = [f"sub-{subject}_{end}" for end in ends]
        else:
            base = self.root / f"derivatives/ICA-betas/sub-{subject}/voxel-metadata"
            ends = ("stimulus-metadata.tsv", "voxel-metadata.tsv", "voxel-wise-responses.h5")
            names = [f"sub-{subject}_task-things_{end}" for end in ends]
        return base / names[0], base / names[1], base / names[2]

    @staticmethod
    def shown(seed: int) -> pd.DataFrame:
        """Each test image once a session, each training image once in all, in an order of the subject's own."""
        rows = [("test", session, name) for session in range(1, SESSIONS + 1) for name in TEST]
        rows += [("train", 1, name) for name in TRAIN]
        order = np.random.default_rng(seed).permutation(len(rows))
        table = pd.DataFrame([rows[place] for place in order], columns=["trial_type", "session", "stimulus"])
        table["stimulus"] += ".jpg"
        return table.assign(run=1 + np.arange(len(rows)) % 2, subject_id=seed, trial_id=np.arange(len(rows)))

    @staticmethod
    def voxels() -> pd.DataFrame:
        index = np.arange(N_VOXELS)
        facts = {"voxel_id": index, "subject_id": 1, "voxel_x": index, "nc_testset": 0.5, "splithalf_corrected": 0.1}
        facts |= {"prf-size": 1.5}
        return pd.DataFrame(facts | {name: inside.astype(int) for name, inside in REGIONS.items()})

    @staticmethod
    def responses(path: Path, n_trials: int, ids: np.ndarray | None = None, values: np.ndarray | None = None) -> None:
        """As pandas writes a table in its fixed format; the labels of the trials would be pickled objects."""
        with h5py.File(path, "w") as file:
            group = file.create_group("ResponseData")
            group["block0_values"] = expected(np.arange(N_VOXELS), np.arange(n_trials)).T if values is None else values
            group["block1_values"] = (np.arange(N_VOXELS) if ids is None else ids)[:, None]
            group["block0_items"] = np.frombuffer(b"\x80\x05 would run if it were unpickled", np.uint8)

    def photographs(self, folder: str = "object_images", nested: bool = True) -> dict[str, np.ndarray]:
        """One colour each, squares of several sizes."""
        colours = {}
        for place, name in enumerate([*TEST, *TRAIN]):
            colours[name] = np.full(3, 40 * place, np.uint8)
            path = self.root / folder / (name.rpartition("_")[0] if nested else "") / f"{name}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.broadcast_to(colours[name], (20 + place, 20 + place, 3)).copy()).save(path)
        return colours


def expected(voxels: np.ndarray, trials: np.ndarray) -> np.ndarray:
    return voxels[None, :] + trials[:, None] / 100


@pytest.mark.parametrize("layout", ["figshare", "openneuro"])
@pytest.mark.parametrize("region", ["V1", "V2", "FFA", "lFFA", "glasser-TE1p"])
def test_each_response_is_that_of_its_voxel_and_trial(tmp_path: Path, layout: str, region: str) -> None:
    things = Things(tmp_path, layout)
    study = ThingsFmri(tmp_path)
    found = study.patterns("02", region)
    table = things.trials["02"]
    trials = np.flatnonzero(table["trial_type"] == "test")
    voxels = np.flatnonzero(REGIONS[region] if region != "FFA" else REGIONS["lFFA"] | REGIONS["rFFA"])
    np.testing.assert_allclose(found.measurements, expected(voxels, trials), rtol=1e-6)
    assert list(found.channel_descriptors["voxel"]) == voxels.tolist()
    told = table.iloc[trials]
    assert list(found.obs_descriptors["stimulus"]) == [Path(name).stem for name in told["stimulus"]]
    assert list(found.obs_descriptors["run"]) == [f"{session:02d}" for session in told["session"]]
    assert list(found.obs_descriptors["scan"]) == [f"{run:02d}" for run in told["run"]]
    assert found.descriptors == {"subject": "02", "session": "", "region": region, "name": f"{region}, 02"}


def test_every_test_photograph_is_in_every_fold_once_and_training_ones_in_one(tmp_path: Path) -> None:
    Things(tmp_path)
    study = ThingsFmri(tmp_path)
    assert (study.subjects, study.sessions) == (("01", "02"), ("01", "02", "03"))
    for subject in study.subjects:
        labels = study.patterns(subject, "V1").obs_descriptors
        pairs = list(zip(labels["stimulus"], labels["run"], strict=True))
        assert sorted(pairs) == sorted((name, run) for name in TEST for run in study.sessions)
        train = ThingsFmri(tmp_path, "train").patterns(subject, "V1")
        assert sorted(train.obs_descriptors["stimulus"]) == sorted(TRAIN)


def test_regions_are_the_columns_that_are_no_facts_of_voxels_and_pairs_of_hemispheres(tmp_path: Path) -> None:
    Things(tmp_path)
    assert ThingsFmri(tmp_path).regions == (*REGIONS, "FFA")


@pytest.mark.parametrize("nested", [True, False])
def test_photographs_are_those_of_the_split_in_the_order_of_their_ids(tmp_path: Path, nested: bool) -> None:
    colours = Things(tmp_path).photographs("photographs", nested)
    stimuli = ThingsFmri(tmp_path, images=tmp_path / "photographs", side=16).stimuli()
    assert stimuli.ids == tuple(sorted(TEST))
    assert stimuli.images.shape == (3, 3, 16, 16)
    np.testing.assert_allclose(stimuli.images[:, :, 8, 8], [colours[name] for name in stimuli.ids], atol=4)
    assert stimuli.descriptors["concept"].tolist() == ["altar", "candelabra", "french_horn"]


def test_without_photographs_the_patterns_are_read_and_the_error_says_where_to_get_them(tmp_path: Path) -> None:
    Things(tmp_path)
    study = ThingsFmri(tmp_path)
    assert study.patterns("01", "V1").n_obs == 9
    with pytest.raises(MissingData, match=r"no photograph altar_02b\.jpg .*https://things-initiative\.org"):
        study.stimuli()


def test_tabs_between_columns_are_read_too(tmp_path: Path) -> None:
    things = Things(tmp_path, "openneuro", ("01",))
    before = ThingsFmri(tmp_path).patterns("01", "V2").measurements
    for path in things.paths("01")[:2]:
        pd.read_csv(path).to_csv(path, sep="\t", index=False)
    np.testing.assert_array_equal(ThingsFmri(tmp_path).patterns("01", "V2").measurements, before)


def test_voxels_that_are_not_finite_are_left_out_and_said_so(tmp_path: Path) -> None:
    things = Things(tmp_path, subjects=("01",))
    values = expected(np.arange(N_VOXELS), np.arange(11)).T
    values[2, :] = np.nan
    things.responses(things.paths("01")[2], 11, values=values)
    with pytest.warns(UserWarning, match="1 of 5 voxels of V1, subject 01, are not finite: they are left out"):
        found = ThingsFmri(tmp_path).patterns("01", "V1")
    assert list(found.channel_descriptors["voxel"]) == [0, 1, 3, 4]


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    things = Things(tmp_path, subjects=("01",))
    trials, voxels, responses = things.paths("01")
    things.responses(responses, 12)
    with pytest.raises(BrokenData, match=r"responses are float64 \(700, 12\) instead of floats \(700, 11\)"):
        ThingsFmri(tmp_path).patterns("01", "V1")
    things.responses(responses, 11, ids=np.arange(N_VOXELS)[::-1])
    with pytest.raises(BrokenData, match="its voxels are not those of the voxels' table"):
        ThingsFmri(tmp_path).patterns("01", "V1")
    with h5py.File(responses, "w") as file:
        file["ResponseData"] = h5py.ExternalLink("elsewhere.h5", "/")
    with pytest.raises(BrokenData, match="is reached through a link to another place"):
        ThingsFmri(tmp_path).patterns("01", "V1")
    things.voxels().assign(V1=0.5).to_csv(voxels, index=False)
    with pytest.raises(BrokenData, match="V1 hold values other than 0 and 1"):
        ThingsFmri(tmp_path).patterns("01", "V1")
    things.trials["01"].assign(session="first").to_csv(trials, index=False)
    with pytest.raises(BrokenData, match="a session or run is not a whole number"):
        ThingsFmri(tmp_path).patterns("01", "V1")
    things.trials["01"].drop(columns="run").to_csv(trials, index=False)
    with pytest.raises(MissingData, match="no column run"):
        ThingsFmri(tmp_path).patterns("01", "V1")


def test_subjects_who_saw_other_photographs_are_named(tmp_path: Path) -> None:
    things = Things(tmp_path)
    things.photographs()
    path = things.paths("02")[0]
    path.write_text(path.read_text().replace("altar_02b", "altar_03c"))
    with pytest.raises(BrokenData, match="2 stimuli that not all saw: altar_02b, altar_03c"):
        ThingsFmri(tmp_path).stimuli()


def test_unknown_names_say_what_there_is(tmp_path: Path) -> None:
    things = Things(tmp_path)
    study = ThingsFmri(tmp_path)
    with pytest.raises(MissingData, match=r"no subject '04' in study things_fmri .*There are: 01, 02"):
        study.patterns("04", "V1")
    with pytest.raises(MissingData, match=r"no region 'nc_testset' in study things_fmri .*There are: V1, V2"):
        study.patterns("01", "nc_testset")
    with pytest.raises(MissingData, match=r"region 'LO1 \(prf\)' of subject 01 has no voxels"):
        study.patterns("01", "LO1 (prf)")
    with pytest.raises(MissingData, match="has patterns of responses and no RDMs"):
        study.rdms("V1")
    with pytest.raises(WrongArgument, match=r"no split 'catch' \(split\)\. Choose one of: test, train"):
        ThingsFmri(tmp_path, "catch")
    things.paths("01")[1].unlink()
    with pytest.raises(MissingData, match=r"none of sub-01_VoxelMetadata\.csv, .* beside it"):
        _ = ThingsFmri(tmp_path).subjects


def test_fetch_asks_openneuro_for_the_folder_of_each_subject(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def listing(bucket: str, prefix: str, strip: str = "") -> list[RemoteFile]:
        asked.append(f"{bucket}/{prefix}")
        return [] if "sub-09" in prefix else [RemoteFile(f"{bucket}/{prefix}x.h5", f"{prefix}x.h5"[len(strip) :], 7)]

    monkeypatch.setattr(things_fmri, "s3_files", listing)
    folder = "derivatives/ICA-betas/sub-{}/voxel-metadata/"
    files: list[Any] = plan("things_fmri", ["01", "sub-03"])
    assert [file.path for file in files] == [folder.format(subject) + "x.h5" for subject in ("01", "03")]
    assert asked[0] == "https://s3.amazonaws.com/openneuro.org/ds004192/" + folder.format("01")
    with pytest.raises(MissingData, match=r"no responses of subject 09 at OpenNeuro"):
        plan("things_fmri", ["09"])
