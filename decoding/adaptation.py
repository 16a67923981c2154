"""A new person's encoding model from minutes of recordings and from other people's models.

Other people (donors) heard the same stories. What their cortex does says more of what the new person's does than the
text does, so two regressions share the work:

    y = [a_1 a_2 ...] T + noise            functional alignment: responses of donors to the same rows, ridge
    y - [f_1(text) f_2(text) ...] T = x C  what alignment leaves to the person's own text regression, ridge

and for a new text, that no donor need have heard, the donors' responses are those that their encoding models expect:
m(text) = [f_1(text) ...] T + x C. With C = 0 this is alignment alone; with T = 0 it is the person's own model. Both
penalties, among them that of C = 0, are chosen by leaving stretches out, and so is the noise covariance; what the
donors' models expect of those stretches they were fitted on, which makes the noise look smaller than it is.
(Bilenko & Gallant 2016 and Haxby et al. 2011 align in a common space of responses; here it is the donors' own.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from itertools import product

import numpy as np
from jaxtyping import Float32, Float64, Int

from ..datasets.errors import BrokenData, WrongArgument
from ..datasets.study import Run
from .encoding_features import EncodingFeatures, Rows, words_by_row
from .encoding_model import FittedEncodingModel
from .encoding_ridge import StoryRidge, best_channels
from .encoding_windows import Layout
from .noise_covariance import fit_noise

TRANSFER = (1e2, 1e3, 1e4)
OWN = (3e4, 1e5, 3e5, math.inf)
FOLDS = 5
Weights = tuple[Float32[np.ndarray, "donated channel"], Float32[np.ndarray, "delayed channel"]]


@dataclass(frozen=True, eq=False)
class Donor:
    """Somebody's model and recordings, one for each of the new person's stretches, of the same rows."""

    model: FittedEncodingModel
    runs: Sequence[Run]


@dataclass(frozen=True, eq=False)
class AdaptedEncodingModel:
    """What `Adaptation.fit` gives: read like a `FittedEncodingModel`.

    `transfer` (donor channel, channel) is T above; `own` holds C, the kept channels and the noise; `penalties` are
    those of T and of C (infinite: C = 0).
    """

    donors: Sequence[FittedEncodingModel]
    transfer: Float32[np.ndarray, "donated channel"]
    own: FittedEncodingModel
    penalties: tuple[float, float]

    def expected(self, rows: Rows, starts: Sequence[int]) -> Float32[np.ndarray, "window span channel"]:
        """Expected responses to windows of a text, each with the words before it and none after it."""
        donated = np.concatenate([donor.expected(rows, starts) for donor in self.donors], axis=-1)
        return np.asarray(donated @ self.transfer + self.own.expected(rows, starts))

    def folded(self) -> FittedEncodingModel:
        """The same model as one regression: alignment is linear, so that T goes into the weights.

        Raises `WrongArgument` where a donor's features are standardised otherwise than the person's: donors that
        were fitted on the same stories have the same.
        """
        own, weights, first = self.own, self.own.weights.astype(np.float64), 0
        for donor in self.donors:
            same = all(
                np.allclose(getattr(donor.features, name), getattr(own.features, name)) for name in ("mean", "scale")
            )
            if not same or donor.layout != own.layout:
                raise WrongArgument(
                    "donors' features are standardised otherwise", "adaptation", "Fit all donors on the same stories."
                )
            part = slice(first, first + len(donor.channels))
            weights, first = weights + donor.weights.astype(np.float64) @ self.transfer[part], part.stop
        return replace(own, weights=weights.astype(np.float32))

    def log_likelihood(self, run: Run, starts: Sequence[int]) -> Float64[np.ndarray, "window window"]:
        """Nats. [i, j]: of the responses of window i if window j of the run was heard."""
        return self.own.log_likelihood(run, starts, self.expected(words_by_row(run), starts))


@dataclass(frozen=True)
class Adaptation:
    """How to learn one.

    Parameters
    ----------
    features
        Of the person's own regression, standardised already.
    layout
        As of the donors' models.
    transfer_penalties, own_penalties
        Tried for T and for C; an infinite one leaves C out.
    shrinkage, memory
        Of the noise, see `noise_covariance.fit_noise`.
    stride
        Rows between the residual windows that the covariance over rows is taken from.
    max_channels
        Of more, those are kept that the person's own text regression predicts best.
    """

    features: EncodingFeatures
    layout: Layout
    transfer_penalties: tuple[float, ...] = TRANSFER
    own_penalties: tuple[float, ...] = OWN
    shrinkage: float | None = None
    memory: float = 0.6
    stride: int = 5
    max_channels: int = 1_000

    def fit(self, runs: Sequence[Run], donors: Sequence[Donor]) -> AdaptedEncodingModel:
        """Adapt to the person whose stretches `runs` are.

        Raises `WrongArgument` without donors, with fewer than two stretches, or with donors' recordings of other rows.
        """
        _check(runs, donors)
        channels = self._channels(runs)
        tables = [_Table.of(self, run, donors, at, channels) for at, run in enumerate(runs)]
        parts = _Folds.of(tables)
        penalties, missed = parts.best(self.transfer_penalties, self.own_penalties)
        residuals, blocks = [], []
        for fold, weights in parts.left_out(*penalties):
            residuals += [tables[at].residual(*weights) for at in fold]
            blocks += [self._residual_windows(runs[at], donors, channels, *weights) for at in fold]
        transfer, own = _weights(parts.whole, parts.split, *penalties)
        power = np.diagonal(parts.whole)[parts.split[2] :]
        model = FittedEncodingModel(
            features=self.features,
            layout=self.layout,
            weights=own,
            channels=channels,
            noise=fit_noise(residuals, blocks, self.shrinkage, self.memory),
            explained=1 - missed / np.maximum(power, 1e-12),
            stories=tuple(run.story for run in runs),
        )
        return AdaptedEncodingModel([donor.model for donor in donors], transfer, model, penalties)

    def _channels(self, runs: Sequence[Run]) -> Int[np.ndarray, " channel"]:
        if runs[0].responses.n_channels <= self.max_channels:
            return np.arange(runs[0].responses.n_channels)
        y = [run.responses[:] for run in runs]
        ridge = StoryRidge.of([self.layout.of_run(self.features(words_by_row(run))) for run in runs])
        return best_channels(ridge.errors(y, [p for p in self.own_penalties if math.isfinite(p)]), y, self.max_channels)

    def _residual_windows(
        self,
        run: Run,
        donors: Sequence[Donor],
        channels: Int[np.ndarray, " channel"],
        transfer: np.ndarray,
        own: np.ndarray,
    ) -> Float32[np.ndarray, "block row channel"]:
        """Of windows of a stretch, what a window's own text and the words before it leave unexplained."""
        starts = range(0, run.responses.n_rows - self.layout.span + 1, self.stride)
        rows = words_by_row(run)
        donated = np.concatenate([donor.model.expected(rows, starts) for donor in donors], axis=-1)
        expected = donated @ transfer + self.layout.of_windows(self.features(rows), starts) @ own
        rows_of = np.asarray(starts, np.int64)[:, None] + np.arange(self.layout.span)
        return np.asarray(run.responses[:][:, channels][rows_of] - expected)


