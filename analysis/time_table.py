"""Similarity over time as a tidy table: what a figure or another program needs of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float

from .time_clusters import ClusterTest
from .time_resolved import Curves

Bounds = tuple[Float[np.ndarray, " time"], Float[np.ndarray, " time"]]


def time_table(curves: Curves, tests: Mapping[str, ClusterTest], ceiling: Bounds | None = None) -> pd.DataFrame:
    """One row a model and time: `value`, the mean over subjects; `error`, its standard error (NaN for one subject).

    Parameters
    ----------
    tests
        By model; `p` is that of the cluster the time is in, corrected over time, and NaN for models without a test.
    ceiling
        Lower and upper noise ceiling at each time.
    """
    n, low_high = len(curves.subjects), ceiling or (np.nan, np.nan)
    parts = []
    for model in curves.models:
        values = curves.of(model)
        parts.append(
            pd.DataFrame(
                {
                    "model": model,
                    "time": curves.time,
                    "value": values.mean(axis=0),
                    "error": values.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.nan,
                    "p": tests[model].p if model in tests else np.nan,
                    "ceiling_low": low_high[0],
                    "ceiling_high": low_high[1],
                    "measure": curves.measure,
                    "n_subjects": n,
                    "n_conditions": curves.n_conditions,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
