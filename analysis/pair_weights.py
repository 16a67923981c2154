"""A resample of conditions, drawn with replacement, as weights of the pairs of conditions.

Conditions drawn w_i and w_j times make w_i w_j equal entries of the resampled RDM, so that sums over the resample are
products of these weights with what is summed. A condition paired with its own copy is left out, as in rsatoolbox: its
dissimilarity of zero is known beforehand.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64


def pair_weights(conditions: Float64[np.ndarray, "sample condition"]) -> Float64[np.ndarray, "sample pair"]:
    """How often each pair is there, from how often each condition is drawn."""
    first, second = np.triu_indices(conditions.shape[1], 1)
    weights = np.take(conditions, first, axis=1)
    weights *= np.take(conditions, second, axis=1)
    return weights
