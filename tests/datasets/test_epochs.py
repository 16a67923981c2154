"""Oracles: what the test gave to mne, mne's own whitener, and the covariance of noise that has been whitened."""

from __future__ import annotations

from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest
from plasticode.datasets.epochs import at_times, noise_covariance, open_epochs, read_epochs, temporal_dataset
from plasticode.datasets.errors import BrokenData, MissingData, WrongArgument
from rsatoolbox.rdm import calc_rdm_movie

N_TRIALS, N_TIMES, T_MIN = 40, 30, -0.1
NAMES = {"face/1": 7, "face/2": 3, "house": 5, "tool": 11}
KINDS = ["mag"] * 4 + ["grad"] * 3


def made(kinds: list[str] = KINDS, seed: int = 0, t_min: float = T_MIN) -> mne.EpochsArray:
    """Correlated noise in each kind's own unit, events in a random order, one bad channel."""
    random = np.random.default_rng(seed)
    info = mne.create_info([f"S{number:02d}" for number in range(len(kinds))], 100.0, kinds)
    mixing = np.eye(len(kinds)) + 0.3 * random.normal(size=(len(kinds), len(kinds)))
    units = np.array([{"mag": 1e-13, "grad": 1e-11, "eeg": 1e-6}[kind] for kind in kinds])
    data = units[:, None] * (mixing @ random.normal(size=(N_TRIALS, len(kinds), N_TIMES)))
    codes = random.permutation(np.repeat(list(NAMES.values()), N_TRIALS // 4))
    events = np.column_stack([np.arange(N_TRIALS) * 50, np.zeros(N_TRIALS, int), codes])
    epochs = mne.EpochsArray(data, info, events, t_min, NAMES, verbose="ERROR")
    epochs.info["bads"] = ["S01"]
    return epochs


def saved(epochs: mne.EpochsArray, folder: Path) -> Path:
    epochs.save(folder / "sub-01-epo.fif", verbose="ERROR")
    return folder / "sub-01-epo.fif"


def test_a_file_is_read_as_it_was_written_and_its_events_are_the_conditions(tmp_path: Path) -> None:
    epochs = made()
    data = read_epochs(saved(epochs, tmp_path), picks="mag", whiten=False, subject="1")
    expected = epochs.get_data(picks=["S00", "S01", "S02", "S03"])
    np.testing.assert_allclose(data.measurements, expected, rtol=1e-6)
    names = {code: name for name, code in NAMES.items()}
    assert data.obs_descriptors["stimulus"] == [names[code] for code in epochs.events[:, 2]]
    assert data.channel_descriptors["name"] == ["S00", "S01", "S02", "S03"]
    assert set(data.channel_descriptors["kind"]) == {"mag"}
    np.testing.assert_allclose(data.time_descriptors["time"], T_MIN + np.arange(N_TIMES) / 100)
    assert data.descriptors == {"name": "sub-01", "subject": "1"}
    assert "run" not in data.obs_descriptors


def test_bad_channels_are_left_out_unless_named() -> None:
    epochs = made(["mag"] * 4)
    assert temporal_dataset(epochs).channel_descriptors["name"] == ["S00", "S02", "S03"]
    assert temporal_dataset(epochs, picks=["S03", "S01"]).channel_descriptors["name"] == ["S01", "S03"]


def test_whitening_is_mnes_and_makes_noise_white_whatever_the_units(tmp_path: Path) -> None:
    path = saved(made(), tmp_path)
    epochs = open_epochs(path)
    data = read_epochs(path)
    noise = noise_covariance(epochs)
    whitener, names = mne.cov.compute_whitener(noise, epochs.info, picks="data", verbose="ERROR")
    assert data.channel_descriptors["name"] == names == ["S00", "S02", "S03", "S04", "S05", "S06"]
    np.testing.assert_allclose(data.measurements, whitener @ epochs.get_data(picks=names), rtol=1e-6)
    full = temporal_dataset(epochs, noise=noise_covariance(epochs, method="empirical")).measurements
    before = full[:, :, epochs.times <= 0].transpose(1, 0, 2).reshape(len(names), -1)
    np.testing.assert_allclose(before @ before.T / before.shape[1], np.eye(len(names)), atol=0.02)


def test_a_reference_that_takes_one_rank_leaves_noise_of_one_rank_less() -> None:
    epochs = made(["eeg"] * 6)
    epochs.info["bads"] = []
    epochs.set_eeg_reference(projection=False, verbose="ERROR")
    data = temporal_dataset(epochs, noise=noise_covariance(epochs))
    eigenvalues = np.linalg.eigvalsh(np.cov(data.measurements.transpose(1, 0, 2).reshape(6, -1)))
    assert eigenvalues[0] < 1e-6
    np.testing.assert_allclose(eigenvalues[1:], 1, atol=0.25)


def test_folds_are_stretches_of_the_recording_with_every_condition() -> None:
    data = temporal_dataset(made(), picks="grad", folds=3)
    stimulus, run = np.array(data.obs_descriptors["stimulus"]), np.array(data.obs_descriptors["run"])
    repetition = np.array(data.obs_descriptors["repetition"])
    for name in NAMES:
        assert repetition[stimulus == name].tolist() == list(range(10))
        assert run[stimulus == name].tolist() == ["00"] * 4 + ["01"] * 3 + ["02"] * 3


def test_metadata_give_ids_and_runs(tmp_path: Path) -> None:
    epochs = made(["mag"] * 4)
    ids = [f"image_{number % 20:02d}" for number in range(N_TRIALS)]
    epochs.metadata = pd.DataFrame({"image": ids, "run": np.repeat([1, 2], 20)})
    data = read_epochs(saved(epochs, tmp_path), column="image", whiten=False)
    assert data.obs_descriptors["stimulus"] == ids
    assert data.obs_descriptors["run"] == ["1"] * 20 + ["2"] * 20
    with pytest.raises(MissingData, match=r"no column 'word' .*There are: image, run"):
        temporal_dataset(epochs, column="word")


def test_each_time_is_a_dataset_of_its_own() -> None:
    data = temporal_dataset(made(["mag"] * 4), subject="1")
    each = at_times(data)
    assert [one.descriptors["time"] for one in each] == data.time_descriptors["time"].tolist()
    np.testing.assert_array_equal(each[7].measurements, data.measurements[:, :, 7])
    assert each[7].descriptors["subject"] == "1"
    assert calc_rdm_movie(data, "euclidean", "stimulus").n_rdm == len(each)


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"no epochs .*none-epo\.fif"):
        open_epochs(tmp_path / "none-epo.fif")
    (tmp_path / "text-epo.fif").write_text("no epochs")
    with pytest.raises(BrokenData, match="mne cannot read it as epochs"):
        open_epochs(tmp_path / "text-epo.fif")
    raw = mne.io.RawArray(np.zeros((1, 100)), mne.create_info(1, 100.0, "mag"), verbose="ERROR")
    raw.save(tmp_path / "rest_raw.fif", verbose="ERROR")
    with pytest.raises(BrokenData, match="mne cannot read it as epochs"):
        open_epochs(tmp_path / "rest_raw.fif")
    with pytest.raises(WrongArgument, match=r"several kinds \(grad, mag\) have different units"):
        temporal_dataset(made())
    with pytest.raises(WrongArgument, match=r"no channel eeg .*There are: grad, mag"):
        temporal_dataset(made(), picks="eeg")
    with pytest.raises(BrokenData, match=r"begin at 0\.2 s, so there is no noise before 0 s"):
        noise_covariance(made(t_min=0.2))
    with pytest.raises(BrokenData, match="was shown 10 times, fewer than 11 folds"):
        temporal_dataset(made(["mag"] * 4), folds=11)
    with pytest.raises(WrongArgument, match="1 fold"):
        temporal_dataset(made(["mag"] * 4), folds=1)
    others = noise_covariance(made(["mag"] * 3))
    with pytest.raises(BrokenData, match=r"mne cannot whiten|lacks sensors"):
        temporal_dataset(made(["mag"] * 5), noise=others)
    broken = made(["mag"] * 4)
    broken.get_data(copy=False)[3, 2, 5] = np.nan
    with pytest.raises(BrokenData, match="1 epochs are not finite, the first is 3"):
        temporal_dataset(broken)
