"""Oracles: rsatoolbox 0.3.2's `calc_rdm` on the same data, theorems of distances, and the errors that are promised."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plasticode.analysis.rdm import dataset, rdms
from plasticode.datasets.errors import BrokenData, WrongArgument
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs, calc_rdm

N, K = 12, 40
IDS = [f"s{i:02d}" for i in range(N)]
METHODS = ("correlation", "euclidean", "mahalanobis", "poisson")
RTOL = 1e-6


def rates(n: int = N, channels: int = K, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).gamma(2.0, 1.5, (n, channels))


def precision(channels: int = K, seed: int = 1) -> np.ndarray:
    a = np.random.default_rng(seed).standard_normal((channels, 3 * channels))
    return a @ a.T / channels


def noise_for(method: str) -> dict[str, Any]:
    return {"noise": precision()} if method == "mahalanobis" else {}


def theirs(data: Dataset, method: str, **settings: Any) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rsatoolbox casts NaN where it averages
        found: RDMs = calc_rdm(data, method, descriptor="stimulus", **settings)
    return found.dissimilarities[0]


@pytest.mark.parametrize("method", METHODS)
def test_distances_are_those_of_rsatoolbox(method: str) -> None:
    data = dataset(rates(), IDS)
    settings = noise_for(method)
    found = rdms(data, method, **settings)
    np.testing.assert_allclose(found.dissimilarities[0], theirs(data, method, **settings), rtol=RTOL)
    assert found.dissimilarity_measure == calc_rdm(data, method, "stimulus", **settings).dissimilarity_measure


@pytest.mark.parametrize("method", METHODS)
def test_unbalanced_repetitions_are_averaged_as_in_rsatoolbox(method: str) -> None:
    rng = np.random.default_rng(3)
    ids = [*IDS, *IDS[:5], IDS[2]]
    data = dataset(rates(len(ids)), [ids[i] for i in rng.permutation(len(ids))])
    settings = noise_for(method)
    with pytest.warns(UserWarning, match=r"condition 's02' is there 3 times; its observations are averaged"):
        found = rdms(data, method, **settings)
    found.sort_by(stimulus="alpha")
    np.testing.assert_allclose(found.dissimilarities[0], theirs(data, method, **settings), rtol=RTOL)


def test_repetitions_that_runs_explain_are_averaged_without_a_warning() -> None:
    data = dataset(rates(2 * N), IDS * 2, run=np.repeat([0, 1], N))
    np.testing.assert_allclose(rdms(data).dissimilarities[0], theirs(data, "correlation"), rtol=RTOL)


@pytest.mark.parametrize("method", ["correlation", "cosine", "euclidean", "mahalanobis", "poisson", "crossnobis"])
def test_another_order_of_stimuli_permutes_the_rdm_to_the_last_bit(method: str) -> None:
    x, ids, run = rates(2 * N), np.array(IDS * 2), np.repeat([0, 1], N)
    order = np.random.default_rng(5).permutation(2 * N)
    there = rdms(dataset(x, ids, run=run), method)
    moved = rdms(dataset(x[order], ids[order], run=run[order]), method)
    names = list(dict.fromkeys(ids[order].tolist()))
    assert moved.pattern_descriptors["stimulus"] == names
    assert names != IDS
    there.reorder([IDS.index(name) for name in names])
    np.testing.assert_array_equal(moved.dissimilarities, there.dissimilarities)


def test_labels_travel_with_the_numbers() -> None:
    first = dataset(rates(), IDS, name="a", layer="conv1")
    second = dataset(rates(seed=1)[::-1].copy(), IDS[::-1], name="b", layer="conv2")
    second.obs_descriptors["category"] = ["x"] * N
    first.obs_descriptors["category"] = [name[-1] for name in IDS]
    found = rdms([first, second], "euclidean")
    assert found.rdm_descriptors["name"] == ["a", "b"]
    assert found.rdm_descriptors["layer"] == ["conv1", "conv2"]
    assert found.pattern_descriptors["stimulus"] == IDS
    assert found.pattern_descriptors["category"] == [name[-1] for name in IDS]
    np.testing.assert_allclose(found.dissimilarities[1], theirs(second, "euclidean"), rtol=RTOL)


def test_every_rdm_has_a_name_of_its_own() -> None:
    assert rdms([dataset(rates(), IDS), dataset(rates(), IDS)]).rdm_descriptors["name"] == ["rdm 0", "rdm 1"]
    with pytest.raises(BrokenData, match=re.escape("2 data sets have the same name (a). Give each its own.")):
        rdms([dataset(rates(), IDS, name="a"), dataset(rates(), IDS, name="a")])


def test_patterns_mapped_from_disk_are_only_read(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", rates().astype(np.float32))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    data = dataset(mapped, IDS)
    assert data.measurements is mapped
    np.testing.assert_allclose(rdms(data).dissimilarities[0], theirs(data, "correlation"), rtol=RTOL)


def broken(**changes: Any) -> Dataset:
    x = rates()
    x[3, 7] = changes.get("value", x[3, 7])
    if changes.get("constant"):
        x[3] = 0.1
    return dataset(x, IDS, name="sub-01")


@pytest.mark.parametrize(
    ("data", "settings", "message"),
    [
        (broken(value=np.nan), {}, "channel 7 of condition 's03' is nan (data set sub-01)."),
        (broken(value=np.inf), {"method": "euclidean"}, "channel 7 of condition 's03' is inf (data set sub-01)."),
        (broken(constant=True), {}, "the pattern of condition 's03' does not vary over channels (data set sub-01)."),
        (dataset(rates() * 0, IDS), {"method": "cosine"}, "the pattern of condition 's00' is 0 in all channels"),
        (broken(value=-1.0), {"method": "poisson"}, "a rate is negative (data set sub-01)."),
        (dataset(rates() + 1j, IDS), {}, "patterns are of the complex type torch.complex128"),
        (dataset(rates().astype(str), IDS), {}, "patterns are of type <U"),
        (dataset(rates()[:, :0], IDS), {}, "patterns have shape (12, 0)"),
        (dataset(rates()[:3], IDS[:3]), {}, "there are 3 conditions"),
        (Dataset(rates()), {}, "there are no condition ids, only"),
        (
            [dataset(rates(), IDS, name="a"), dataset(rates()[1:], IDS[1:], name="b")],
            {},
            "condition 's00' is not in all",
        ),
        ([], {}, "there are no data sets"),
        (dataset(rates(), IDS), {"method": "crossnobis"}, "crossnobis needs folds, and the observations have no run"),
        (dataset(rates(), IDS, run=[1] * N), {"method": "crossnobis"}, "crossnobis needs two runs or more"),
        (
            dataset(rates(2 * N - 1), (IDS * 2)[:-1], run=np.repeat([1, 2], N)[:-1]),
            {"method": "crossnobis"},
            "run 2 has no condition 's11', which another run has",
        ),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_broken_data_is_told_and_named(data: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(BrokenData, match=re.escape(message)):
        rdms(data, **settings)


@pytest.mark.parametrize(
    ("method", "noise", "message"),
    [
        ("chebyshev", None, "no distance 'chebyshev'"),
        ("correlation", np.eye(K), "correlation takes no noise"),
        ("mahalanobis", [np.eye(K)], "mahalanobis takes one noise precision"),
        ("mahalanobis", np.eye(K - 1), "the noise precision has shape (39, 39), not (40, 40)"),
        ("mahalanobis", -np.eye(K), "the noise precision has a negative eigenvalue, -1"),
        ("mahalanobis", np.triu(np.ones((K, K))), "the noise precision is not symmetric"),
        ("mahalanobis", np.full((K, K), np.nan), "the noise precision holds values that are complex or not finite"),
        ("crossnobis", [np.eye(K)], "there are 1 noise precisions for 2 folds"),
        ("crossnobis", {1: np.eye(K)}, "there is no noise precision for run 2"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(method: str, noise: Any, message: str) -> None:
    data = dataset(rates(2 * N), IDS * 2, run=np.repeat([1, 2], N))
    with pytest.raises(WrongArgument, match=re.escape(message)):
        rdms(data, method, noise=noise)


def test_ids_and_patterns_are_counted() -> None:
    with pytest.raises(BrokenData, match="there are 3 ids for 12 patterns"):
        dataset(rates(), IDS[:3])
    with pytest.raises(BrokenData, match="there are 2 runs for 12 patterns"):
        dataset(rates(), IDS, run=[1, 2])


def test_nothing_is_warned_of_without_cause() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rdms(dataset(torch.from_numpy(rates()), IDS))
