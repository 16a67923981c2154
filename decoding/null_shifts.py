"""Cheap draws for identification by the latent: the latents of a story shifted in a circle against its text.

The permuted pairing (`nulls`) moves whole windows, so a story of 30 windows has 23 shifts. Latents have a row per
repetition: moved by rows they give ten times as many, at windows whose bounds the shift cuts anew. A shift keeps at
least 40 repetitions of distance either way around the circle.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from .null_scores import NullScores
from .nulls import MIN_REPETITIONS
from .reading import Reading
from .text_features import similarity
from .window_scores import WindowScores

N_SHIFTS = 1000
SHIFTS_AT_ONCE = 64


def shifted_latents(
    reading: Reading, kept: Sequence[int], scores: WindowScores, n_draws: int = N_SHIFTS, seed: int = 0
) -> NullScores | None:
    """Identification under `n_draws` random admissible shifts; None where the story is too short to have one.

    Hearings of one story are shifted alike, because they share its text.
    """
    rows = reading.latent.flatten(0, 1)
    admissible = np.arange(MIN_REPETITIONS, len(rows) - MIN_REPETITIONS + 1)
    if not admissible.size:
        return None
    drawn = np.random.default_rng([seed, *reading.run.story.encode()]).choice(admissible, size=n_draws)
    heard = reading.embedding[list(kept)]
    time = torch.arange(len(rows))
    parts = []
    for first in range(0, n_draws, SHIFTS_AT_ONCE):
        shifts = torch.from_numpy(drawn[first : first + SHIFTS_AT_ONCE])
        moved = rows[(time + shifts[:, None]) % len(rows)].view(len(shifts), *reading.latent.shape)[:, list(kept)]
        pairs = similarity(moved.flatten(0, 1), heard).double().numpy()
        parts.append((scores.of_latents(pairs.reshape(len(shifts), len(kept), len(kept))), None))
    return NullScores.of_stacks(parts, reading.true_counts[..., 0].ravel())
