"""Oracles: rsatoolbox's `calc_rdm` and noise estimates, a planted distance, and the mean over noise, which is 0."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from plasticode.analysis.noise_precision import shrunk_covariance, whitener
from plasticode.analysis.rdm import dataset, rdms
from plasticode.datasets.errors import BrokenData, WrongArgument
from rsatoolbox.data import Dataset
from rsatoolbox.data.noise import cov_from_residuals
from rsatoolbox.rdm import calc_rdm

N, K, FOLDS = 10, 25, 4
IDS = [f"s{i:02d}" for i in range(N)]


def signal(strength: float = 1.0) -> np.ndarray:
    return strength * np.random.default_rng(0).standard_normal((N, K))


def measured(strength: float = 1.0, seed: int = 1, folds: int = FOLDS) -> Dataset:
    rng = np.random.default_rng(seed)
    x = np.tile(signal(strength), (folds, 1)) + rng.standard_normal((folds * N, K))
    return dataset(x, IDS * folds, run=np.repeat(np.arange(folds), N), name=f"{seed}")


def unbalanced() -> Dataset:
    rng, whole = np.random.default_rng(2), measured()
    kept = rng.permutation(np.r_[np.arange(FOLDS * N), 3, 3, 14, 39])
    return dataset(
        whole.measurements[kept] + rng.standard_normal((len(kept), K)),
        [whole.obs_descriptors["stimulus"][i] for i in kept],
        run=[whole.obs_descriptors["run"][i] for i in kept],
    )


def precision(seed: int) -> np.ndarray:
    a = np.random.default_rng(seed).standard_normal((K, 3 * K))
    return a @ a.T / K


NOISES = {"none": None, "one": precision(0), "by run": [precision(i) for i in range(FOLDS)]}


def theirs(data: Dataset, noise: object) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rsatoolbox casts NaN where it averages
        return calc_rdm(data, "crossnobis", "stimulus", noise=noise, cv_descriptor="run").dissimilarities[0]


def assert_same(found: np.ndarray, wanted: np.ndarray) -> None:
    # A distance without bias may be 0 by chance, so six digits are of the typical one.
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6 * np.sqrt(np.mean(wanted**2)))


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("strength", [0.0, 1.0, 30.0])
@pytest.mark.parametrize("folds", [2, FOLDS])
def test_distances_are_those_of_rsatoolbox(noise: str, strength: float, folds: int) -> None:
    data = measured(strength, folds=folds)
    given = NOISES[noise][:folds] if noise == "by run" else NOISES[noise]  # type: ignore[index]
    assert_same(rdms(data, "crossnobis", noise=given).dissimilarities[0], theirs(data, given))


@pytest.mark.filterwarnings("ignore:.*its observations are averaged")
@pytest.mark.parametrize("noise", NOISES)
def test_unbalanced_runs_are_weighted_as_in_rsatoolbox(noise: str) -> None:
    data = unbalanced()
    found = rdms(data, "crossnobis", noise=NOISES[noise])
    found.sort_by(stimulus="alpha")
    assert_same(found.dissimilarities[0], theirs(data, NOISES[noise]))


def test_a_precision_by_the_name_of_its_run_is_found() -> None:
    named = {run: precision(run) for run in reversed(range(FOLDS))}
    wanted = rdms(measured(), "crossnobis", noise=NOISES["by run"])
    np.testing.assert_array_equal(rdms(measured(), "crossnobis", noise=named).dissimilarities, wanted.dissimilarities)


def test_repetitions_that_runs_do_not_explain_are_warned_of() -> None:
    with pytest.warns(UserWarning, match=r"condition 's03' is there 3 times in run 0; its observations are averaged"):
        rdms(unbalanced(), "crossnobis")


def test_crossnobis_is_0_on_average_where_there_is_only_noise() -> None:
    found = rdms([measured(0.0, seed) for seed in range(60)], "crossnobis").dissimilarities.mean(1)
    assert abs(found.mean()) < 3 * found.std() / np.sqrt(60)
    assert rdms([measured(0.0, seed) for seed in range(5)], "mahalanobis").dissimilarities.min() > 0


def test_crossnobis_finds_the_planted_distance_without_bias() -> None:
    x = signal(0.5)
    wanted = ((x[:, None] - x[None]) ** 2).mean(-1)[np.triu_indices(N, 1)]
    found = rdms([measured(0.5, seed) for seed in range(60)], "crossnobis").dissimilarities
    error = found.mean(0) - wanted
    assert np.mean((error / (found.std(0) / np.sqrt(60))) ** 2) < 2


def test_another_basis_of_the_channels_changes_nothing_when_noise_turns_with_it() -> None:
    turn = np.random.default_rng(3).standard_normal((K, K))
    back = np.linalg.inv(turn)
    data = measured()
    moved = dataset(
        data.measurements @ turn, data.obs_descriptors["stimulus"], run=data.obs_descriptors["run"], name="1"
    )
    found = rdms(moved, "crossnobis", noise=back @ precision(0) @ back.T).dissimilarities[0]
    assert_same(found, rdms(data, "crossnobis", noise=precision(0)).dissimilarities[0])


@pytest.mark.parametrize("method", ["shrinkage_diag", "shrinkage_eye", "diag", "full"])
@pytest.mark.parametrize("dof", [None, 31])
def test_covariances_are_those_of_rsatoolbox_for_many_sets_at_once(method: str, dof: int | None) -> None:
    residuals = np.random.default_rng(0).standard_normal((3, 40, K)) @ precision(5) + 2
    found = shrunk_covariance(torch.from_numpy(residuals), method, dof=dof)
    for one, of in zip(found, residuals, strict=True):
        np.testing.assert_allclose(one, cov_from_residuals(of.copy(), dof=dof, method=method), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("method", ["shrinkage_diag", "shrinkage_eye", "diag", "full"])
def test_channels_that_only_fill_a_set_up_change_nothing(method: str) -> None:
    residuals = torch.from_numpy(np.random.default_rng(0).standard_normal((40, K)))
    used = torch.arange(K) < K - 6
    found = shrunk_covariance(residuals, method, used=used)
    np.testing.assert_allclose(found[:-6, :-6], shrunk_covariance(residuals[:, :-6], method), rtol=1e-12)
    np.testing.assert_array_equal(found[-6:], torch.eye(K)[-6:])


def test_whitened_noise_is_white() -> None:
    residuals = torch.from_numpy(np.random.default_rng(0).standard_normal((500, K)) @ precision(5))
    factor = whitener(shrunk_covariance(residuals, "full"))
    np.testing.assert_allclose(shrunk_covariance(residuals @ factor, "full"), np.eye(K), atol=1e-9)


def test_noise_that_cannot_be_estimated_is_refused() -> None:
    few = torch.from_numpy(np.random.default_rng(0).standard_normal((10, K)))
    with pytest.raises(BrokenData, match="the covariance of the noise is singular"):
        whitener(shrunk_covariance(few, "full"))
    few[:, 2] = 1
    with pytest.raises(BrokenData, match="residuals of a channel do not vary"):
        shrunk_covariance(few)
    with pytest.raises(WrongArgument, match="no covariance 'oracle'"):
        shrunk_covariance(few, "oracle")
    flat = np.diag(np.r_[0.0, np.ones(K - 1)])
    with pytest.raises(WrongArgument, match="a noise precision is singular"):
        rdms(measured(), "crossnobis", noise=[flat] * FOLDS)
