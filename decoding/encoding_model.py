"""An encoding model reads which text was heard: text -> expected responses -> likelihood of what was recorded.

After Tang, LeBel, Jain & Huth 2023 (Nature Neuroscience 26:858): ridge regression per channel from features of a few
words of context at several delays, its penalty by leaving stories out; the covariance of the left-out residuals; a
Gaussian likelihood. Ours differs in that the covariance also spans the rows of a window, and in that the rows after a
window count, as far as its own text explains them. Fitted on training runs of one person only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Float64, Int

from ..datasets.errors import BrokenData, WrongArgument
from ..datasets.study import Run
from .encoding_features import EncodingFeatures, Rows, words_by_row
from .encoding_ridge import StoryRidge, best_channels, best_penalties, squares
from .encoding_windows import Layout
from .likelihood import log_likelihood
from .noise_covariance import NoiseCovariance, fit_noise

PENALTIES = tuple(float(value) for value in np.logspace(2.5, 5.5, 7))


@dataclass(frozen=True)
class EncodingModel:
    """How to fit one.

    Parameters
    ----------
    features
        Bands of text features; their standardisation is fitted with the model.
    layout
        Delays, and the rows of a window.
    penalties
        Of the ridge; each channel takes the one that predicts left-out stories best.
    alike
        All channels take one penalty: better where there are few stories to leave out.
    shrinkage, memory
        Of the noise, see `noise_covariance.fit_noise`. A memory of 0.6 was chosen on validation stories of lebel2023.
    max_channels
        The covariance is a square of the channels: of more, the best predicted are kept.
    stride
        Rows between the residual windows that the covariance over rows is taken from.
    """

    features: EncodingFeatures
    layout: Layout = field(default_factory=Layout)
    penalties: tuple[float, ...] = PENALTIES
    shrinkage: float | None = None
    memory: float = 0.6
    max_channels: int = 1_000
    stride: int = 5
    alike: bool = False

    def __post_init__(self) -> None:
        if not self.penalties or min(self.penalties) <= 0 or self.max_channels < 1 or self.stride < 1:
            raise WrongArgument(
                f"penalties {self.penalties}, max_channels {self.max_channels}, stride {self.stride}",
                "encoding model",
                "Give penalties above 0, and at least one channel and row.",
            )

    def fit(self, runs: Sequence[Run]) -> FittedEncodingModel:
        """Fit on the training runs of one person; runs of one story are left out together.

        Raises `BrokenData` with fewer than two stories, none as long as a window, or runs of different channels.
        """
        training = _Training.of(self, runs)
        ridge, every = StoryRidge.of(training.delayed()), training.responses()
        errors = ridge.errors(every, self.penalties)
        channels = best_channels(errors, every, self.max_channels)
        penalty = best_penalties(errors[:, channels], self.penalties, self.alike)
        y = [story[:, channels] for story in every]
        blocks = training.residual_windows(ridge.weights_left_out(y, penalty), channels, self.stride)
        return FittedEncodingModel(
            features=training.features,
            layout=self.layout,
            weights=ridge.weights(y, penalty),
            channels=channels,
            noise=fit_noise(ridge.left_out(y, penalty), blocks, self.shrinkage, self.memory),
            explained=1 - errors[:, channels].min(axis=0) / np.maximum(squares(y), 1e-12),
            stories=tuple(training.stories),
        )


@dataclass(frozen=True, eq=False)
class FittedEncodingModel:
    """An `EncodingModel` with its weights.

    `weights` (delayed, channel) give the responses of the kept `channels`; `explained` is the share of each channel's
    variance that is explained in left-out training stories; `stories` are those that it was fitted on.
    """

    features: EncodingFeatures
    layout: Layout
    weights: Float32[np.ndarray, "delayed channel"]
    channels: Int[np.ndarray, " channel"]
    noise: NoiseCovariance
    explained: Float64[np.ndarray, " channel"]
    stories: tuple[str, ...] = ()

    def predict(self, rows: Rows) -> Float32[np.ndarray, "time channel"]:
        """Expected responses to a whole text."""
        return np.asarray(self.layout.of_run(self.features(rows)) @ self.weights)

    def expected(self, rows: Rows, starts: Sequence[int]) -> Float32[np.ndarray, "window span channel"]:
        """Expected responses to windows of a text, each with the words before it and none after it."""
        return np.asarray(self.layout.of_windows(self.features(rows), starts) @ self.weights)

    def expected_alone(self, texts: Sequence[Rows]) -> Float32[np.ndarray, "text span channel"]:
        """Expected responses to texts of a window's rows, nothing being known of the words before."""
        return np.concatenate([self.expected(text, [0]) for text in texts])

    def observed(self, run: Run, starts: Sequence[int]) -> Float32[np.ndarray, "window span channel"]:
        """The responses of windows; rows past the end are 0. Raises `BrokenData` for a run without the channels."""
        if run.responses.n_channels <= self.channels.max():
            raise BrokenData(
                f"{run.responses.n_channels} channels, but the model reads channel {self.channels.max()}",
                run.key,
                "Give a recording of the person that the model was fitted on.",
            )
        span = self.layout.span
        return np.stack([run.responses.padded(start, start + span)[:, self.channels] for start in starts])

    def log_likelihood(
        self,
        run: Run,
        starts: Sequence[int],
        expected: Float32[np.ndarray, "candidate span channel"] | None = None,
    ) -> Float64[np.ndarray, "window candidate"]:
        """Nats. [i, j]: of the responses of window i if candidate j was heard.

        `expected` holds what the candidates let expect; by default they are the run's own windows at `starts`, each
        with the words before it. A window that the recording cuts short is judged by the rows that it has.
        """
        candidates = self.expected(words_by_row(run), starts) if expected is None else expected
        observed = self.observed(run, starts)
        there = np.clip(run.responses.n_rows - np.asarray(starts), 0, self.layout.span)
        found = np.zeros((len(starts), len(candidates)))
        for n in np.unique(there[there > 0]).tolist():
            part = there == n
            found[part] = log_likelihood(observed[part, :n], candidates[:, :n], self.noise.first(n))
        return found

    def similarity(self, run: Run, starts: Sequence[int], rows: int) -> Float64[np.ndarray, "window window"]:
        """`log_likelihood` in the shape of `FittedRidge.similarity`; raises `WrongArgument` for other windows."""
        if rows != self.layout.rows:
            raise WrongArgument(
                f"windows of {rows} rows", "encoding model", f"It was fitted for {self.layout.rows}: fit another."
            )
        return self.log_likelihood(run, starts)


