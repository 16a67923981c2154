"""Oracles: a loop over spheres with `rdms` and `compare`, rsatoolbox's searchlight, a planted region, a null map."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import joblib
import nibabel as nib
import numpy as np
import pytest
from plasticode.analysis.comparison import compare
from plasticode.analysis.rdm import dataset, rdms
from plasticode.analysis.searchlight import Searchlight, searchlight
from plasticode.analysis.spheres import Spheres
from plasticode.datasets.errors import BrokenData, MissingData, WrongArgument
from plasticode.datasets.searchlight_volume import read_rows
from plasticode.datasets.study import VoxelMask
from rsatoolbox.data import Dataset
from rsatoolbox.data.noise import prec_from_residuals
from rsatoolbox.rdm import RDMs
from rsatoolbox.util.searchlight import get_searchlight_RDMs, get_volume_searchlight

N, RUNS, TIME = 6, 3, 60
IDS = [f"s{i}" for i in range(N)]
SHAPE = (6, 5, 5)
SIZE = np.array([2.0, 2.5, 3.0])  # mm
RADIUS = 4.0


def mask(seed: int = 0, share: float = 0.8) -> VoxelMask:
    volume = np.random.default_rng(seed).random(SHAPE) < share
    angle = 0.3
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turn * SIZE, (-20, 10, 5)
    return VoxelMask(volume, affine)


def whole(shape: tuple[int, int, int] = SHAPE) -> VoxelMask:
    return VoxelMask(np.ones(shape, bool), np.diag([2.0, 2.0, 2.0, 1.0]))


def patterns(n_voxels: int, seed: int = 0, runs: int = RUNS) -> Dataset:
    x = np.random.default_rng(seed).gamma(2.0, 1.0, (runs * N, n_voxels))
    return dataset(x, IDS * runs, run=np.repeat(np.arange(runs), N), name="sub-01")


def residuals(n_voxels: int) -> dict[int, np.ndarray]:
    return {run: np.random.default_rng(10 + run).standard_normal((TIME, n_voxels)) for run in range(RUNS)}


def models(n: int = 2, seed: int = 3) -> RDMs:
    found = np.random.default_rng(seed).random((n, N * (N - 1) // 2))
    order = list(reversed(IDS))  # joined by id, not by position
    return RDMs(found, pattern_descriptors={"stimulus": order}, rdm_descriptors={"name": [f"m{i}" for i in range(n)]})


def search(data: Dataset, where: VoxelMask, **changes: Any) -> Searchlight:
    settings: dict[str, Any] = {"radius": RADIUS, "permutations": 20, "coverage": 0.5} | changes
    return searchlight(data, where, settings.pop("models", models()), **settings)


def members(where: VoxelMask, centre: int) -> np.ndarray:
    """The sphere's channels by brute force: distances in mm between the places of all voxels of the mask."""
    places = np.argwhere(where.volume) @ where.affine[:3, :3].T + where.affine[:3, 3]
    return np.flatnonzero(np.linalg.norm(places - places[centre], axis=1) <= RADIUS + 1e-9)


def test_spheres_are_those_of_a_loop_over_places_in_mm() -> None:
    where = mask()
    spheres = Spheres(where, RADIUS)
    channels, used = spheres.members(np.arange(where.n_voxels))
    for centre in range(where.n_voxels):
        assert sorted(channels[centre][used[centre]]) == members(where, centre).tolist()
    np.testing.assert_array_equal(spheres.sizes(), used.sum(1))


@pytest.mark.parametrize("method", ["correlation", "cosine", "euclidean", "poisson", "mahalanobis", "crossnobis"])
@pytest.mark.parametrize("noise", [False, True])
def test_the_map_is_that_of_a_loop_over_spheres(method: str, noise: bool) -> None:
    where = mask()
    data, left = patterns(where.n_voxels), residuals(where.n_voxels)
    if noise and method not in {"mahalanobis", "crossnobis"}:
        left = {}
    given = (left if method == "crossnobis" else left[0]) if noise and left else None
    found = search(data, where, method=method, noise=given, measure="pearson", permutations=0)
    tested = np.flatnonzero(~np.isnan(found.value[0]))
    assert 20 < len(tested) < where.n_voxels
    for centre in tested[::17]:
        inside = members(where, centre)
        precision: Any = None
        if given is not None:
            each = [prec_from_residuals(left[run][:, inside].copy(), method="shrinkage_diag") for run in range(RUNS)]
            precision = each if method == "crossnobis" else each[0]
        own = Dataset(data.measurements[:, inside], data.descriptors, data.obs_descriptors)
        wanted = compare(models(), rdms(own, method, noise=precision), "pearson")[:, 0]
        np.testing.assert_allclose(found.value[:, centre], wanted, rtol=1e-5, atol=1e-6)


