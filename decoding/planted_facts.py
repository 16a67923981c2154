"""What is known about a synthetic study beside the scores: the map against the planted voxels, the share of the oracle.

Facts are rows {name, value, detail} of the run's facts.json, each with its 95% interval in the detail.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from ..datasets.brain_map import BrainMap
from ..datasets.oracle import oracle
from ..datasets.synthetic import SyntheticStudy
from .evaluation import ScoredStory
from .identification import chance, top_pairs
from .intervals import Draws, Samples, interval
from .network import BrainToTextNetwork
from .results import DECODER
from .voxel_map import EDGE, area_under_curve, auc_interval, voxel_map


def planted_map(study: SyntheticStudy, subjects: Sequence[str]) -> BrainMap:
    """Share of the people in whom a voxel was planted."""
    truths = [study.truth(subject) for subject in subjects]
    return BrainMap(np.stack([truth.volume for truth in truths]).astype(np.float64).mean(axis=0), truths[0].affine)


def map_facts(
    study: SyntheticStudy, scored: Sequence[ScoredStory], network: BrainToTextNetwork
) -> Iterator[dict[str, Any]]:
    """AUC of every person's voxel map; none for a network without gates or recordings without a mask."""
    runs = {story.reading.run.subject: story.reading.run for story in scored}
    for subject, recording in sorted(runs.items()):
        mask, truth = recording.responses.mask, study.truth(subject).volume
        image = voxel_map(network, mask, subject) if mask is not None else None
        if image is None or mask is None:
            continue
        low, high = auc_interval(image, truth, mask)
        who = "seen" if subject in network.facts.subjects else "unseen"
        bounds = f"95% interval {low:.3f} to {high:.3f}, bootstrap over cubes of {EDGE} voxels a side"
        detail = f"{bounds}, chance .5, {who} subject, {int(truth.sum())} planted voxels"
        yield {"name": f"voxel map AUC, {subject}", "value": area_under_curve(image, truth, mask), "detail": detail}


def oracle_facts(study: SyntheticStudy, scored: Sequence[ScoredStory]) -> Iterator[dict[str, Any]]:
    """`latent_top1` of every person as a share of the oracle's on the same windows among the same candidates."""
    for subject in sorted({story.reading.run.subject for story in scored}):
        group = [story for story in scored if story.reading.run.subject == subject]
        samples = [_beside_oracle(study, story) for story in group]
        windows = np.concatenate(samples)
        own, best = mean = windows.mean(axis=0)
        low, high = interval(samples, [story.reading.run.story for story in group], estimate=_share)
        by_luck = np.average([chance("top1", len(sample)) for sample in samples], weights=[*map(len, samples)])
        bounds = f"95% interval {low:.3f} to {high:.3f}, bootstrap as for the scores"
        detail = f"{bounds}, latent_top1 {own:.3f} of {best:.3f}, chance {by_luck:.3f}, {len(windows)} windows"
        yield {"name": f"share of the oracle, {subject}", "value": float(_share(mean[None])[0]), "detail": detail}


def _beside_oracle(study: SyntheticStudy, story: ScoredStory) -> Samples:
    """Per scored window its latent_top1 and the oracle's."""
    run, kept = story.reading.run, np.ix_(story.kept, story.kept)
    best = top_pairs(oracle(study, run.subject, run.story).similarity[kept], 1)
    return np.concatenate([story.scores[DECODER].samples("latent_top1"), np.diagonal(best)[:, None]], axis=1)


def _share(draws: Draws) -> Float64[np.ndarray, " draw"]:
    own, best = draws.T
    share: Float64[np.ndarray, " draw"] = np.divide(own, best, out=np.full(len(draws), np.nan), where=best > 0)
    return share
