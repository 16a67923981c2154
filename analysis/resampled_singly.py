"""Any measure over resampled conditions, one resample after the other: for measures that are no products of weights.

Kendall's tau counts pairs of pairs, and the whitened measures have another covariance of the dissimilarities in each
resample, in which a condition's copies count as conditions, as in rsatoolbox. Both take the resampled RDMs as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64, Int

from .comparison import constant, measure_called
from .noise_ceiling import SCALES, bounds
from .permutation import permuted_pairs
from .subjects import Subjects
from .whitening import PairPrecision

Rows = Float64[np.ndarray, "_rdm _pair"]


@dataclass(frozen=True)
class ResampledSingly:
    """Similarities and noise ceilings in resamples of the conditions; arguments as of `ResampledProducts`."""

    models: Float64[np.ndarray, "model pair"]
    data: Float64[np.ndarray, "rdm pair"]
    subjects: Subjects
    measure: str
    conditions: Float64[np.ndarray, "sample condition"]

    @staticmethod
    def bytes_per_sample(n_models: int, n_data: int, n_pairs: int) -> int:
        """Memory that one resample takes."""
        return 32 * n_pairs

    @cached_property
    def similarities(self) -> Float64[np.ndarray, "sample model rdm"]:
        """Of every model with every data RDM; NaN for an RDM that is constant in the resample."""
        return np.stack([self._compared(self.models, self.data, sample) for sample in range(len(self.conditions))])

    def bounds(self, times: Float64[np.ndarray, "draw rdm"]) -> Float64[np.ndarray, "draw 2"]:
        """Lower and upper noise ceiling with each RDM drawn `times`, as `noise_ceiling.bounds` has them.

        A single resample of conditions serves all draws. NaN where fewer than two subjects are drawn.
        """
        single = len(self.conditions) == 1
        return np.array([self._bounds(draw, 0 if single else number) for number, draw in enumerate(times)])

    def _bounds(self, times: Float64[np.ndarray, " rdm"], sample: int) -> tuple[float, float]:
        places, precision = self._drawn[sample]
        measured = measure_called(self.measure)
        rows = self.data[:, places]
        scaled = SCALES[self.measure](rows)
        return bounds(rows, scaled, self.subjects, times, lambda a, b: measured(a, b, precision))

    def _compared(self, a: Rows, b: Rows, sample: int) -> Float64[np.ndarray, "_model _data"]:
        places, precision = self._drawn[sample]
        a, b = a[:, places], b[:, places]
        with np.errstate(divide="ignore", invalid="ignore"):
            found = measure_called(self.measure)(a, b, precision)
        found[constant(a, self.measure)] = np.nan
        found[:, constant(b, self.measure)] = np.nan
        return found

    @cached_property
    def _drawn(self) -> list[tuple[Int[np.ndarray, " place"], PairPrecision]]:
        """Of each resample: its pairs among those of the data, and the covariance of all its conditions' pairs."""
        n = self.conditions.shape[1]
        orders = [np.repeat(np.arange(n), times) for times in self.conditions.astype(int)]
        first, second = np.triu_indices(n, 1)
        found = []
        for order in orders:
            present = order[first] != order[second]
            found.append((permuted_pairs(order[None])[0, present], PairPrecision(present)))
        return found