def test_rdms_of_whole_spheres_are_those_of_rsatoolbox(capsys: pytest.CaptureFixture[str]) -> None:
    where = whole()
    data = patterns(where.n_voxels, runs=1)
    centres, neighbours = get_volume_searchlight(where.volume, radius=2.1, threshold=1.0)
    theirs = get_searchlight_RDMs(data.measurements, centres, neighbours, IDS, method="correlation", verbose=False)
    found = search(data, where, radius=4.1, coverage=0.0, permutations=0, measure="cosine")
    np.testing.assert_array_equal(np.flatnonzero(~np.isnan(found.value[0])), centres)
    theirs.pattern_descriptors["stimulus"] = IDS
    np.testing.assert_allclose(found.value[:, centres], compare(models(), theirs, "cosine"), rtol=1e-9)
    assert "searchlights" in capsys.readouterr().out  # rsatoolbox prints


@pytest.mark.parametrize("measure", ["spearman", "pearson", "tau-a", "whitened-cosine", "rho-a"])
def test_values_and_null_are_those_of_the_measure_for_models_with_permuted_labels(measure: str) -> None:
    where = whole((3, 3, 3))
    data = patterns(where.n_voxels, runs=1)
    found = search(data, where, measure=measure, radius=7.0, permutations=200, coverage=0.0)
    brain = rdms(data)
    np.testing.assert_allclose(found.value[:, 13], compare(models(), brain, measure)[:, 0], rtol=1e-6)
    np.testing.assert_allclose(found.value, np.repeat(found.value[:, :1], 27, axis=1))
    squares = models().get_matrices()
    orders = np.random.default_rng(9).permuted(np.tile(np.arange(N), (200, 1)), axis=1)
    moved = RDMs(
        np.concatenate([squares[:, order][:, :, order] for order in orders]),
        pattern_descriptors={"stimulus": IDS[::-1]},
    )
    null = compare(moved, brain, measure).reshape(200, 2)
    np.testing.assert_allclose(found.null_mean[:, 0], null.mean(0), atol=4 * null.std() / np.sqrt(100))
    np.testing.assert_allclose(found.null_high[:, 0], np.quantile(null, 0.95, axis=0), atol=0.5 * null.std())
    # All spheres are the same sphere: there is nothing to correct for.
    np.testing.assert_array_equal(found.p, found.p_max)
    assert found.p.min() >= 1 / 201


def test_chunks_workers_and_the_order_of_observations_change_nothing() -> None:
    where = mask()
    data = patterns(where.n_voxels)
    wanted = search(data, where, method="crossnobis")
    order = np.random.default_rng(1).permutation(RUNS * N)
    moved = data.subset_obs("stimulus", IDS)
    moved.measurements = data.measurements[order]
    moved.obs_descriptors = {key: [values[i] for i in order] for key, values in data.obs_descriptors.items()}
    with joblib.parallel_config(backend="threading"):
        for other in (search(data, where, method="crossnobis", chunk=1, n_jobs=2),):
            np.testing.assert_allclose(other.value, wanted.value, rtol=1e-12)
            np.testing.assert_array_equal(other.p_max, wanted.p_max)
    np.testing.assert_allclose(search(moved, where, method="crossnobis").value, wanted.value, rtol=1e-12)


def planted(strength: float, seed: int, shape: tuple[int, int, int] = (9, 9, 9)) -> tuple[Dataset, RDMs, np.ndarray]:
    """Patterns of two categories in a cube of 27 voxels, noise elsewhere; the model of categories."""
    rng = np.random.default_rng(seed)
    where, n = np.zeros(shape, bool), 10
    where[1:4, 1:4, 1:4] = True
    category = np.arange(n) % 2
    x = rng.standard_normal((n, *shape))
    x[:, where] += strength * rng.standard_normal((2, 27))[category]
    ids = [f"s{i}" for i in range(n)]
    i, j = np.triu_indices(n, 1)
    model = RDMs((category[i] != category[j])[None].astype(float), pattern_descriptors={"stimulus": ids})
    return dataset(x.reshape(n, -1), ids), model, where


def test_a_planted_region_is_found_and_nothing_far_from_it() -> None:
    data, model, where = planted(1.0, 0)
    found = searchlight(data, whole((9, 9, 9)), model, radius=4.1, permutations=200)
    significant = np.nan_to_num(found.p_max[0], nan=1.0).reshape(9, 9, 9) <= 0.05
    assert significant[2, 2, 2]
    places = np.argwhere(significant)
    assert (np.abs(places - 2).max(1) <= 3).all()  # spheres reach two voxels beyond the region
    assert np.unravel_index(np.nanargmax(found.value[0]), (9, 9, 9)) in [tuple(place) for place in np.argwhere(where)]


