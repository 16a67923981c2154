"""Similarities and noise ceilings in many resamples of the conditions at once: what every way of finding them shares.

A condition drawn c_i times and one drawn c_j times share c_i c_j pairs; pairs of copies of one condition are left out,
as rsatoolbox does (`subsample_pattern` makes them NaN). So a resample is a weight on each pair, not a smaller RDM.

    resampled = ResampledRanks(models, data, subjects, "spearman", conditions)    # or whatever `bootstrap.ENGINES` says
    resampled.similarities                                                        # (sample, model, rdm)
    resampled.bounds(times)                                                       # (draw, 2) noise ceilings

Where a resample leaves an RDM without spread (all its values equal; for the cosines: all zero) the similarity is NaN,
without a warning for each: whoever resamples counts them. rsatoolbox gives 0 there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from jaxtyping import Float64

from .constant import constant
from .pair_weights import pair_weights
from .subjects import Subjects


@dataclass(frozen=True)
class Resampled(ABC):
    """Similarities and noise ceilings in resamples of the conditions.

    Parameters
    ----------
    models, data
        Dissimilarities, upper triangles taken by rows, none missing.
    subjects
        Whose RDMs the data are.
    measure
        One of `comparison.MEASURES` that the engine has.
    conditions
        How often each condition is drawn, whole numbers. With a single sample, that one serves all draws of subjects.
    """

    ROWS: ClassVar[int] = 0  # arrays as long as an RDM that a resample takes, for each RDM
    CHUNK_BYTES: ClassVar[int] = 2**28  # for resamples that are worked on together

    models: Float64[np.ndarray, "model pair"]
    data: Float64[np.ndarray, "rdm pair"]
    subjects: Subjects
    measure: str
    conditions: Float64[np.ndarray, "sample condition"]

    @classmethod
    def bytes_per_sample(cls, n_models: int, n_data: int, n_pairs: int) -> int:
        """Memory that one resample takes: its weights, tables of its similarities, and what `ROWS` says."""
        rdms = n_models + n_data
        return 8 * (2 * n_pairs + cls.ROWS * rdms * n_pairs + 8 * rdms * n_data)

    @classmethod
    def samples_at_once(cls, n_models: int, n_data: int, n_pairs: int) -> int:
        """Number of resamples to give to one engine, so that memory is bounded."""
        return max(1, cls.CHUNK_BYTES // cls.bytes_per_sample(n_models, n_data, n_pairs))

    @cached_property
    def similarities(self) -> Float64[np.ndarray, "sample model rdm"]:
        """Of every model with every data RDM; NaN for an RDM that is constant, or is so in the resample."""
        found = self._similarities()
        found[:, constant(self.models, self.measure)] = np.nan
        found[:, :, constant(self.data, self.measure)] = np.nan
        return found

    @abstractmethod
    def bounds(self, times: Float64[np.ndarray, "draw rdm"]) -> Float64[np.ndarray, "draw 2"]:
        """Lower and upper noise ceiling with each RDM drawn `times`, as `noise_ceiling.bounds` has them.

        A single resample of conditions serves all draws. NaN where fewer than two subjects are drawn.
        """

    @abstractmethod
    def _similarities(self) -> Float64[np.ndarray, "sample model rdm"]:
        """The same, whole RDMs that are constant up to rounding not yet looked for."""

    @cached_property
    def _weights(self) -> Float64[np.ndarray, "sample pair"]:
        return pair_weights(self.conditions)