@dataclass(frozen=True, eq=False)
class _Table:
    """Rows of one stretch: own delayed features, donors' responses, what donors' models expect, own responses.

    `split` are the columns where the second, third and fourth begin.
    """

    columns: Float32[np.ndarray, "time column"]
    split: tuple[int, int, int]

    @classmethod
    def of(
        cls, how: Adaptation, run: Run, donors: Sequence[Donor], at: int, channels: Int[np.ndarray, " channel"]
    ) -> _Table:
        rows = words_by_row(run)
        parts = [
            how.layout.of_run(how.features(rows)),
            np.concatenate([donor.runs[at].responses[:][:, donor.model.channels] for donor in donors], axis=1),
            np.concatenate([donor.model.predict(rows) for donor in donors], axis=1),
            run.responses[:][:, channels],
        ]
        first, second, third = np.cumsum([part.shape[1] for part in parts])[:3].tolist()
        return cls(np.concatenate(parts, axis=1), (first, second, third))

    def gram(self) -> Float64[np.ndarray, "column column"]:
        return np.asarray(self.columns.T @ self.columns, dtype=np.float64)

    def residual(self, transfer: np.ndarray, own: np.ndarray) -> Float32[np.ndarray, "time channel"]:
        x, _, expected, y = np.split(self.columns, self.split, axis=1)
        return np.asarray(y - expected @ transfer - x @ own)


