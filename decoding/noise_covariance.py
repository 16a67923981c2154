"""The covariance of what an encoding model leaves unexplained in a window: over channels, and over rows.

Channels: the covariance of left-out residuals, shrunk toward a multiple of the identity (Ledoit & Wolf 2004, or a given
share). Its inverse root is turned to the axes that differ most in lag-1 autocorrelation (Switzer & Green 1984, min/max
autocorrelation factors), so that components are uncorrelated in the same row and, symmetrically, in the next.
Rows: every component has a correlation over the rows of a window, from residual windows whose late rows know the text
up to the window's end only: what is unknown there counts as noise. It is shrunk toward the mean of all components, the
more the fewer windows there are: minutes of recordings cannot tell components apart. Its size is not estimated again,
which would undo the shrinkage over channels. Tang et al. 2023 take rows as independent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64
from sklearn.covariance import ledoit_wolf_shrinkage

from ..datasets.errors import BrokenData, WrongArgument

Series = Float32[np.ndarray, "_time channel"]
Blocks = Float32[np.ndarray, "_block row channel"]
ROW_SHRINKAGE = 0.02
OWN_FROM = 100  # windows, not overlapping, from which on a component's own correlation counts more than the mean of all


@dataclass(frozen=True, eq=False)
class NoiseCovariance:
    """Gaussian noise of a window (row, channel).

    `basis` (channel, component) takes residuals to independent components; `rows` (component, row, row) is each
    component's covariance over the rows of a window.
    """

    basis: Float64[np.ndarray, "channel component"]
    rows: Float64[np.ndarray, "component row row"]

    @property
    def n_rows(self) -> int:
        return int(self.rows.shape[1])

    def first(self, n_rows: int) -> NoiseCovariance:
        """Of the first rows of a window alone, for windows that the recording cuts short."""
        return NoiseCovariance(self.basis, self.rows[:, :n_rows, :n_rows])

    def with_memory(self, memory: float) -> NoiseCovariance:
        """With covariances between rows scaled by `memory`, 0 to 1: what `fit_noise` would have given."""
        same = np.eye(self.n_rows, dtype=bool)
        return NoiseCovariance(self.basis, self.rows * np.where(same, 1.0, memory))

    def whitener(self) -> Float64[np.ndarray, "component row row"]:
        """Lower triangular L of each component with L C L' = I."""
        inverse: Float64[np.ndarray, "component row row"] = np.linalg.inv(np.linalg.cholesky(self.rows))
        return inverse

    def whiten(self, blocks: Float[np.ndarray, "*window row channel"]) -> Float64[np.ndarray, "*window whitened"]:
        """Windows with unit, uncorrelated noise, flattened over components and rows."""
        components = np.moveaxis(blocks @ self.basis, -1, -2)[..., None]  # (..., component, row, 1)
        return np.asarray((self.whitener() @ components).reshape(*blocks.shape[:-2], -1))

    def log_determinant(self) -> float:
        """Of the covariance of a whole window, (row x channel) on a side."""
        by_rows = np.linalg.slogdet(self.rows)[1].sum()
        return float(by_rows - 2 * self.n_rows * np.linalg.slogdet(self.basis)[1])

    def dense(self) -> Float64[np.ndarray, "side side"]:
        """The covariance itself, rows outermost: for tests and small windows."""
        back = np.linalg.inv(self.basis)  # (component, channel)
        full = np.einsum("kc,krs,kd->rcsd", back, self.rows, back)
        side = full.shape[0] * full.shape[1]
        return np.asarray(full.reshape(side, side))


def fit_noise(
    residuals: Sequence[Series], blocks: Sequence[Blocks], shrinkage: float | None = None, memory: float = 1.0
) -> NoiseCovariance:
    """Noise of windows from residuals of left-out stories.

    Parameters
    ----------
    residuals
        Of each story (time, channel): give the covariance over channels.
    blocks
        Residual windows of each story (block, row, channel): give the covariance over rows.
    shrinkage
        Share of the identity, 0 to 1; None takes Ledoit and Wolf's.
    memory
        By how much covariances between rows count: 0 takes rows as independent, 1 as they are.

    Raises `WrongArgument` for shares outside 0..1 and `BrokenData` where residuals are not finite or a channel never
    moves.
    """
    if not 0 <= memory <= 1 or (shrinkage is not None and not 0 <= shrinkage <= 1):
        raise WrongArgument(f"shrinkage {shrinkage}, memory {memory}", "noise", "Give shares from 0 to 1.")
    _check(residuals)
    whitening = _whitening(channel_covariance(residuals, shrinkage))
    basis = whitening @ np.linalg.eigh(whitening.T @ _next_row(residuals) @ whitening)[1]
    return NoiseCovariance(
        basis, _row_covariance([block @ basis for block in blocks], sum(map(len, residuals)), memory)
    )


def channel_covariance(
    residuals: Sequence[Series], shrinkage: float | None = None
) -> Float64[np.ndarray, "channel channel"]:
    """Covariance about 0, shrunk toward the identity times the mean variance."""
    rows = np.concatenate(residuals).astype(np.float64)
    share = float(ledoit_wolf_shrinkage(rows, assume_centered=True)) if shrinkage is None else shrinkage
    found = rows.T @ rows / len(rows)
    target = np.trace(found) / len(found) * np.eye(len(found))
    return np.asarray((1 - share) * found + share * target)


def _whitening(covariance: Float64[np.ndarray, "channel channel"]) -> Float64[np.ndarray, "channel channel"]:
    variance, axes = np.linalg.eigh(covariance)
    floor = 1e-10 * variance[-1]
    return np.asarray(axes / np.sqrt(np.maximum(variance, floor)))


def _next_row(residuals: Sequence[Series]) -> Float64[np.ndarray, "channel channel"]:
    """Covariance of each row with the next, symmetrised."""
    total = sum(story[1:].T.astype(np.float64) @ story[:-1] for story in residuals)
    lagged = np.asarray(total) / max(1, sum(len(story) - 1 for story in residuals))
    return np.asarray((lagged + lagged.T) / 2)


def _row_covariance(
    blocks: Sequence[Float64[np.ndarray, "_block row component"]], n_residuals: int, memory: float
) -> Float64[np.ndarray, "component row row"]:
    n_rows = blocks[0].shape[1]
    found = np.zeros((blocks[0].shape[2], n_rows, n_rows))
    for block in blocks:
        part = np.moveaxis(block, -1, 0)  # (component, block, row)
        found += part.transpose(0, 2, 1) @ part
    found /= np.trace(found, axis1=1, axis2=2)[:, None, None] / n_rows
    n_windows = n_residuals / n_rows
    share = n_windows / (n_windows + OWN_FROM)
    found = share * found + (1 - share) * found.mean(axis=0)
    found *= np.where(np.eye(n_rows, dtype=bool), 1.0, memory)
    return np.asarray((1 - ROW_SHRINKAGE) * found + ROW_SHRINKAGE * np.eye(n_rows))


def _check(residuals: Sequence[Series]) -> None:
    finite = all(np.isfinite(story).all() for story in residuals)
    power = np.asarray(sum((story.astype(np.float64) ** 2).sum(axis=0) for story in residuals))
    if not finite or not math.isfinite(power.sum()) or not (power > 0).all():
        raise BrokenData("residuals are not finite, or a channel never moves", "noise", "Leave such channels out.")
