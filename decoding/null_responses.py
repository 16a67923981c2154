"""Recordings that hold nothing of their story: what is put in place of a run's responses, its words as they are.

Each null keeps more of a recording than the one before: nothing (zero), every spectrum and covariance (noise input),
every sample but in the wrong order (time-reversed), a brain that heard the same story (another person's).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Float32

from ..datasets.study import Responses, Run

CHANNELS_AT_ONCE = 4096


def zero_input(run: Run) -> Run:
    """The run with 0 everywhere, the mean of z-scored responses."""
    return _with(run, np.zeros(run.responses.shape, np.float32))


def time_reversed(run: Run) -> Run:
    """The run with its last row first."""
    return _with(run, run.responses[0 : run.responses.n_rows][::-1])


def noise_input(run: Run, draw: int) -> Run:
    """The run with randomised phases (see `phase_randomised`), others in every draw and recording."""
    rng = np.random.default_rng([draw, *run.key.encode()])
    return _with(run, phase_randomised(run.responses[0 : run.responses.n_rows], rng))


def in_place_of(run: Run, other: Run) -> Run:
    """The run with the responses of another person, cut or filled with 0 to its length.

    The model is told that they are the run's own person's.
    """
    rows = other.responses.padded(0, run.responses.n_rows)
    return replace(run, responses=Responses(rows, other.responses.mask))


def phase_randomised(
    responses: Float[np.ndarray, "time channel"], rng: np.random.Generator
) -> Float32[np.ndarray, "time channel"]:
    """Surrogate with the same spectrum of every channel and the same cross-spectra of all (Prichard & Theiler, 1994).

    One random phase per frequency is added to all channels alike, which leaves their covariance at every lag (in a
    circle) as it is. Mean and, where there is one, the highest frequency are real: the one stays, the other's sign is
    drawn.
    """
    time, channels = responses.shape
    turn = np.exp(2j * np.pi * rng.random(time // 2 + 1))
    turn[0] = 1
    if time % 2 == 0:
        turn[-1] = rng.choice([-1.0, 1.0])
    surrogate = np.empty((time, channels), np.float32)
    for first in range(0, channels, CHANNELS_AT_ONCE):
        part = slice(first, first + CHANNELS_AT_ONCE)
        spectrum = np.fft.rfft(responses[:, part].astype(np.float64), axis=0)
        surrogate[:, part] = np.fft.irfft(spectrum * turn[:, None], time, axis=0)
    return surrogate


def _with(run: Run, rows: Float32[np.ndarray, "time channel"]) -> Run:
    return replace(run, responses=Responses(np.ascontiguousarray(rows), run.responses.mask))
