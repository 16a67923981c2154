"""How well the true forward model tells which window's words were heard: what the noise of a synthetic study allows.

For window i of a story and the words of window j as a candidate, the oracle knows the weights, the haemodynamic
response, every other word of the story and the covariance of the noise. It predicts the responses of window i had the
words of j been heard there, with their own timing, and scores the prediction by the Gaussian log-likelihood

    L[i, j] = -1/2 (y_i - p_ij)' (C_time x C_space)^-1 (y_i - p_ij),

y_i: the prepared responses of window i (its rows and its reach) of all voxels, put back into image units;
p_ij: features of all words (those of window i replaced by those of j), convolved, cleaned as the data were, weighted;
C_time: covariance of the AR(1) noise after the same cleaning; C_space: covariance between voxels of the noise, plus
that of the spikes, as if they were Gaussian and as slow as the noise. What the cleaning leaves of the drift (less than
1% of its variance) is not in the model. The term in log|C| is the same for all candidates and left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Float
from nilearn.signal import clean
from scipy.linalg import cholesky, solve_triangular, toeplitz

from .design import SyntheticDesign
from .haemodynamics import HRF_LENGTH, evoked
from .noise import spatial_covariance, spike_covariance
from .planting import brain_mask
from .study import Run, Word
from .synthetic import SyntheticStudy
from .windows import Window, WindowShape, windows

RIDGE = 1e-4  # of the mean variance: a window as long as the run has directions that the cleaning took out


@dataclass(frozen=True, eq=False)
class OracleScore:
    """Identification of the windows of one story.

    `top1` and `top5` are shares of the windows, `percentile` is the mean share of wrong windows that score below the
    right one (chance .5). Ties count as a random choice among the tied. `similarity[i, j]` is the log-likelihood of the
    responses of window i under the words of window j, up to a constant.
    """

    top1: float
    top5: float
    percentile: float
    n_windows: int
    similarity: Float[np.ndarray, "window candidate"]

    @classmethod
    def of(cls, similarity: Float[np.ndarray, "window candidate"]) -> OracleScore:
        """Score a matrix whose right candidates are on the diagonal."""
        right, n = np.diag(similarity)[:, None], len(similarity)
        above, tied = (similarity > right).sum(1), (similarity == right).sum(1)

        def among(k: int) -> float:
            return float(np.clip((k - above) / tied, 0, 1).mean())

        below = (n - above - tied + (tied - 1) / 2) / max(n - 1, 1)
        return cls(among(1), among(5), float(below.mean()), n, similarity)


def oracle(study: SyntheticStudy, subject: str, story: str, shape: WindowShape | None = None) -> OracleScore:
    """Identify the windows of a story (20 s, not overlapping, by default) from one subject's responses.

    Needs the planted truth (`MissingData` without it). Chance for top1 is 1 / n_windows.
    """
    run = study.run(subject, story)
    cut, model = windows(run, shape or WindowShape()), ForwardModel(study, run)
    return OracleScore.of(np.stack([model.log_likelihood(window, cut) for window in cut]))


class ForwardModel:
    """The true model of one run."""

    def __init__(self, study: SyntheticStudy, run: Run) -> None:
        self.run, self.n_rows, self._design = run, run.responses.n_rows, study.design
        self._scale = np.array(list(study.feature_scale.values()))
        self._filter = _cleaning_matrix(run, study.high_pass)
        self._cache: dict[int, np.ndarray] = {}
        self._space_root = _space_root(self._design)
        correlation = self._design.autocorrelation ** np.arange(self.n_rows)
        self._time_covariance = self._filter @ toeplitz(correlation) @ self._filter.T
        weights = study.weights(run.subject)
        self._weights = self._white_in_space(weights)
        self._responses = self._white_in_space(run.responses[:] * self._spread(weights))

    def log_likelihood(self, window: Window, candidates: Sequence[Window]) -> Float[np.ndarray, " candidate"]:
        """Of the window's responses under the words of each candidate in the place of its own; up to a constant."""
        rows = slice(window.start, min(window.start + window.rows + window.reach, self.n_rows))
        own, start = self._alone(window), window.start
        swapped = np.stack([_moved(self._alone(other), start - other.start) - own for other in candidates])
        features = (self._filter @ (self._everything + swapped[:, : self.n_rows]))[:, rows]
        covariance = self._time_covariance[rows, rows]
        root = cholesky(
            covariance + RIDGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance)), lower=True
        )
        residual = self._responses[rows] - features @ self._weights
        white = solve_triangular(root, np.moveaxis(residual, 1, 0).reshape(len(root), -1), lower=True)
        return np.asarray(-(white.reshape(len(root), len(candidates), -1) ** 2).sum((0, 2)) / 2)

    @cached_property
    def _everything(self) -> Float[np.ndarray, "time feature"]:
        return self._evoked(self.run.words, self.n_rows)

    def _alone(self, window: Window) -> Float[np.ndarray, "longer feature"]:
        """Features of the window's words alone, until the response to the last has faded."""
        if window.start not in self._cache:
            fade = math.ceil(HRF_LENGTH / self.run.repetition_time)
            self._cache[window.start] = self._evoked(window.words, self.n_rows + fade)
        return self._cache[window.start]

    def _evoked(self, words: Sequence[Word], n_rows: int) -> Float[np.ndarray, "time feature"]:
        features = evoked(words, n_rows, self.run.repetition_time, self._design.n_topics)
        return np.asarray(features / self._scale)

    def _spread(self, weights: Float[np.ndarray, "feature channel"]) -> Float[np.ndarray, " channel"]:
        """Expected standard deviation of a voxel after cleaning, by which the responses were divided."""
        noise_variance = self._design.noise_sd**2 * np.diag(self._time_covariance).mean()
        signal = self._filter @ self._everything @ weights
        return np.asarray(np.sqrt(signal.var(0) + noise_variance))

    def _white_in_space(self, values: Float[np.ndarray, "row channel"]) -> Float[np.ndarray, "row channel"]:
        return np.asarray(solve_triangular(self._space_root, values.T, lower=True).T)


@lru_cache(maxsize=1)  # 85 MB for the demo's brain, the same for all runs
def _space_root(design: SyntheticDesign) -> Float[np.ndarray, "channel channel"]:
    """Cholesky factor of the covariance between all voxels of the brain, in squared image units."""
    brain = brain_mask(design).volume
    covariance = spatial_covariance(design, brain) + spike_covariance(design, brain)
    return np.asarray(cholesky(design.noise_sd**2 * covariance, lower=True, overwrite_a=True))


def _moved(features: Float[np.ndarray, "time feature"], rows: int) -> Float[np.ndarray, "time feature"]:
    """Features `rows` later (earlier if negative); what leaves the recording is lost, what enters is 0."""
    out = np.zeros_like(features)
    kept = len(features) - abs(rows)
    out[max(rows, 0) :][:kept] = features[max(-rows, 0) :][:kept]
    return out


def _cleaning_matrix(run: Run, high_pass: float | None) -> Float[np.ndarray, "time time"]:
    """What `BidsStudy` does to a recording before the z-score, which is linear: detrending and the high-pass filter."""
    identity = np.eye(run.responses.n_rows)
    settings = {"detrend": True, "standardize": None, "high_pass": high_pass, "extrapolate": False}
    settings["butterworth__copy"] = True  # as in bold.py: all columns at once
    return np.asarray(clean(identity, t_r=run.repetition_time, **settings))
