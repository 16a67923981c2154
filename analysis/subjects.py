"""Which RDMs are of one person: sessions of a subject are drawn, left out and split together.

The subject is `rdm_descriptors["subject"]`; where there is none, every RDM is a subject of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64, Int
from rsatoolbox.rdm import RDMs


@dataclass(frozen=True)
class Subjects:
    """Subjects in the order of their names.

    Parameters
    ----------
    names
        Each once.
    of
        (rdm,) number of the subject of each RDM.
    """

    names: tuple[str, ...]
    of: Int[np.ndarray, " rdm"]

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def membership(self) -> Float64[np.ndarray, "subject rdm"]:
        """1 where the RDM is of the subject."""
        return np.asarray(np.arange(len(self))[:, None] == self.of, np.float64)

    @cached_property
    def shares(self) -> Float64[np.ndarray, "subject rdm"]:
        """Weights that average over a subject's RDMs."""
        return np.asarray(self.membership / self.membership.sum(axis=1, keepdims=True))

    def drawn(self, times: Float64[np.ndarray, "draw rdm"]) -> Bool[np.ndarray, "draw subject"]:
        """Whose RDMs are drawn at all; nobody where it is a single subject, who has no others to be compared with."""
        found = times @ self.membership.T > 0
        return np.asarray(found & (found.sum(axis=1, keepdims=True) > 1))


def subjects_of(data: RDMs) -> Subjects:
    """The subjects of the RDMs, named by `subject`, or else by `name` where that tells them apart, or by number."""
    labels = data.rdm_descriptors.get("subject")
    if labels is None:
        labels = data.rdm_descriptors.get("name", ())
        labels = labels if len(set(labels)) == data.n_rdm else [f"{number:04d}" for number in range(data.n_rdm)]
    names, of = np.unique([str(label) for label in labels], return_inverse=True)
    return Subjects(tuple(names.tolist()), of)


def mean_over_drawn(
    values: Float64[np.ndarray, "draw subject"], drawn: Bool[np.ndarray, "draw subject"]
) -> Float64[np.ndarray, " draw"]:
    """Mean over the subjects that are drawn, each once; NaN where there is none."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(drawn, values, 0).sum(axis=1) / drawn.sum(axis=1))