def test_maps_of_noise_are_significant_as_often_as_stated() -> None:
    smallest, p = [], []
    for seed in range(25):
        data, model, _ = planted(0.0, seed, (5, 5, 5))
        found = searchlight(data, whole((5, 5, 5)), model, radius=4.1, permutations=99, seed=seed)
        smallest.append(np.nanmin(found.p_max))
        p.append(np.nanmean(found.p <= 0.05))
    assert sum(value <= 0.05 for value in smallest) <= 4  # binomial: 25 maps at 5% exceed 4 in 1 of 140 runs
    assert 0.01 < np.mean(p) < 0.1


def test_a_sphere_without_variance_is_nan_and_said() -> None:
    where = whole()
    data = patterns(where.n_voxels, runs=1)
    data.measurements[2] = 1.0
    data.measurements[2, : where.n_voxels // 2] = data.measurements[1, : where.n_voxels // 2]
    with pytest.warns(UserWarning, match=r"\d+ spheres are NaN: a pattern in them does not vary"):
        found = search(data, where, coverage=0.0)
    assert np.isnan(found.value[:, -1]).all()
    assert np.isnan(found.p_max[:, -1]).all()
    assert np.isfinite(found.value[:, 0]).all()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"radius": 0.0}, WrongArgument, "the radius is 0.0 mm"),
        ({"radius": 1.9}, WrongArgument, "a radius of 1.9 mm holds one voxel of 2, 2.5, 3 mm"),
        ({"coverage": 1.5}, WrongArgument, "a coverage of 1.5"),
        ({"permutations": -1}, WrongArgument, "-1 permutations"),
        ({"method": "chebyshev"}, WrongArgument, "no distance 'chebyshev'"),
        ({"measure": "chebyshev"}, WrongArgument, "there is no measure 'chebyshev'"),
        ({"noise": np.zeros((9, 4))}, WrongArgument, "correlation takes no noise"),
        ({"noise": np.zeros((9, 4)), "method": "crossnobis"}, BrokenData, "residuals of shape (9, 4) do not fit"),
        ({"noise": {0: np.zeros((9, 4))}, "method": "crossnobis"}, WrongArgument, "there are no residuals of run 1"),
        ({"radius": 40.0, "coverage": 1.0}, BrokenData, "no sphere lies in the mask to 100%"),
        ({"models": models().subset_pattern("stimulus", IDS[1:])}, MissingData, "conditions are missing: 's0'"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_what_cannot_be_meant_is_refused(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    where = mask()
    with pytest.raises(error, match=re.escape(message)):
        search(patterns(where.n_voxels), where, **changes)


def test_patterns_of_another_mask_and_voxels_that_are_not_finite_are_named() -> None:
    where = mask()
    with pytest.raises(BrokenData, match=re.escape(f"patterns have 9 channels, the mask has {where.n_voxels} voxels")):
        search(patterns(9), where)
    data = patterns(where.n_voxels)
    data.measurements[4, 11] = np.nan
    with pytest.raises(BrokenData, match=re.escape("channel 11 of condition 's4' is nan (data set sub-01)")):
        search(data, where)
    data.measurements[4, 11] = -1.0
    with pytest.raises(BrokenData, match="a rate is negative"):
        search(dataset(data.measurements[:N], IDS), where, method="poisson")
    still = residuals(where.n_voxels)
    still[1][:, 5] = 2.0
    with pytest.raises(BrokenData, match="residuals of channel 5 do not vary"):
        search(patterns(where.n_voxels), where, method="crossnobis", noise=still)


def test_voxels_outside_the_mask_are_never_used(tmp_path: Path) -> None:
    where = mask()
    data = patterns(where.n_voxels)
    maps = []
    for fill in (0.0, np.nan):
        volumes = np.moveaxis(where.unfold(data.measurements.astype(np.float32), fill), 0, -1)
        nib.save(nib.Nifti1Image(volumes, where.affine), tmp_path / "betas.nii")
        nib.save(nib.Nifti1Image(where.volume.astype(np.uint8), where.affine), tmp_path / "mask.nii")
        rows, inside = read_rows(tmp_path / "betas.nii", tmp_path / "mask.nii")
        read = dataset(rows, data.obs_descriptors["stimulus"], run=data.obs_descriptors["run"])
        maps.append(search(read, inside, method="crossnobis").value)
    np.testing.assert_array_equal(*maps)
    np.testing.assert_allclose(maps[0], search(data, where, method="crossnobis").value, atol=1e-4)
    assert np.isfinite(maps[0]).any()


def test_nothing_is_warned_of_without_cause() -> None:
    where = mask()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = search(patterns(where.n_voxels), where)
    assert found.names == ("m0", "m1")
    assert set(found.maps(1)) == {"value", "null_mean", "null_high", "p", "p_max", "n_voxels"}
