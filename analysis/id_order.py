"""Conditions in the order of their ids, so that another order of the stimuli changes no number, to the last bit.

What is drawn at random is drawn for ids in this order, never for positions in a file.
"""

from __future__ import annotations

import numpy as np
from rsatoolbox.rdm import RDMs

from .joined import BY, condition_ids, join


def in_id_order(*rdms: RDMs) -> tuple[RDMs, ...]:
    """The RDMs joined by id, their conditions sorted by id; raises what `join` raises."""
    ids = sorted(condition_ids(join(*rdms)[0]))
    pairs = len(ids) * (len(ids) - 1) // 2
    return join(RDMs(np.zeros((1, pairs)), pattern_descriptors={BY: ids}), *rdms)[1:]
