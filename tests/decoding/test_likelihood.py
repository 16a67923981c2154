"""Oracles: scipy.stats.multivariate_normal on the dense covariance; one pair at a time; planted covariances."""

import numpy as np
import pytest
from plasticode.datasets.errors import BrokenData, WrongArgument
from plasticode.decoding.likelihood import log_likelihood, own_log_likelihood
from plasticode.decoding.noise_covariance import NoiseCovariance, channel_covariance, fit_noise
from scipy.stats import multivariate_normal
from sklearn.covariance import ledoit_wolf

ROWS, CHANNELS = 3, 4


def residuals(n=400, seed=0, memory=0.6):
    """Autoregressive noise, each component with a memory of its own, mixed over channels."""
    rng = np.random.default_rng(seed)
    decay = memory * np.array([1, 0.5, 0, -0.5])
    rows = [rng.normal(size=CHANNELS)]
    for _ in range(n - 1):
        rows.append(decay * rows[-1] + np.sqrt(1 - decay**2) * rng.normal(size=CHANNELS))
    return (np.array(rows) @ np.random.default_rng(9).normal(size=(CHANNELS, CHANNELS))).astype(np.float32)


def windows(series, rows=ROWS):
    return np.lib.stride_tricks.sliding_window_view(series, rows, axis=0).transpose(0, 2, 1).copy()


@pytest.fixture
def noise():
    stories = [residuals(seed=seed) for seed in range(3)]
    return fit_noise(stories, [windows(story) for story in stories])


def test_likelihood_of_every_pair_is_scipys(noise):
    rng = np.random.default_rng(1)
    observed, predicted = (rng.normal(size=(n, ROWS, CHANNELS)).astype(np.float32) for n in (5, 7))
    found = log_likelihood(observed, predicted, noise)
    for i, y in enumerate(observed):
        for j, mean in enumerate(predicted):
            expected = multivariate_normal(mean.ravel(), noise.dense()).logpdf(y.ravel())
            assert found[i, j] == pytest.approx(expected, rel=1e-6)


def test_hypotheses_of_each_window_score_as_candidates_do(noise):
    rng = np.random.default_rng(2)
    observed, own = rng.normal(size=(4, ROWS, CHANNELS)), rng.normal(size=(4, 6, ROWS, CHANNELS))
    expected = [log_likelihood(observed[i : i + 1], own[i], noise)[0] for i in range(4)]
    np.testing.assert_allclose(own_log_likelihood(observed, own, noise), expected, rtol=1e-9)


def test_the_order_of_windows_and_candidates_changes_nothing(noise):
    rng = np.random.default_rng(3)
    observed, predicted = rng.normal(size=(5, ROWS, CHANNELS)), rng.normal(size=(7, ROWS, CHANNELS))
    i, j = rng.permutation(5), rng.permutation(7)
    found = log_likelihood(observed[i], predicted[j], noise)
    np.testing.assert_allclose(found, log_likelihood(observed, predicted, noise)[i][:, j], rtol=1e-9)


def test_whitened_noise_has_the_identity_as_covariance(noise):
    flat = windows(residuals(60_000, seed=7)).astype(np.float64)[::ROWS]
    white = noise.whiten(flat)
    np.testing.assert_allclose(white.T @ white / len(white), np.eye(ROWS * CHANNELS), atol=0.25)


def test_the_whole_covariance_is_recovered(noise):
    flat = windows(residuals(60_000, seed=8)).astype(np.float64).reshape(-1, ROWS * CHANNELS)
    true = flat.T @ flat / len(flat)
    assert np.abs(noise.dense() - true).max() < 0.25 * np.abs(true).max()


def test_a_window_that_is_cut_short_has_the_marginal_likelihood(noise):
    rng = np.random.default_rng(4)
    observed, predicted = rng.normal(size=(3, 2, CHANNELS)), rng.normal(size=(3, 2, CHANNELS))
    marginal = noise.dense()[: 2 * CHANNELS, : 2 * CHANNELS]
    np.testing.assert_allclose(noise.first(2).dense(), marginal, atol=1e-9)
    expected = multivariate_normal(predicted[0].ravel(), marginal).logpdf(observed[0].ravel())
    assert log_likelihood(observed, predicted, noise.first(2))[0, 0] == pytest.approx(expected)


def test_without_memory_rows_are_independent():
    stories = [residuals(seed=seed) for seed in range(2)]
    noise = fit_noise(stories, [windows(story) for story in stories], memory=0.0)
    blocks = noise.dense().reshape(ROWS, CHANNELS, ROWS, CHANNELS)
    assert np.abs(blocks[0, :, 1]).max() < 1e-12
    assert np.abs(blocks[0, :, 0]).max() > 0.1


def test_shrinkage_is_ledoit_and_wolfs_or_as_given():
    rows = residuals()
    np.testing.assert_allclose(channel_covariance([rows]), ledoit_wolf(rows, assume_centered=True)[0], rtol=1e-4)
    whole = channel_covariance([rows], 1.0)
    np.testing.assert_allclose(whole, np.eye(CHANNELS) * (rows.astype(float) ** 2).mean(), rtol=1e-5)
    np.testing.assert_allclose(channel_covariance([rows], 0.0), rows.T @ rows / len(rows), rtol=1e-4)


def test_what_cannot_be_is_refused():
    series = [residuals()]
    with pytest.raises(WrongArgument, match=r"shrinkage 2\.0, memory 1\.0 \(noise\)\. Give shares from 0 to 1"):
        fit_noise(series, [windows(series[0])], shrinkage=2.0)
    for value in (np.nan, 0.0):
        broken = series[0].copy()
        broken[:, 1] = value
        with pytest.raises(BrokenData, match="not finite, or a channel never moves"):
            fit_noise([broken], [windows(broken)])


def test_a_covariance_is_rebuilt_from_its_parts(noise):
    again = NoiseCovariance(noise.basis, noise.rows)
    assert again.log_determinant() == pytest.approx(np.linalg.slogdet(noise.dense())[1])


@pytest.mark.parametrize("memory", [0.0, 0.4, 1.0])
def test_memory_can_be_changed_after_the_fit(noise, memory):
    stories = [residuals(seed=seed) for seed in range(3)]
    expected = fit_noise(stories, [windows(story) for story in stories], memory=memory)
    np.testing.assert_allclose(noise.with_memory(memory).dense(), expected.dense(), atol=1e-9)
