"""RDMs that say nothing: without spread, nothing can be correlated with them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64

ROUNDING = 64 * np.finfo(np.float64).eps  # spread, as a share of the largest value, that counts as none
WITH_ZERO = {"cosine", "whitened-cosine"}  # measures to which a dissimilarity of zero means something


def constant(rows: Float64[np.ndarray, "_rdm _pair"], measure: str) -> Bool[np.ndarray, " _rdm"]:
    """Which RDMs say nothing under the measure: no spread, up to rounding; for the cosines: all zero."""
    largest = np.abs(rows).max(axis=1)
    if measure in WITH_ZERO:
        return np.asarray(largest == 0)
    return np.asarray(np.ptp(rows, axis=1) <= ROUNDING * largest)
