"""Square dissimilarity matrices, as studies publish them, checked and made into rsatoolbox `RDMs`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from rsatoolbox.rdm.rdms import RDMs

from .errors import BrokenData

TOLERANCE = 1e-5  # of the largest dissimilarity: what single precision leaves of symmetry


def subject_rdms(
    squares: Float[np.ndarray, "subject session row column"],
    ids: Sequence[str],
    subjects: Sequence[str],
    sessions: Sequence[str],
    *,
    region: str,
    averaged: bool,
    where: Path,
    measure: str | None = "correlation",
) -> RDMs:
    """One RDM per subject, the mean over its sessions; with `averaged=False` one per subject and session.

    `measure` says how the matrices were made, as rsatoolbox names it; None where the source does not say.

    Raises `BrokenData` when a matrix is not one row and column per id, or not a dissimilarity: finite, symmetric, and
    0 (or undefined, NaN) between a condition and itself.
    """
    _check(squares, ids, subjects, sessions, region, where)
    if averaged:
        squares = squares.mean(axis=1, keepdims=True, dtype=np.float64)
        sessions = ["mean" if len(sessions) > 1 else sessions[0]]
    above = np.triu_indices(len(ids), 1)
    who = [subject for subject in subjects for _ in sessions]
    when = [session for _ in subjects for session in sessions]
    return RDMs(
        squares[..., above[0], above[1]].reshape(len(who), -1).astype(np.float64),
        dissimilarity_measure=measure,
        pattern_descriptors={"stimulus": list(ids)},
        rdm_descriptors={
            "subject": who,
            "session": when,
            "region": [region] * len(who),
            "name": [", ".join(filter(None, (region, *label))) for label in zip(who, when, strict=True)],
        },
    )


def _check(
    squares: np.ndarray, ids: Sequence[str], subjects: Sequence[str], sessions: Sequence[str], region: str, where: Path
) -> None:
    expected = len(subjects), len(sessions), len(ids), len(ids)
    if squares.shape != expected:
        raise _broken(f"RDMs of {region} have shape {squares.shape} instead of {expected}", where)
    off = ~np.eye(len(ids), dtype=bool)
    if not np.isfinite(squares[..., off]).all():
        raise _broken(f"an RDM of {region} holds values that are not finite", where)
    limit = TOLERANCE * np.abs(squares[..., off]).max(initial=0.0)
    if np.abs(np.where(off, squares - squares.swapaxes(-1, -2), 0)).max(initial=0.0) > limit:
        raise _broken(f"an RDM of {region} is not symmetric", where)
    if np.abs(np.nan_to_num(squares[..., ~off])).max(initial=0.0) > limit:
        raise _broken(f"an RDM of {region} is not 0 between a condition and itself", where)


def _broken(what: str, where: Path) -> BrokenData:
    return BrokenData(what, where, "Take the file as it was published.")
