"""Lays features of texts before the rows of responses that they drive, delay by delay, for runs and for windows.

Row t of the responses is driven by the features of rows t - d. A window of `rows` rows is read in its own rows and in
`reach` rows after them; there the text that follows the window is unknown, so its features are 0, their mean. The rows
before the window are the words before it: a candidate text comes with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int

from ..datasets.errors import WrongArgument


@dataclass(frozen=True)
class Layout:
    """`delays` in rows, `rows` of text in a window, `reach` rows of responses after it."""

    delays: tuple[int, ...] = (1, 2, 3, 4)
    rows: int = 10
    reach: int = 3

    def __post_init__(self) -> None:
        if not self.delays or min(self.delays) < 0 or len(set(self.delays)) < len(self.delays):
            raise WrongArgument(f"delays {self.delays}", "encoding model", "Give different delays of 0 rows or more.")
        if self.rows < 1 or not 0 <= self.reach <= max(self.delays):
            raise WrongArgument(
                f"{self.rows} rows, reach {self.reach}",
                "encoding model",
                "Give at least one row and a reach from 0 to the longest delay.",
            )

    @property
    def span(self) -> int:
        """Rows of responses that belong to a window."""
        return self.rows + self.reach

    def of_run(self, features: Float32[np.ndarray, "time feature"]) -> Float32[np.ndarray, "time delayed"]:
        """Features of rows t - d side by side; 0 before the first row."""
        rows = np.arange(len(features))[:, None] - np.array(self.delays)
        return self._gather(features, rows, np.ones_like(rows, bool)).reshape(len(features), -1)

    def of_windows(
        self, features: Float32[np.ndarray, "time feature"], starts: Sequence[int]
    ) -> Float32[np.ndarray, "window span delayed"]:
        """The same for windows of a text, knowing the text up to each window's end only."""
        inside = np.arange(self.span)[:, None] - np.array(self.delays)
        rows = np.asarray(starts, np.int64)[:, None, None] + inside
        return self._gather(features, rows, np.broadcast_to(inside < self.rows, rows.shape)).reshape(
            len(starts), self.span, len(self.delays) * features.shape[1]
        )

    @staticmethod
    def _gather(
        features: Float32[np.ndarray, "time feature"],
        rows: Int[np.ndarray, "*place delay"],
        known: Bool[np.ndarray, "*place delay"],
    ) -> Float32[np.ndarray, "*place delay feature"]:
        known = known & (rows >= 0) & (rows < len(features))
        return np.where(known[..., None], features[np.where(known, rows, 0)], np.float32(0))