@dataclass(frozen=True, eq=False)
class _Folds:
    """Stretches in a few folds, each by the products of all its columns: fits without a fold cost no pass over rows."""

    folds: list[tuple[int, ...]]
    grams: list[Float64[np.ndarray, "column column"]]
    split: tuple[int, int, int]

    @classmethod
    def of(cls, tables: Sequence[_Table]) -> _Folds:
        folds = [tuple(part.tolist()) for part in np.array_split(np.arange(len(tables)), min(FOLDS, len(tables)))]
        grams = [reduce(np.add, (tables[at].gram() for at in fold)) for fold in folds]
        return cls(folds, grams, tables[0].split)

    @cached_property
    def whole(self) -> Float64[np.ndarray, "column column"]:
        return np.asarray(reduce(np.add, self.grams))

    def left_out(self, transfer: float, own: float) -> Iterator[tuple[tuple[int, ...], Weights]]:
        """Each fold and the weights from the others."""
        for fold, gram in zip(self.folds, self.grams, strict=True):
            yield fold, _weights(self.whole - gram, self.split, transfer, own)

    def best(
        self, transfers: Sequence[float], owns: Sequence[float]
    ) -> tuple[tuple[float, float], Float64[np.ndarray, " channel"]]:
        """The penalties with the least squared error in left-out folds, and that error of each channel."""
        missed = {
            pair: np.sum(
                [
                    _missed(gram, self.split, *weights)
                    for gram, (_, weights) in zip(self.grams, self.left_out(*pair), strict=True)
                ],
                axis=0,
            )
            for pair in product(transfers, owns)
        }
        found = min(missed, key=lambda pair: float(missed[pair].sum()))
        return found, missed[found]


def _weights(
    gram: Float64[np.ndarray, "column column"], split: tuple[int, int, int], transfer: float, own: float
) -> Weights:
    """T and C of the module's equations from the products of all columns."""
    x, a, f, y = (slice(*edges) for edges in zip((0, *split), (*split, len(gram)), strict=True))
    aligned = _ridge(gram[a, a], gram[a, y], transfer)
    rest = np.zeros((split[0], aligned.shape[1]))
    if math.isfinite(own):
        rest = _ridge(gram[x, x], gram[x, y] - gram[x, f] @ aligned, own)
    return aligned.astype(np.float32), rest.astype(np.float32)


def _ridge(gram: np.ndarray, target: np.ndarray, penalty: float) -> np.ndarray:
    return np.asarray(np.linalg.solve(gram + penalty * np.eye(len(gram)), target))


def _missed(
    gram: Float64[np.ndarray, "column column"],
    split: tuple[int, int, int],
    transfer: Float32[np.ndarray, "donated channel"],
    own: Float32[np.ndarray, "delayed channel"],
) -> Float64[np.ndarray, " channel"]:
    """Squared error of each channel in the rows that the products are of."""
    n = transfer.shape[1]
    by_column = np.concatenate([own, np.zeros_like(transfer), -transfer, np.eye(n, dtype=np.float32)]).astype(float)
    by_column[: split[0]] *= -1
    return np.asarray(((gram @ by_column) * by_column).sum(axis=0))


def _check(runs: Sequence[Run], donors: Sequence[Donor]) -> None:
    where = runs[0].key if runs else "adaptation"
    if not donors or len(runs) < 2:
        raise WrongArgument(
            f"{len(donors)} donors and {len(runs)} stretches", where, "Give one donor and two stretches at least."
        )
    for donor in donors:
        for ours, theirs in zip(runs, donor.runs, strict=True):
            if ours.responses.n_rows != theirs.responses.n_rows:
                raise BrokenData(
                    f"{theirs.responses.n_rows} rows, but {ours.key} has {ours.responses.n_rows}",
                    theirs.key,
                    "Give the donor's recording of the same rows.",
                )
