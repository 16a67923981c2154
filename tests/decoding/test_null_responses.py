"""Oracles: numpy's spectra and covariances before and after, scipy's correlation, the responses themselves."""

from dataclasses import replace

import numpy as np
import pytest
from plasticode.datasets.study import Responses
from plasticode.decoding import null_responses
from plasticode.decoding.null_responses import in_place_of, noise_input, phase_randomised, time_reversed, zero_input


def coloured(time, channels, seed=0):
    """Slow channels that have much in common."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(time + 8, channels)) @ rng.normal(size=(channels, channels))
    return np.stack([np.convolve(column, np.ones(9) / 3, "valid") for column in noise.T], axis=1).astype(np.float32)


def surrogate(responses, seed=0):
    return phase_randomised(responses, np.random.default_rng(seed))


@pytest.mark.parametrize("time", [300, 301])
def test_random_phases_keep_every_power_spectrum_to_1e_5(time):
    responses = coloured(time, 6)
    before, after = (np.abs(np.fft.rfft(x.astype(np.float64), axis=0)) ** 2 for x in (responses, surrogate(responses)))
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5 * before.max())


@pytest.mark.parametrize("time", [300, 301])
def test_random_phases_keep_the_covariance_of_all_channels_at_every_lag(time):
    responses = coloured(time, 5)
    other = surrogate(responses)
    for lag in (0, 1, 7):
        before, after = (x.T.astype(np.float64) @ np.roll(x, lag, axis=0) / time for x in (responses, other))
        np.testing.assert_allclose(after, before, atol=1e-4 * np.abs(before).max())
    np.testing.assert_allclose(other.mean(axis=0), responses.mean(axis=0), atol=1e-5)


def test_random_phases_destroy_the_pairing():
    responses = coloured(400, 4)
    r = [
        np.corrcoef(responses[:, channel], surrogate(responses, seed)[:, channel])[0, 1]
        for seed in range(100)
        for channel in range(4)
    ]
    assert abs(np.mean(r)) < 0.03
    assert np.max(np.abs(r)) < 0.8


def test_two_draws_have_nothing_to_do_with_each_other_and_one_is_the_same_twice(tiny):
    run = tiny.run(n_rows=100)
    first, again, second = (noise_input(run, draw).responses[:] for draw in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.3
    hearing = noise_input(replace(run, session="2"), 0).responses[:]
    assert abs(np.corrcoef(first.ravel(), hearing.ravel())[0, 1]) < 0.3


def test_channels_that_are_done_apart_turn_together(monkeypatch):
    responses = coloured(50, 7)
    whole = surrogate(responses)
    monkeypatch.setattr(null_responses, "CHANNELS_AT_ONCE", 3)
    np.testing.assert_array_equal(surrogate(responses), whole)


def test_a_null_keeps_everything_of_a_run_but_its_responses(tiny):
    run = tiny.run(mask=tiny.mask())
    for made in (zero_input(run), time_reversed(run), noise_input(run, 3)):
        assert (made.key, made.words, made.responses.shape) == (run.key, run.words, run.responses.shape)
        assert made.responses.mask is run.responses.mask
    assert not zero_input(run).responses[:].any()
    np.testing.assert_array_equal(time_reversed(run).responses[:], run.responses[:][::-1])


@pytest.mark.parametrize("rows", [50, 60, 70])
def test_another_brain_takes_the_place_of_the_person_s_own(tiny, rows):
    run, other = tiny.run(), tiny.run("S2", n_rows=rows, seed=1, mask=tiny.mask())
    made = in_place_of(run, other)
    assert (made.subject, made.words, made.responses.n_rows) == ("S1", run.words, 60)
    assert made.responses.mask is other.responses.mask
    both = min(rows, 60)
    np.testing.assert_array_equal(made.responses[0:both], other.responses[0:both])
    assert not made.responses[both:60].any()


def test_a_constant_recording_stays_as_it_is(tiny):
    run = replace(tiny.run(), responses=Responses(np.ones((60, 3), np.float32)))
    np.testing.assert_allclose(noise_input(run, 0).responses[:], 1, atol=1e-6)
