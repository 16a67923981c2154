"""The permuted-pairing null: the same scores with decoded and true windows shifted against each other in a circle.

A shift keeps the order, hence the autocorrelation, of both sides and breaks only their pairing. Neighbouring windows
share topic and blood flow, so a shift counts only if it moves the pairing by at least 40 repetitions, either way
around the circle. A story of n windows has the admissible shifts min_shift .. n - min_shift.

Stories that are pooled are shifted independently of each other. p has the +1 correction (Phipson & Smyth, 2010):
p = (1 + number of null scores at least as good) / (1 + number of null scores), so it is never 0. Few shifts mean a
coarse p: a single story of 30 windows and min_shift 4 has 23, and p cannot fall below 1/24.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Float64, Int

from ..datasets.errors import BrokenData, WrongArgument

MIN_REPETITIONS = 40
N_DRAWS = 10_000


@dataclass(frozen=True)
class Null:
    """Mean and sd of the null, z = (value - mean) / sd, and one-sided p; NaN where the story is too short for one.

    z keeps the sign of the difference: for an error rate a good z is negative.
    """

    mean: float
    sd: float
    z: float
    p: float


@dataclass(frozen=True, eq=False)
class ShiftCurve:
    """A story's score under every circular shift of the pairing; shift 0 is the true pairing.

    `min_shift` is the smallest admissible shift, in the units of the curve (windows or repetitions); `recordings` is
    how many recordings of the story the scores are a mean of (see `merged`).
    """

    scores: Float64[np.ndarray, " shift"]
    min_shift: int
    recordings: int = 1

    def __post_init__(self) -> None:
        if self.min_shift < 1:
            raise WrongArgument(f"min_shift is {self.min_shift}", "null", "Give at least 1: shift 0 is not a null.")
        if self.scores.size == 0 or not np.isfinite(self.scores).all():
            raise BrokenData("scores are empty or not finite", "null", "Leave out windows that have no score.")

    @property
    def weight(self) -> int:
        """Windows (or repetitions) that the scores stand for."""
        return self.scores.size * self.recordings

    @property
    def value(self) -> float:
        return float(self.scores[0])

    @cached_property
    def admissible(self) -> Int[np.ndarray, " shift"]:
        """Shifts of at least `min_shift` both ways around the circle; none in a story shorter than 2 * min_shift."""
        return np.arange(self.min_shift, self.scores.size - self.min_shift + 1)

    def null_scores(self) -> Float64[np.ndarray, " shift"]:
        """Scores under the admissible shifts or, in a story too short to have one, under the widest shifts it has.

        The widest shifts leave truth and decoded text closer than the rule asks, which raises the null: a short story
        makes a pooled p larger, never smaller. A story of one window has only its true pairing to give.
        """
        n = self.scores.size
        return self.scores[self.admissible] if self.admissible.size else self.scores[[n // 2, (n + 1) // 2 % n]]


def min_shift(window_rows: int, repetitions: int = MIN_REPETITIONS) -> int:
    """Windows of `window_rows` repetitions that are needed to cover `repetitions`."""
    return math.ceil(repetitions / window_rows)


def pair_curve(pairs: Float64[np.ndarray, "window window"], shift: int) -> ShiftCurve:
    """Mean of every circular diagonal of a pair matrix: decoded window i against true window (i + s) mod n.

    `shift` is the smallest admissible shift in windows (`min_shift`).
    """
    windows = np.arange(len(pairs))
    partner = (windows + windows[:, None]) % len(pairs)  # (shift, window)
    return ShiftCurve(pairs[windows, partner].mean(axis=1), shift)


def correlation_curve(
    predicted: Float[np.ndarray, " predicted"], true: Float[np.ndarray, " true"], shift: int = MIN_REPETITIONS
) -> ShiftCurve:
    """Pearson r between two series over a story for every circular shift of the truth, by FFT (`word_rate_r`).

    Pooled over stories this is the r of the concatenated, per-story z-scored series. A constant series, whose r is
    undefined, has r 0 under every shift. Raises `BrokenData` when the lengths differ or a value is not finite.
    """
    if predicted.shape != true.shape:
        raise BrokenData(
            f"{predicted.size} predicted and {true.size} true values", "word rate", "Give one of each per repetition."
        )
    n = true.size
    spectrum = np.conj(np.fft.rfft(standardise(predicted))) * np.fft.rfft(standardise(true))
    return ShiftCurve(np.clip(np.fft.irfft(spectrum, n) / n, -1, 1), shift)


def standardise(series: Float[np.ndarray, " time"]) -> Float64[np.ndarray, " time"]:
    """Mean 0 and variance 1; a constant series becomes 0."""
    centred = np.asarray(series, np.float64) - np.mean(series, dtype=np.float64)
    spread = centred.std()
    # Rounding leaves a constant series with a spread of about its size times the machine's precision.
    constant = spread <= 1e-12 * max(1.0, float(np.abs(series).max(initial=0)))
    return np.zeros_like(centred) if constant else centred / spread


def merged(curves: Sequence[ShiftCurve], stories: Sequence[str]) -> list[ShiftCurve]:
    """One curve per story: recordings of one story share its text, so they are shifted together.

    Recordings of unequal length cannot be and stay apart.
    """
    groups: dict[tuple[str, int, int], list[ShiftCurve]] = {}
    for curve, story in zip(curves, stories, strict=True):
        groups.setdefault((story, curve.scores.size, curve.min_shift), []).append(curve)
    return [
        ShiftCurve(
            np.average([curve.scores for curve in group], axis=0, weights=[curve.recordings for curve in group]),
            shift,
            sum(curve.recordings for curve in group),
        )
        for (_, _, shift), group in groups.items()
    ]


def pooled_value(curves: Sequence[ShiftCurve]) -> float:
    """Score of the true pairing, mean over the stories weighted by their length."""
    return float(_weights(curves) @ [curve.value for curve in curves])


def pooled_draws(curves: Sequence[ShiftCurve], n_draws: int = N_DRAWS, seed: int = 0) -> Float64[np.ndarray, " draw"]:
    """Null scores, means over the stories weighted by their length, with one shift per story and draw.

    All combinations of shifts, once each, where there are at most `n_draws` (so always for one story of usual
    length); else `n_draws` random ones.
    """
    choices = [curve.null_scores() for curve in curves]
    sizes = [choice.size for choice in choices]
    if math.prod(sizes) <= n_draws:
        picked = np.indices(sizes).reshape(len(sizes), -1)
    else:
        rng = np.random.default_rng(seed)
        picked = np.stack([rng.integers(size, size=n_draws) for size in sizes])
    scores = np.stack([choice[pick] for choice, pick in zip(choices, picked, strict=True)])
    draws: Float64[np.ndarray, " draw"] = _weights(curves) @ scores
    return draws


def permuted_null(
    curves: Sequence[ShiftCurve], *, lower_is_better: bool = False, n_draws: int = N_DRAWS, seed: int = 0
) -> Null:
    """Null of one story or of several pooled; p is one-sided in the direction in which the metric is better.

    All fields are NaN where no story is long enough for an admissible shift.
    """
    if not any(curve.admissible.size for curve in curves):
        return Null(math.nan, math.nan, math.nan, math.nan)
    value, draws = pooled_value(curves), pooled_draws(curves, n_draws, seed)
    mean = float(draws.mean())
    sd = float(draws.std(ddof=1)) if draws.size > 1 else math.nan
    # Equal scores that were summed in another order count as equal, that is, against the value.
    slack = 1e-9 * max(1.0, abs(value))
    z = (value - mean) / sd if sd > slack else math.nan
    gain = value - draws if lower_is_better else draws - value
    return Null(mean, sd, z, float((1 + np.sum(gain >= -slack)) / (1 + draws.size)))


def _weights(curves: Sequence[ShiftCurve]) -> Float64[np.ndarray, " story"]:
    weights: Float64[np.ndarray, " story"] = np.array([curve.weight for curve in curves], np.float64)
    weights /= weights.sum()
    return weights
