"""Oracles: scipy's orthogonal Procrustes solution and its `spatial.procrustes`, invariances, the axioms of a metric."""

from __future__ import annotations

import numpy as np
import pytest
from plasticode.analysis import procrustes as module
from plasticode.analysis.procrustes import procrustes
from scipy.linalg import orthogonal_procrustes
from scipy.spatial import procrustes as scipys
from scipy.stats import ortho_group


def patterns(seed: int, n: int = 7, channels: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, channels))


def standard(x: np.ndarray, channels: int) -> np.ndarray:
    x = x - x.mean(axis=0)
    return np.pad(x / np.linalg.norm(x), ((0, 0), (0, channels - x.shape[1])))


@pytest.mark.parametrize("channels", [(5, 5), (3, 12), (9, 4)])
def test_the_distance_is_what_the_best_rotation_leaves(channels: tuple[int, int]) -> None:
    x, y = patterns(0, channels=channels[0]), patterns(1, channels=channels[1])
    a, b = (standard(values, max(channels)) for values in (x, y))
    rotation, _ = orthogonal_procrustes(b, a)
    np.testing.assert_allclose(procrustes([x], [y]).item(), np.linalg.norm(a - b @ rotation), atol=1e-12)


def test_scipys_disparity_follows_from_it() -> None:
    x, y = patterns(2), patterns(3)
    overlap = 1 - procrustes([x], [y]).item() ** 2 / 2
    np.testing.assert_allclose(scipys(x, y)[2], 1 - overlap**2, atol=1e-12)


def test_rotation_reflection_scale_and_shift_leave_no_distance() -> None:
    x, y = patterns(4), patterns(5)
    turned = 0.2 * x @ ortho_group.rvs(5, random_state=6) @ np.diag([1, 1, 1, 1, -1]) - np.arange(5.0)
    np.testing.assert_allclose(procrustes([turned], [x]), 0, atol=1e-7)
    np.testing.assert_allclose(procrustes([turned], [y]), procrustes([x], [y]), atol=1e-12)


def test_it_is_a_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", 1)  # a model at a time
    sets = [patterns(seed, n=6, channels=2 + seed % 5) for seed in range(12)]
    found = procrustes(sets, sets)
    np.testing.assert_allclose(found, found.T, atol=1e-12)
    np.testing.assert_allclose(np.diag(found), 0, atol=1e-7)
    assert (found[:, :, None] <= found[:, None] + found.T[None] + 1e-7).all()
    assert found.max() <= np.sqrt(2)


def test_patterns_without_a_common_direction_are_as_far_as_can_be() -> None:
    contrasts = np.linalg.qr(np.column_stack([np.ones(6), patterns(7, n=6)]))[0][:, 1:]
    np.testing.assert_allclose(procrustes([contrasts[:, :2]], [contrasts[:, 2:4]]), np.sqrt(2), atol=1e-12)
