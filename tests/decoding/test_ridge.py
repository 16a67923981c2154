"""Oracles: himalaya, responses that are a planted linear map of the text, noise, and delays shifted by hand."""

import numpy as np
import pytest
from himalaya.ridge import RidgeCV
from plasticode.datasets.study import Responses
from plasticode.decoding.identification import top_pairs
from plasticode.decoding.ridge import PENALTIES, Ridge, delayed
from sklearn.model_selection import LeaveOneGroupOut

STARTS, ROWS = tuple(range(0, 75, 5)), 5


@pytest.fixture
def features(tiny):
    return tiny.features()


def mixed(tiny, features, story, noise, channels=12):
    """Text features, two rows late, through a fixed random map."""
    heard = tiny.heard(tiny.run(story=story, n_rows=80, seed=sum(map(ord, story))), features, noise)
    through = np.random.default_rng(0).normal(size=(7, channels))
    return tiny.run(story=story, responses=(heard.responses[:] @ through).astype(np.float32), words=heard.words)


def top1(ridge, run):
    return np.diag(top_pairs(ridge.similarity(run, STARTS, ROWS), 1)).mean()


@pytest.mark.parametrize("channels", [12, 80])  # fewer and more delayed channels than rows
def test_a_planted_linear_map_identifies_every_window(tiny, features, channels):
    fitted = Ridge(features).fit([mixed(tiny, features, story, 0.1, channels) for story in "abc"])
    assert top1(fitted, mixed(tiny, features, "d", 0.1, channels)) == 1.0


def test_it_is_himalayas_ridge_with_each_story_left_out(tiny, features):
    runs = [mixed(tiny, features, story, 3.0) for story in "abcd"]
    x = np.concatenate([delayed(run.responses, (1, 2, 3, 4)) for run in runs])
    y = np.concatenate([features.of(run).features for run in runs])
    folds = list(LeaveOneGroupOut().split(x, groups=np.repeat(np.arange(4), 80)))
    theirs = RidgeCV(alphas=PENALTIES, cv=folds).fit(x, y)
    late = delayed(mixed(tiny, features, "e", 3.0).responses, (1, 2, 3, 4))
    np.testing.assert_allclose(Ridge(features).fit(runs).predict(late), theirs.predict(late), atol=1e-4)


def test_noise_identifies_at_chance(tiny, features):
    fitted = Ridge(features).fit([tiny.run(story=story, n_rows=80, seed=i) for i, story in enumerate("abc")])
    found = [top1(fitted, tiny.run(story="d", n_rows=80, seed=100 + seed)) for seed in range(30)]
    # 450 windows at 1 in 15: the mean lies within 3.5 standard errors of chance.
    assert np.mean(found) == pytest.approx(1 / 15, abs=3.5 * np.sqrt(14 / 15**2 / 450))


def test_a_delay_that_is_not_looked_at_is_not_found(tiny, features):
    runs = [mixed(tiny, features, story, 0.1) for story in "abcd"]
    fitted = Ridge(features, delays=(4, 5)).fit(runs[:3])
    assert top1(fitted, runs[3]) < 0.5


def test_delays_stand_side_by_side_with_zeros_past_the_end():
    rows = np.arange(1, 11, dtype=np.float32).reshape(5, 2)
    found = delayed(Responses(rows), (1, 3))
    np.testing.assert_array_equal(found, [[3, 4, 7, 8], [5, 6, 9, 10], [7, 8, 0, 0], [9, 10, 0, 0], [0, 0, 0, 0]])


def test_one_training_run_is_enough(tiny, features):
    fitted = Ridge(features).fit([mixed(tiny, features, "a", 0.1)])
    assert top1(fitted, mixed(tiny, features, "d", 0.1)) > 0.8


def test_similarity_does_not_move_when_a_constant_is_added_to_the_responses(tiny, features):
    runs = [mixed(tiny, features, story, 0.1) for story in "ab"]
    fitted = Ridge(features).fit(runs[:1])
    # The last delays see zeros past the end, so that only windows away from it are compared.
    shifted = tiny.run(story="b", responses=runs[1].responses[:] + 5, words=runs[1].words)
    found, moved = (fitted.similarity(run, STARTS[:12], ROWS) for run in (runs[1], shifted))
    np.testing.assert_allclose(moved, found, atol=1e-3)
