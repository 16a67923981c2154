"""What a picture's surface explains of a brain region: pixels, colour, edges, Gabor energy. And what its category does.

They stand beside trained networks in every table. Those computed from images are sources of features like any network
(see `feature_source`), with one layer each; those of labels are RDMs at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float
from rsatoolbox.rdm import RDMs
from torch import Tensor

from ..datasets.errors import WrongArgument
from .feature_source import Shape
from .resize import Images, with_channels


class ImageBaseline(ABC):
    """Base of the baselines computed from images. Subclasses give their name, and the dissimilarity that suits them.

    Parameters
    ----------
    size
        Pixels a side that images are scaled to; a baseline is then the same thing for images of any size.
    """

    name: ClassVar[str]
    method: ClassVar[str] = "correlation"  # of `rdm.rdms`
    channels: ClassVar[int] = 1

    def __init__(self, size: int = 64) -> None:
        if size < 8:
            raise WrongArgument(f"size {size}", self.name, "Give 8 pixels a side or more.")
        self.size = size

    def descriptors(self) -> dict[str, Any]:
        """The name; of no rule, and a baseline."""
        return {"name": self.name, "network": self.name, "rule": "none", "seed": 0, "baseline": True}

    def fingerprint(self) -> str:
        """The class and its settings."""
        return repr((type(self).__qualname__, sorted(vars(self).items())))

    def input_shape(self) -> Shape:
        """Square, in grey or colour."""
        return self.channels, self.size, self.size

    @abstractmethod
    def features(self, images: Images) -> dict[str, Tensor]:
        """One layer (stimulus ...), named like the baseline."""


class Pixels(ImageBaseline):
    """Red, green and blue at every place: a silhouette and its colours."""

    name = "pixels"
    channels = 3

    def features(self, images: Images) -> dict[str, Tensor]:
        return {self.name: images}


class MeanColour(ImageBaseline):
    """The mean of red, green and blue over the image, so luminance too; by Euclidean distance."""

    name = "mean colour"
    method = "euclidean"
    channels = 3

    def features(self, images: Images) -> dict[str, Tensor]:
        return {self.name: with_channels(images, 3).mean((2, 3))}


def category_rdms(ids: Sequence[str], labels: Mapping[str, Sequence[object] | np.ndarray]) -> RDMs:
    """One model RDM a labelling: 0 within a category, 1 between categories.

    Ties are half of such a model: tau-a compares it fairly with a graded one (Nili et al. 2014,
    doi:10.1371/journal.pcbi.1003553), Spearman and tau-b favour it.

    Parameters
    ----------
    labels
        By the model's name ("animacy"), the category of each id.

    Raises `WrongArgument` for labels that do not count as many as the ids, or are all the same, or all different.
    """
    rows = [_apart(name, list(values), len(ids)) for name, values in labels.items()]
    names = list(labels)
    facts: dict[str, list[Any]] = {"name": names, "network": names, "layer": names, "rule": ["none"] * len(names)}
    facts |= {"seed": [0] * len(names), "baseline": [True] * len(names)}
    return RDMs(np.stack(rows), "category", {}, facts, {"stimulus": list(ids)})


def _apart(name: str, labels: list[object], n_stimuli: int) -> Float[np.ndarray, " pair"]:
    if len(labels) != n_stimuli:
        raise WrongArgument(f"{len(labels)} labels for {n_stimuli} stimuli", name, "Give one for each stimulus.")
    texts = np.array([str(label) for label in labels])
    first, second = np.triu_indices(n_stimuli, 1)
    apart: Float[np.ndarray, " pair"] = (texts[first] != texts[second]).astype(np.float64)
    if apart.min() == apart.max():
        raise WrongArgument("labels are all the same or all different", name, "Such a model has no structure.")
    return apart
