"""Cheap draws for identification: the latents (or responses) of a story shifted in a circle against its text.

The permuted pairing (`nulls`) moves whole windows, so a story of 30 windows has 23 shifts. Latents have a row per
repetition: moved by rows they give ten times as many, at windows whose bounds the shift cuts anew. A shift keeps at
least 40 repetitions of distance either way around the circle.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .brain_reading import Reading
from .null_scores import NullScores
from .nulls import MIN_REPETITIONS
from .window_scores import WindowScores

N_SHIFTS = 1000
SHIFTS_AT_ONCE = 64


def shifted_latents(
    reading: Reading, kept: Sequence[int], scores: WindowScores, n_draws: int = N_SHIFTS, seed: int = 0
) -> NullScores | None:
    """Identification under `n_draws` random admissible shifts; None where the story is too short to have one.

    Hearings of one story are shifted alike, because they share its text.
    """
    admissible = np.arange(MIN_REPETITIONS, reading.n_rows - MIN_REPETITIONS + 1)
    if not admissible.size:
        return None
    drawn = np.random.default_rng([seed, *reading.run.story.encode()]).choice(admissible, size=n_draws)
    parts = []
    for first in range(0, n_draws, SHIFTS_AT_ONCE):
        shifts = drawn[first : first + SHIFTS_AT_ONCE].tolist()
        parts.append((scores.of_latents(reading.shifted(shifts, kept)), None))
    return NullScores.of_stacks(parts, reading.true_counts[..., 0].ravel())
