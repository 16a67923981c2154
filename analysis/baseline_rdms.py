"""Every baseline of a stimulus set at once, as the model RDMs that stand beside trained networks in each table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import UInt8
from rsatoolbox.rdm import RDMs

from .activations import activations
from .baselines import ImageBaseline, MeanColour, Pixels, category_rdms
from .edge_energy import EdgeEnergy
from .gabor_energy import GaborEnergy
from .rdm import rdms


def image_baselines() -> list[ImageBaseline]:
    """Those that need images alone, each in its usual setting."""
    return [Pixels(), MeanColour(), EdgeEnergy(), GaborEnergy()]


def baseline_rdms(
    images: UInt8[np.ndarray, "stimulus channel height width"],
    ids: Sequence[str],
    labels: Mapping[str, Sequence[object] | np.ndarray] | None = None,
    *,
    sources: Sequence[ImageBaseline] | None = None,
) -> RDMs:
    """One RDM a baseline, those of images first; its `dissimilarity` is among the rdm_descriptors.

    Parameters
    ----------
    labels
        By a category model's name, the category of each id (see `category_rdms`).
    sources
        Other baselines than `image_baselines()`, each with the dissimilarity that it states.

    Raises what `activations`, `rdms` and `category_rdms` raise: a baseline in which a stimulus is constant, like the
    edges of a uniform image, has no correlation distance, and the error names both.
    """
    chosen = image_baselines() if sources is None else sources
    found = [rdms(activations(source, images, ids).datasets(), source.method) for source in chosen]
    if labels:
        found.append(category_rdms(ids, labels))
    return _stacked(found, list(ids))


def _stacked(found: Sequence[RDMs], ids: list[str]) -> RDMs:
    """One under the other, with what each says of itself, "" where it says nothing; rsatoolbox joins like with like."""
    for one in found:
        one.rdm_descriptors["dissimilarity"] = [one.dissimilarity_measure] * one.n_rdm
    keys = dict.fromkeys(key for one in found for key in one.rdm_descriptors if key != "index")
    told = {key: [v for one in found for v in one.rdm_descriptors.get(key, [""] * one.n_rdm)] for key in keys}
    return RDMs(np.concatenate([one.dissimilarities for one in found]), None, {}, told, {"stimulus": ids})
