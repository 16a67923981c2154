"""Oracles: scipy's `pdist` in double precision, invariances of distances, and a result chunked otherwise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from plasticode.analysis import pattern_blocks, squared_distances
from plasticode.analysis.distances import dissimilarities
from plasticode.datasets.errors import BrokenData
from scipy.spatial.distance import pdist

RTOL = 1e-6
SCIPY = {"correlation": ("correlation", 1.0), "cosine": ("cosine", 1.0), "euclidean": ("sqeuclidean", 60.0)}
METHODS = (*SCIPY, "mahalanobis", "poisson")


def normal(n: int = 30, channels: int = 60, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, channels))


def by_scipy(x: np.ndarray, method: str) -> np.ndarray:
    name, divisor = SCIPY[method]
    return pdist(np.asarray(x, np.float64), name) / divisor


@pytest.mark.parametrize("method", SCIPY)
def test_distances_are_those_of_scipy(method: str) -> None:
    np.testing.assert_allclose(dissimilarities(normal(), method), by_scipy(normal(), method), rtol=RTOL)


@pytest.mark.parametrize("method", ["correlation", "euclidean"])
def test_a_large_mean_over_a_small_variance_costs_no_digits(method: str) -> None:
    x = 1e6 + 1e-3 * normal()
    about = x - x.mean(0) if method == "euclidean" else x - x.mean(1, keepdims=True)
    np.testing.assert_allclose(dissimilarities(x, method), by_scipy(about, method), rtol=RTOL)


@pytest.mark.parametrize("method", SCIPY)
@pytest.mark.parametrize("apart", [1e-1, 1e-3, 1e-4])
def test_patterns_that_are_nearly_alike_keep_six_digits(method: str, apart: float) -> None:
    centres = normal(6)[np.arange(30) % 6]  # clusters, so that what all share is no help
    x = centres + apart * normal(seed=1)
    wanted = ((x[:, None] - x[None]) ** 2).sum(-1) / 60 if method == "euclidean" else None
    if wanted is None:
        z = x - x.mean(1, keepdims=True) if method == "correlation" else x
        z = z / np.linalg.norm(z, axis=1, keepdims=True)
        wanted = ((z[:, None] - z[None]) ** 2).sum(-1) / 2
    np.testing.assert_allclose(dissimilarities(x, method), wanted[np.triu_indices(30, 1)], rtol=RTOL)


def test_one_near_pair_is_computed_again_in_double(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(squared_distances, "TALLEST", 8)
    x = normal(400, 300)
    x[7] = x[390] + 1e-4 * x[8]
    found = dissimilarities(x, "euclidean").numpy()
    wanted = pdist(x, "sqeuclidean") / 300
    np.testing.assert_allclose(found, wanted, rtol=RTOL)


@pytest.mark.parametrize("method", METHODS)
def test_a_pattern_is_at_distance_0_from_its_copy_and_no_distance_is_negative(method: str) -> None:
    x = np.abs(normal())
    x[4] = x[9]
    found = dissimilarities(x, method, noise=np.eye(60) if method == "mahalanobis" else None).numpy()
    assert found.min() >= 0
    np.testing.assert_allclose(found[np.argmin(found)], 0, atol=1e-14)
    assert found.argmin() == 4 * (60 - 4 - 1) // 2 + 9 - 4 - 1


@pytest.mark.parametrize("method", METHODS)
def test_chunks_of_any_size_give_the_same(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.abs(normal(30, 200))
    noise = np.diag(np.linspace(1, 2, 200)) if method == "mahalanobis" else None
    whole = dissimilarities(x, method, noise=noise)
    monkeypatch.setattr(pattern_blocks, "VALUES", 1)
    monkeypatch.setattr(pattern_blocks, "FEWEST", 7)
    monkeypatch.setattr(squared_distances, "DEPTH", 20)
    parts = dissimilarities(x, method, noise=noise, chunk=64 * 30)
    np.testing.assert_allclose(parts, whole, rtol=RTOL)


@pytest.mark.parametrize("method", ["cosine", "euclidean"])
def test_a_rotation_of_the_channels_changes_nothing(method: str) -> None:
    turn = np.linalg.qr(normal(60, 60))[0]
    np.testing.assert_allclose(dissimilarities(normal() @ turn, method), dissimilarities(normal(), method), rtol=2e-6)


def test_correlation_ignores_gain_and_offset_of_each_pattern() -> None:
    moved = normal() * np.linspace(0.5, 9, 30)[:, None] + np.linspace(-5, 5, 30)[:, None]
    np.testing.assert_allclose(dissimilarities(moved), dissimilarities(normal()), rtol=2e-6)


def test_mahalanobis_is_euclidean_after_whitening() -> None:
    factor = normal(60, 60)
    found = dissimilarities(normal(), "mahalanobis", noise=factor @ factor.T)
    np.testing.assert_allclose(found, by_scipy(normal() @ factor, "euclidean"), rtol=RTOL)


def test_a_precision_that_leaves_directions_out_is_taken() -> None:
    factor = normal(60, 3)
    found = dissimilarities(normal(), "mahalanobis", noise=factor @ factor.T)
    np.testing.assert_allclose(found, by_scipy(normal() @ factor, "euclidean"), rtol=1e-5, atol=1e-9)


KINDS = {
    "float16": lambda x: x.astype(np.float16),
    "bfloat16": lambda x: torch.from_numpy(x).bfloat16(),
    "float32": lambda x: x.astype(np.float32),
    "big-endian": lambda x: x.astype(">f4"),
    "int16": lambda x: (100 * x).astype(np.int16),
    "bool": lambda x: x > 0,
    "transposed": lambda x: np.asfortranarray(x),
    "strided": lambda x: np.repeat(np.repeat(x, 2, 0), 3, 1)[::2, ::3],
    "backwards": lambda x: np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1],
    "needs gradients": lambda x: torch.from_numpy(x).requires_grad_(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_real_type_and_layout_gives_the_distances_of_its_values(kind: str) -> None:
    x = KINDS[kind](normal())
    values = x.detach().double().numpy() if isinstance(x, torch.Tensor) else np.asarray(x, np.float64)
    found = dissimilarities(x, "correlation")
    assert not found.requires_grad
    np.testing.assert_allclose(found, by_scipy(values, "correlation"), rtol=RTOL)


def test_arrays_mapped_from_disk_are_read_without_a_warning(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", normal())
    found = dissimilarities(np.load(tmp_path / "x.npy", mmap_mode="r"), "cosine")
    np.testing.assert_allclose(found, by_scipy(normal(), "cosine"), rtol=RTOL)


def test_a_user_who_lets_torch_round_products_gets_no_rounded_distances() -> None:
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        found = dissimilarities(normal(300, 500)).numpy()
    finally:
        torch.set_float32_matmul_precision(before)
    np.testing.assert_allclose(found, pdist(normal(300, 500), "correlation"), rtol=RTOL)


def test_one_condition_has_no_distance() -> None:
    with pytest.raises(BrokenData, match=r"there are 1 condition\(s\)"):
        dissimilarities(normal(1))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("method", SCIPY)
def test_the_gpu_gives_the_same(method: str) -> None:
    x = torch.from_numpy(normal(300, 60)).cuda()
    found = dissimilarities(x, method, device="cuda")
    assert found.is_cuda
    np.testing.assert_allclose(found.cpu(), by_scipy(x.cpu().numpy(), method), rtol=RTOL)