@dataclass(frozen=True, eq=False)
class _Training:
    """Training runs and the standardised features of their texts, story by story."""

    layout: Layout
    features: EncodingFeatures
    stories: list[str]
    runs: list[list[Run]]
    texts: list[list[np.ndarray]]

    @classmethod
    def of(cls, model: EncodingModel, runs: Sequence[Run]) -> _Training:
        stories = sorted({run.story for run in runs})
        _check(runs, stories, model.layout)
        grouped = [[run for run in runs if run.story == story] for story in stories]
        features = model.features.fit([words_by_row(run) for run in runs])
        texts = [[features(words_by_row(run)) for run in group] for group in grouped]
        return cls(model.layout, features, stories, grouped, texts)

    def delayed(self) -> list[np.ndarray]:
        return [np.concatenate([self.layout.of_run(text) for text in group]) for group in self.texts]

    def responses(self) -> list[np.ndarray]:
        return [np.concatenate([run.responses[:] for run in group]) for group in self.runs]

    def residual_windows(
        self, weights: Iterable[np.ndarray], channels: Int[np.ndarray, " channel"], stride: int
    ) -> list[np.ndarray]:
        """Of each story (block, row, channel), expected from the other stories and the window's own text."""
        span = self.layout.span
        found = []
        for group, texts, left_out in zip(self.runs, self.texts, weights, strict=True):
            for run, text in zip(group, texts, strict=True):
                starts = range(0, run.responses.n_rows - span + 1, stride)
                rows = np.asarray(starts, np.int64)[:, None] + np.arange(span)
                observed = run.responses[:][:, channels][rows]
                found.append(observed - self.layout.of_windows(text, starts) @ left_out)
        return found


def _check(runs: Sequence[Run], stories: Sequence[str], layout: Layout) -> None:
    where = runs[0].key if runs else "encoding model"
    if len(stories) < 2:
        raise BrokenData(f"{len(stories)} training stories", where, "Give at least two: one is left out at a time.")
    if max(run.responses.n_rows for run in runs) < layout.span:
        raise BrokenData(
            f"no training run has the {layout.span} rows of a window", where, "Give longer runs or shorter windows."
        )
    widths = sorted({run.responses.n_channels for run in runs})
    if len(widths) > 1:
        raise BrokenData(f"runs have {widths} channels", where, "Give runs of one person.")
