"""Oracles: a planted rotation, a planted shared series, and ridge regression written out."""

from __future__ import annotations

import numpy as np
import pytest
from plasticode.datasets.errors import WrongArgument
from plasticode.decoding.person_alignment import Alignment, ProcrustesAlignment, RidgeAlignment, SharedResponse
from scipy.stats import ortho_group

RANDOM = np.random.default_rng(0)
ROTATION = ortho_group.rvs(8, random_state=1)


def stretches(values: np.ndarray) -> list[np.ndarray]:
    return [values[:150], values[150:280], values[280:]]


@pytest.mark.parametrize("how", [RidgeAlignment(), ProcrustesAlignment(), SharedResponse(n_features=8)], ids=str)
def test_a_planted_rotation_is_recovered(how: Alignment) -> None:
    space = RANDOM.normal(size=(400, 8))
    own = space @ ROTATION.T + 0.01 * RANDOM.normal(size=space.shape)
    found = how.fit(stretches(own), stretches(space))
    np.testing.assert_allclose(found, ROTATION, atol=0.05)


def test_ridge_is_the_closed_form_at_the_penalty_that_predicts_left_out_stretches_best() -> None:
    space = RANDOM.normal(size=(400, 8))
    own = space @ ROTATION.T + 2 * RANDOM.normal(size=space.shape)
    penalties = (1.0, 300.0, 1e6)
    found = RidgeAlignment(penalties).fit(stretches(own), stretches(space))
    solved = [np.linalg.solve(own.T @ own + one * np.eye(8), own.T @ space) for one in penalties]
    np.testing.assert_allclose(found, solved[1], rtol=1e-6)


def test_a_shared_series_among_private_ones_is_found() -> None:
    shared = RANDOM.normal(size=(400, 3)) * 3
    bases = [ortho_group.rvs(10, random_state=seed)[:, :3] for seed in (2, 3)]
    own, space = (shared @ basis.T + RANDOM.normal(size=(400, 10)) * 0.3 for basis in bases)
    found = SharedResponse(n_features=3).fit(stretches(own), stretches(space))
    np.testing.assert_allclose(found, bases[0] @ bases[1].T, atol=0.05)
    np.testing.assert_allclose(own @ found, shared @ bases[1].T, atol=1.6)


@pytest.mark.parametrize("how", [RidgeAlignment(), ProcrustesAlignment(), SharedResponse()], ids=str)
def test_people_may_have_different_numbers_of_channels(how: Alignment) -> None:
    space = RANDOM.normal(size=(400, 8))
    own = space @ ROTATION.T[:, :6]
    found = how.fit(stretches(own), stretches(space))
    assert found.shape == (6, 8)
    assert np.corrcoef((own @ found).ravel(), space.ravel())[0, 1] > 0.8


def test_ridge_needs_a_stretch_to_leave_out() -> None:
    with pytest.raises(WrongArgument, match=r"1 stretches.*two or more"):
        RidgeAlignment().fit([np.eye(4)], [np.eye(4)])
