"""Oracles: explicit refits without each story, scikit-learn's ridge, himalaya's cross-validation over stories."""

import numpy as np
import pytest
from himalaya.ridge import RidgeCV
from himalaya.scoring import l2_neg_loss
from plasticode.decoding.encoding_ridge import StoryRidge, best_channels, best_penalties, squares
from sklearn.linear_model import Ridge

LENGTHS = (12, 30, 21, 17)
PENALTIES = (0.1, 3.0, 40.0, 1e4)


@pytest.fixture
def stories():
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(n, 6)).astype(np.float32) for n in LENGTHS]
    through = rng.normal(size=(6, 5)) * [0, 0.1, 0.5, 1, 3]
    y = [(story @ through + rng.normal(size=(len(story), 5))).astype(np.float32) for story in x]
    return x, y


def refits(x, y, penalty):
    """Weights without each story."""
    for left in range(len(x)):
        rest = [i for i in range(len(x)) if i != left]
        model = Ridge(alpha=np.broadcast_to(penalty, y[0].shape[1]), fit_intercept=False)
        yield model.fit(np.concatenate([x[i] for i in rest]), np.concatenate([y[i] for i in rest])).coef_.T


@pytest.mark.parametrize("penalty", PENALTIES)
def test_left_out_residuals_are_those_of_explicit_refits(stories, penalty):
    x, y = stories
    found = StoryRidge.of(x).residuals(y, penalty)
    for own_x, own_y, residual, weights in zip(x, y, found, refits(x, y, penalty), strict=True):
        np.testing.assert_allclose(residual, own_y - own_x @ weights, atol=1e-4)


def test_left_out_weights_are_those_of_explicit_refits_with_a_penalty_per_channel(stories):
    x, y = stories
    penalty = np.array([0.1, 40.0, 3.0, 40.0, 0.1])
    ridge = StoryRidge.of(x)
    for found, expected in zip(ridge.weights_left_out(y, penalty), refits(x, y, penalty), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)
    for own_x, own_y, left, weights in zip(x, y, ridge.left_out(y, penalty), refits(x, y, penalty), strict=True):
        np.testing.assert_allclose(left, own_y - own_x @ weights, atol=1e-4)


def test_weights_are_scikit_learns(stories):
    x, y = stories
    penalty = np.array([0.1, 40.0, 3.0, 1e4, 0.1])
    expected = Ridge(alpha=penalty, fit_intercept=False).fit(np.concatenate(x), np.concatenate(y)).coef_.T
    np.testing.assert_allclose(StoryRidge.of(x).weights(y, penalty), expected, atol=1e-4)


def test_penalties_are_those_that_himalaya_chooses(stories):
    x, y = stories
    # himalaya weighs stories alike, we weigh rows alike: in stories of one length that is the same.
    same = [story[:12] for story in x], [story[:12] for story in y]
    at = np.repeat(np.arange(4), 12)
    folds = [(np.flatnonzero(at != i), np.flatnonzero(at == i)) for i in range(4)]
    model = RidgeCV(PENALTIES, cv=folds, fit_intercept=False, solver_params={"score_func": l2_neg_loss})
    model.fit(*(np.concatenate(part).astype(np.float64) for part in same))
    ours = StoryRidge.of(same[0])
    found = best_penalties(ours.errors(same[1], PENALTIES), PENALTIES)
    np.testing.assert_allclose(found, model.best_alphas_, rtol=1e-6)


def test_channels_that_are_best_predicted_are_kept_in_order(stories):
    x, y = stories
    errors = StoryRidge.of(x).errors(y, PENALTIES)
    assert best_channels(errors, y, 2).tolist() == [3, 4]
    assert best_channels(errors, y, 99).tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(squares(y), (np.concatenate(y) ** 2).sum(axis=0), rtol=1e-5)


def test_the_number_of_channels_at_once_changes_nothing(stories, monkeypatch):
    x, y = stories
    whole = StoryRidge.of(x).errors(y, PENALTIES)
    monkeypatch.setattr("plasticode.decoding.encoding_ridge.CHANNELS_AT_ONCE", 2)
    np.testing.assert_allclose(StoryRidge.of(x).errors(y, PENALTIES), whole, rtol=1e-6)
