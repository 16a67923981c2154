"""Oracles: least squares by hand, nilearn's FirstLevelModel and maskers, rsatoolbox; responses planted in BOLD."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn.glm.first_level import FirstLevelModel, compute_regressor
from nilearn.maskers import NiftiLabelsMasker, NiftiMasker
from plasticode.datasets.errors import BrokenData, MissingData, WrongArgument
from plasticode.datasets.glm import PREFIX, Glm, design, fit
from plasticode.datasets.nifti import BoldImage, open_bold
from plasticode.datasets.noise_residuals import noise_precision
from plasticode.datasets.patterns import ConditionRun, patterns
from plasticode.datasets.regions import atlas_labels, coordinates, parcel_series, region, voxel_series
from plasticode.datasets.study import VoxelMask
from rsatoolbox.data.noise import cov_from_residuals
from rsatoolbox.rdm import calc_rdm

TR, N_VOLUMES, N_CHANNELS = 2.0, 120, 24
CONDITIONS = ("cat", "constant", "drift_1", "shoe")  # two are called as regressors of nilearn's own
MEAN = 500.0


def events(seed: int = 0) -> pd.DataFrame:
    """Two blocks of 10 s per condition, every 28 s."""
    order = np.random.default_rng(seed).permutation(np.repeat(CONDITIONS, 2))
    return pd.DataFrame({"onset": 8.0 + 28.0 * np.arange(8), "duration": 10.0, "trial_type": order})


def planted(seed: int = 0) -> np.ndarray:
    """True responses (condition, channel), in percent."""
    return np.random.default_rng(seed).normal(size=(len(CONDITIONS), N_CHANNELS))


def bold(shown: pd.DataFrame, betas: np.ndarray, noise: float, seed: int = 0) -> np.ndarray:
    """A mean, the responses to the blocks, a drift, and noise that remembers: (time, channel)."""
    frames = (np.arange(N_VOLUMES) + 0.5) * TR
    blocks = [shown[shown.trial_type == name] for name in CONDITIONS]
    regressors = [
        compute_regressor(one[["onset", "duration"]].assign(a=1.0).to_numpy().T, "spm", frames) for one in blocks
    ]
    response = np.hstack([one[0] for one in regressors]) @ betas
    white = np.random.default_rng(100 + seed).normal(size=response.shape)
    for time in range(1, N_VOLUMES):
        white[time] = 0.4 * white[time - 1] + np.sqrt(1 - 0.4**2) * white[time]
    drift = np.cos(np.pi * (np.arange(N_VOLUMES) + 0.5) / N_VOLUMES)[:, None]
    signal = response - response.mean(axis=0) + drift + noise * white
    return MEAN * (1 + signal / 100)


def run(number: int, betas: np.ndarray, noise: float) -> ConditionRun:
    shown = events(number)
    return ConditionRun(f"{number:02d}", bold(shown, betas, noise, number), TR, shown)


def test_planted_responses_are_recovered_without_noise() -> None:
    found = patterns([run(1, planted(), 0.0), run(2, planted(), 0.0)])
    assert found.dataset.obs_descriptors["stimulus"] == [*CONDITIONS, *CONDITIONS]
    assert found.dataset.obs_descriptors["run"] == ["01"] * 4 + ["02"] * 4
    np.testing.assert_allclose(found.dataset.measurements, np.tile(planted(), (2, 1)), atol=1e-3)


def test_estimates_miss_the_planted_responses_by_their_standard_error() -> None:
    runs = [run(number, planted(), 1.0) for number in range(8)]
    found = patterns(runs).dataset.measurements.reshape(8, 4, N_CHANNELS)
    z = patterns(runs, estimate="z").dataset.measurements.reshape(8, 4, N_CHANNELS)
    error = (found - planted()) * z / found
    assert 0.85 < error.std() < 1.25


def test_without_noise_model_the_estimates_are_least_squares() -> None:
    one, glm = run(1, planted(), 2.0), Glm(noise="ols", slice_time=0.0)
    matrix = design(one.events, N_VOLUMES, TR, glm)
    percent = 100 * (one.series / one.series.mean(axis=0) - 1)
    by_hand, squares, *_ = np.linalg.lstsq(matrix.to_numpy(), percent, rcond=None)
    fitted = fit(one.series, one.events, TR, glm)
    assert list(matrix.columns[:4]) == [PREFIX + name for name in CONDITIONS]
    np.testing.assert_allclose(fitted.betas, by_hand[:4], atol=1e-9)
    np.testing.assert_allclose((fitted.residuals**2).sum(axis=0), squares, rtol=1e-9)
    assert fitted.dof == N_VOLUMES - matrix.shape[1]
    t = by_hand[:4] / np.sqrt(np.outer(np.diag(np.linalg.inv(matrix.T @ matrix))[:4], squares / fitted.dof))
    assert np.all(np.abs(fitted.z) <= np.abs(t))
    np.testing.assert_array_equal(np.argsort(fitted.z[0]), np.argsort(t[0]))


@pytest.mark.filterwarnings("ignore:.*Generation of a mask has been requested:RuntimeWarning")  # nilearn's, of itself
@pytest.mark.parametrize("slice_time", [0.0, 0.5])
def test_betas_and_z_are_those_of_nilearns_first_level_model(slice_time: float) -> None:
    one = run(3, planted(), 1.0)
    image = nib.Nifti1Image(one.series.T.reshape(2, 3, 4, N_VOLUMES), np.eye(4))
    mask = nib.Nifti1Image(np.ones((2, 3, 4), np.uint8), np.eye(4))
    model = FirstLevelModel(TR, slice_time, "spm", mask_img=mask, random_state=0).fit(
        image, one.events.replace({"constant": "bottle", "drift_1": "house"})
    )
    fitted = fit(one.series, one.events, TR, Glm(slice_time=slice_time))
    for name, theirs in zip(CONDITIONS, ("cat", "bottle", "house", "shoe"), strict=True):
        ours = fitted.conditions.index(name)
        effect, z = (
            model.compute_contrast(theirs, output_type=kind).get_fdata() for kind in ("effect_size", "z_score")
        )
        np.testing.assert_allclose(fitted.betas[ours], effect.ravel(), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(fitted.z[ours], z.ravel(), rtol=1e-4, atol=1e-5)


def test_confounds_that_carry_everything_leave_nothing() -> None:
    one = run(1, np.zeros((4, N_CHANNELS)), 0.1)
    spike = np.random.default_rng(5).normal(size=(N_VOLUMES, 1))
    moved = ConditionRun("moved", one.series + 50 * spike, TR, one.events, spike)
    still = patterns([one]).dataset.measurements
    assert np.abs(patterns([moved]).dataset.measurements - still).max() < 0.1
    bare = ConditionRun("moved", moved.series, TR, one.events)
    assert np.abs(patterns([bare]).dataset.measurements - still).max() > 1


def test_noise_precision_is_the_inverse_covariance_of_each_runs_residuals() -> None:
    found = patterns([run(2, planted(), 1.0), run(1, planted(), 1.0)])
    assert found.folds == ["01", "02"]
    alone = patterns([run(1, planted(), 1.0)])
    np.testing.assert_array_equal(found.residuals[0], alone.residuals[0])
    expected = np.linalg.inv(cov_from_residuals(alone.residuals[0], alone.dof[0], "shrinkage_eye"))
    np.testing.assert_allclose(found.noise("shrinkage_eye")[0], expected, rtol=1e-10)
    rows = found.residuals[1] - found.residuals[1].mean(axis=0)
    np.testing.assert_allclose(
        np.linalg.inv(found.noise("full")[1]), rows.T @ rows / found.dof[1], rtol=1e-8, atol=1e-12
    )


def test_crossnobis_is_zero_on_noise_and_the_planted_distance_on_signal() -> None:
    def distances(betas: np.ndarray, noise: float) -> np.ndarray:
        found = patterns([run(number, betas, noise) for number in range(6)])
        rdm = calc_rdm(found.dataset, "crossnobis", descriptor="stimulus", cv_descriptor="run", noise=found.noise())
        return np.asarray(rdm.dissimilarities[0])

    nothing, signal = distances(np.zeros((4, N_CHANNELS)), 1.0), distances(planted(), 0.5)
    assert (
        abs(nothing.mean()) < 3 * 0.0175
    )  # .0175: the standard deviation over 40 such simulations; their mean was .003
    true = [((planted()[i] - planted()[j]) ** 2).mean() / 0.5**2 for i, j in zip(*np.triu_indices(4, 1), strict=True)]
    assert np.corrcoef(signal, true)[0, 1] > 0.95
    assert signal.min() > 20 * abs(nothing).max()


def test_a_run_parted_into_folds_gives_each_its_own_rows_and_the_same_noise() -> None:
    one = run(1, planted(), 0.0)
    fold = one.events.groupby("trial_type").cumcount().map({0: "first", 1: "second"})
    found = patterns([ConditionRun("run", one.series, TR, one.events.assign(fold=fold))])
    assert found.dataset.obs_descriptors["run"] == ["first"] * 4 + ["second"] * 4
    np.testing.assert_allclose(found.dataset.measurements, np.tile(planted(), (2, 1)), atol=1e-2)
    assert found.residuals[0] is found.residuals[1]


def test_runs_stand_in_the_order_in_which_rsatoolbox_sorts_folds() -> None:
    runs = [run(number, planted(number), 0.1) for number in (10, 9, 2)]
    found = patterns(runs)
    assert list(found.residuals_by_run) == found.folds
    np.testing.assert_array_equal(found.residuals_by_run["10"], patterns(runs[:1]).residuals[0])
    assert found.folds == [str(name) for name in np.unique(found.dataset.obs_descriptors["run"])] == ["02", "09", "10"]


def test_constant_and_dim_channels_are_left_out_with_a_warning_and_the_others_keep_their_place() -> None:
    volume = np.zeros((3, 4, 5), bool)
    volume[1:, :, 1:4] = True
    mask, one = VoxelMask(volume, np.diag([2.0, 3.0, 4.0, 1.0])), run(1, planted(), 0.5)
    one.series[:, 5], one.series[:, 7] = MEAN, one.series[:, 7] - MEAN
    with pytest.warns(UserWarning, match="2 of 24 channels are constant or dim"):
        found = patterns([one, run(2, planted(), 0.5)], mask, subject="1")
    kept = np.delete(np.arange(24), [5, 7])
    told = found.dataset.channel_descriptors
    np.testing.assert_array_equal(told["channel"], kept)
    np.testing.assert_array_equal(told["voxel"], np.flatnonzero(volume)[kept])
    np.testing.assert_allclose(np.stack([told[axis] for axis in "xyz"], axis=1), coordinates(mask)[kept])
    np.testing.assert_allclose(coordinates(mask), np.argwhere(volume) * [2, 3, 4])
    assert found.mask is not None
    np.testing.assert_array_equal(found.mask.index(), told["voxel"])
    assert found.dataset.descriptors == {"subject": "1"}
    with pytest.raises(BrokenData, match=r"no channel has a mean of at least 1.*percent=False"):
        patterns([ConditionRun("1", one.series - one.series.mean(axis=0), TR, one.events)])
    centred = ConditionRun("1", np.delete(one.series, 5, axis=1) - MEAN, TR, one.events)
    assert patterns([centred], glm=Glm(percent=False)).dataset.n_channel == 23


def test_some_channels_are_the_same_patterns_cut_down() -> None:
    runs = [run(number, planted(), 0.5) for number in (1, 2)]
    whole, kept = patterns(runs), np.array([3, 4, 9])
    alone = patterns([ConditionRun(one.name, one.series[:, kept], TR, one.events) for one in runs])
    flags = np.isin(np.arange(N_CHANNELS), kept)
    for cut in (whole.within(kept), whole.within(flags)):
        np.testing.assert_allclose(cut.dataset.measurements, alone.dataset.measurements, rtol=1e-9)
        np.testing.assert_allclose(cut.noise()[1], alone.noise()[1], rtol=1e-6)
        assert cut.dataset.channel_descriptors["channel"].tolist() == [3, 4, 9]


def test_what_cannot_be_fitted_is_said() -> None:
    one = run(1, planted(), 1.0)

    def fitted(shown: pd.DataFrame, **changed: Any) -> None:
        patterns([ConditionRun("1", one.series, TR, shown, **changed)])

    with pytest.raises(MissingData, match=r"no column trial_type \(run 1\)"):
        fitted(one.events.drop(columns="trial_type"))
    with pytest.raises(MissingData, match="the events are empty"):
        fitted(one.events[:0])
    with pytest.raises(BrokenData, match=r"not a number \(run 1\)"):
        fitted(one.events.assign(onset="soon"))
    with pytest.raises(BrokenData, match="no event of late lies within the 240 s"):
        fitted(pd.concat([one.events, pd.DataFrame({"onset": [400.0], "duration": [1.0], "trial_type": ["late"]})]))
    with pytest.raises(BrokenData, match=r"the design is singular.*Join conditions"):
        fitted(pd.concat([one.events, one.events.assign(trial_type=one.events["trial_type"] + " again")]))
    with pytest.raises(MissingData, match="no runs"):
        patterns([])
    with pytest.raises(BrokenData, match="two runs have the same name"):
        patterns([one, one])
    with pytest.raises(BrokenData, match="have 5, 24 channels"):
        patterns([one, ConditionRun("2", one.series[:, :5], TR, one.events)])
    with pytest.raises(BrokenData, match=r"not finite \(run 2\)"):
        patterns([one, ConditionRun("2", np.full_like(one.series, np.nan), TR, one.events)])
    with pytest.raises(BrokenData, match="two runs have a fold A"):
        patterns([ConditionRun(name, one.series, TR, one.events.assign(fold="A")) for name in "12"])
    with pytest.raises(BrokenData, match="no channel varies"):
        patterns([ConditionRun("1", np.full_like(one.series, MEAN), TR, one.events)])


def test_settings_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(WrongArgument, match="no response 'fir' of one regressor"):
        Glm(hrf="fir")
    with pytest.raises(WrongArgument, match=r"slice time 1\.5"):
        Glm(slice_time=1.5)
    with pytest.raises(WrongArgument, match=r"no estimate 't'.*Choose betas or z"):
        patterns([run(1, planted(), 1.0)], estimate="t")
    with pytest.raises(WrongArgument, match="no noise estimate 'ledoit'"):
        patterns([run(1, planted(), 1.0)]).noise("ledoit")
    rows = np.random.default_rng(0).normal(size=(8, 10))
    with pytest.raises(BrokenData, match="8 residuals do not determine the covariance of 10 channels"):
        noise_precision(rows, method="full")
    with pytest.raises(BrokenData, match=r"channel\(s\) 3 have no residual"):
        noise_precision(np.where(np.arange(10) == 3, 0, rows))
    with pytest.raises(BrokenData, match=r"a residual is not finite \(run 4\)"):
        noise_precision(np.where(np.arange(10) == 3, np.nan, rows), where="run 4")


class Space:
    """A BOLD image of 3 mm and an atlas of 6 mm whose labels 2 and 7 are its left and right half; 9 lies outside."""

    def __init__(self, root: Path) -> None:
        data = np.random.default_rng(0).normal(100, 5, (8, 6, 4, 30)).astype(np.float32)
        self.image = self.saved(root / "bold.nii.gz", data, 3.0)
        halves = np.zeros((12, 5, 4), np.int16)
        halves[1:3], halves[3:5], halves[9:] = 2, 7, 9
        self.atlas = self.saved(root / "atlas.nii.gz", halves, 6.0, shift=-4.5)
        self.bold = open_bold(self.image)

    @staticmethod
    def saved(path: Path, data: np.ndarray, size: float, shift: float = 0.0) -> Path:
        affine = np.diag([size, size, size, 1.0])
        affine[:3, 3] = shift
        nib.Nifti1Image(data, affine).to_filename(path)
        return path


@pytest.fixture
def space(tmp_path: Path) -> Space:
    return Space(tmp_path)


def test_a_label_of_a_coarser_atlas_is_found_on_the_images_grid(space: Space) -> None:
    left = region(space.atlas, space.bold, 2)
    expected = np.zeros((8, 6, 4), bool)
    expected[:4] = True
    np.testing.assert_array_equal(left.volume, expected)
    assert region(space.atlas, space.bold, [2, 7]).volume.all()
    assert region(space.atlas, space.bold).volume.all()
    assert atlas_labels(space.atlas) == [2, 7, 9]


def test_series_of_voxels_and_parcels_are_those_of_nilearns_maskers(space: Space) -> None:
    left = region(space.atlas, space.bold, 2)
    mask = nib.Nifti1Image(left.volume.astype(np.uint8), left.affine)
    theirs = NiftiMasker(mask, standardize=None).fit_transform(str(space.image))
    np.testing.assert_allclose(voxel_series(space.bold, left), theirs, rtol=1e-6)
    series, labels = parcel_series(space.bold, space.atlas)
    assert labels == [2, 7]
    np.testing.assert_allclose(series[:, 0], theirs.mean(axis=1), rtol=1e-6)
    halves = nib.Nifti1Image(np.where(left.volume, 2, 7).astype(np.int32), left.affine)
    np.testing.assert_allclose(series, NiftiLabelsMasker(halves, standardize=None).fit_transform(str(space.image)))


def test_regions_that_cannot_be_are_said(space: Space, tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"no label 3 .*There are: 2, 7, 9"):
        region(space.atlas, space.bold, 3)
    with pytest.raises(BrokenData, match=r"no voxel of bold\.nii\.gz lies in the region.*same space"):
        region(space.atlas, space.bold, 9)
    with pytest.raises(MissingData, match="no mask or atlas"):
        region(tmp_path / "none.nii.gz", space.bold)
    (tmp_path / "text.nii.gz").write_text("no image")
    with pytest.raises(BrokenData, match="cannot be read"):
        region(tmp_path / "text.nii.gz", space.bold)
    with pytest.raises(BrokenData, match=r"has shape \(8, 6, 4, 30\)"):
        region(space.image, space.bold)
    shares = space.saved(tmp_path / "shares.nii.gz", np.full((8, 6, 4), 0.5, np.float32), 3.0)
    assert region(shares, space.bold).volume.all()
    with pytest.raises(BrokenData, match="hold no whole numbers"):
        region(shares, space.bold, 1)
    data = np.full((2, 2, 2, 5), np.nan, np.float32)
    broken = open_bold(space.saved(tmp_path / "nan.nii.gz", data, 3.0))
    with pytest.raises(BrokenData, match=r"not finite in 5 volume\(s\), the first is 0"):
        voxel_series(broken, VoxelMask(np.ones((2, 2, 2), bool), np.diag([3.0, 3.0, 3.0, 1.0])))


def test_a_real_atlas_lies_in_the_template(real_data: Path) -> None:
    template = real_data / "atlases" / "mni_icbm152_gm_tal_nlin_sym_09a_converted.nii.gz"
    parcels = real_data / "atlases" / "LangParcels_n220_LH.nii.gz"
    loaded = nib.load(template)
    grid = BoldImage(template, (*loaded.shape, 1), loaded.affine, loaded.header)
    assert coordinates(region(parcels, grid))[:, 0].max() < 0  # mm: the parcels are those of the left hemisphere
    frontal, temporal = (coordinates(region(parcels, grid, label)).mean(axis=0) for label in (4, 1))
    assert frontal[1] > 0 > temporal[1]
