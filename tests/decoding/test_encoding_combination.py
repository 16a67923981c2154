"""Oracles: planted experts, a numerical gradient."""

import numpy as np
import pytest
from plasticode.datasets.errors import WrongArgument
from plasticode.decoding.encoding_combination import _loss, combined, fit_weights
from plasticode.decoding.identification import top_pairs
from scipy.optimize import check_grad


def experts(seed, n=30):
    """Two independent noisy views of the truth, the second on another scale, and one that knows nothing."""
    rng = np.random.default_rng(seed)
    views = [2.0 * np.eye(n) + rng.normal(size=(n, n)), 100 * (2.0 * np.eye(n) + rng.normal(size=(n, n)))]
    return np.stack([*views, rng.normal(size=(n, n))])


def test_two_experts_together_beat_each_and_ignorance_gets_no_say():
    weights = fit_weights([experts(seed) for seed in range(20)])
    assert weights[0] == pytest.approx(100 * weights[1], rel=0.3)
    assert weights[2] < 0.1 * weights[0]
    new = [experts(seed) for seed in range(100, 130)]
    alone, both = (
        np.mean([np.diag(top_pairs(score, 1)).mean() for score in scores])
        for scores in ([one[0] for one in new], [combined(one, weights) for one in new])
    )
    assert both > alone + 0.1


def test_the_gradient_is_that_of_the_loss():
    stories = [experts(seed, 6) / np.array([1, 100, 1])[:, None, None] for seed in range(3)]
    at = np.array([0.3, 0.7, 0.1])
    assert check_grad(lambda w: _loss(w, stories)[0], lambda w: _loss(w, stories)[1], at) < 1e-5


def test_adding_a_constant_to_a_window_changes_no_combination():
    scores, weights = experts(0, 5), np.array([1.0, 0.01, 0.5])
    moved = scores + np.random.default_rng(2).normal(size=(3, 5, 1))
    np.testing.assert_allclose(combined(moved, weights), combined(scores, weights), atol=1e-9)


def test_an_expert_that_is_always_right_keeps_a_finite_weight():
    assert np.isfinite(fit_weights([np.eye(6)[None]])).all()


def test_scores_that_are_not_finite_are_refused():
    for stories in ([], [np.full((1, 2, 2), np.nan)]):
        with pytest.raises(WrongArgument, match="no story, or a score that is not finite"):
            fit_weights(stories)
