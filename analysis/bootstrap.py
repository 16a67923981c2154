"""Resamples of subjects, of stimuli, and of both, as numbers of times that each is drawn.

The two-factor bootstrap draws subjects and stimuli for every sample and evaluates three times: with both resampled,
with the subjects alone, with the stimuli alone. Both at once overestimate the variance; from the three the corrected
variance follows (Schütt et al. 2023, eLife 12:e82566, and `variance`). Stimuli are resampled once for two of them.

On the same resamples equal to rsatoolbox's `eval_dual_bootstrap`, `eval_bootstrap_rdm` and `eval_bootstrap_pattern`.
Deviation: a draw of one single subject has no noise ceiling, where rsatoolbox compares an RDM with itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Bool, Float64

from ..datasets.errors import BrokenData, WrongArgument
from .comparison import measure_called
from .resampled_products import ResampledProducts
from .resampled_ranks import ResampledRanks
from .resampled_tau import ResampledTau
from .resampled_whitening import ResampledWhitened
from .resampling import Resampled
from .subjects import Subjects
from .whitening import conditions_of

FACTORS = ("both", "subjects", "stimuli")
MIN_DISTINCT = 3  # conditions, without which a resample says nothing, as in rsatoolbox
ENGINES: dict[str, type[Resampled]] = {
    "pearson": ResampledProducts,
    "spearman": ResampledRanks,
    "tau-a": ResampledTau,
    "tau-b": ResampledTau,
    "cosine": ResampledProducts,
    "whitened-cosine": ResampledWhitened,
    "whitened-correlation": ResampledWhitened,
    "rho-a": ResampledRanks,
}

Rows = Float64[np.ndarray, "_rdm pair"]
Times = Float64[np.ndarray, "sample drawn"]


@dataclass(frozen=True)
class Resamples:
    """How often each subject and each condition is drawn, or None where they are not resampled.

    Parameters
    ----------
    subjects
        (sample, subject), in the order of the subjects' names.
    conditions
        (sample, condition), in the order of the conditions' ids.
    """

    subjects: Float64[np.ndarray, "sample subject"] | None
    conditions: Float64[np.ndarray, "sample condition"] | None

    def __len__(self) -> int:
        return len(self.conditions if self.subjects is None else self.subjects)  # type: ignore[arg-type]  # one is there

    def part(self, start: int, stop: int) -> Resamples:
        """The samples from `start` until before `stop`."""
        return Resamples(*(None if times is None else times[start:stop] for times in (self.subjects, self.conditions)))


@dataclass(frozen=True)
class Draws:
    """What the resamples give.

    Parameters
    ----------
    similarities
        (factor, sample, model) mean over data RDMs; factors are both, subjects, stimuli, or the one that is resampled.
    bounds
        (factor, sample, 2) lower and upper noise ceiling.

    NaN where a resample has fewer than three distinct conditions, where an RDM is constant in it, and for the bounds
    where it has a single subject.
    """

    similarities: Float64[np.ndarray, "factor sample model"]
    bounds: Float64[np.ndarray, "factor sample 2"]


def draw(n_subjects: int, n_conditions: int, resample: str, *, samples: int = 1000, seed: int = 0) -> Resamples:
    """As many subjects and conditions as there are, with replacement; `resample` is one of `FACTORS`.

    Raises `WrongArgument` for another.
    """
    if resample not in FACTORS:
        raise WrongArgument(f"there is no resampling of {resample!r}", "resample", f"Take one of {', '.join(FACTORS)}.")
    streams = np.random.default_rng(seed).spawn(2)
    subjects, conditions = (
        stream.multinomial(n, np.full(n, 1 / n), size=samples).astype(np.float64)
        for stream, n in zip(streams, (n_subjects, n_conditions), strict=True)
    )
    return Resamples(None if resample == "stimuli" else subjects, None if resample == "subjects" else conditions)


def evaluate(
    models: Float64[np.ndarray, "model pair"],
    data: Float64[np.ndarray, "rdm pair"],
    subjects: Subjects,
    measure: str,
    resamples: Resamples,
) -> Draws:
    """Similarities and noise ceilings in every resample, a chunk of resamples at a time.

    Parameters
    ----------
    models, data
        Dissimilarities, upper triangles taken by rows, none missing; conditions in the order of `resamples`.
    subjects
        Whose RDMs the data are, in the order of `resamples`.
    measure
        One of `comparison.MEASURES`; raises `WrongArgument` for another.
    """
    of: Callable[[Times], Resampled] = partial(engine(measure), models, data, subjects, measure)
    whole = of(np.ones((1, conditions_of(models.shape[1]))))
    width = engine(measure).samples_at_once(len(models), *data.shape)
    chunks = [_evaluated(of, whole, subjects, resamples.part(at, at + width)) for at in range(0, len(resamples), width)]
    return Draws(*(np.concatenate(parts, axis=1) for parts in zip(*chunks, strict=True)))


def resampled_similarities(
    models: Float64[np.ndarray, "model pair"],
    data: Float64[np.ndarray, "rdm pair"],
    measure: str,
    conditions: Float64[np.ndarray, "sample condition"],
) -> Float64[np.ndarray, "sample model rdm"]:
    """Similarity of every model with every data RDM in each resample of the conditions, without noise ceilings.

    Parameters
    ----------
    models, data, measure
        As of `evaluate`.
    conditions
        How often each condition is drawn.

    NaN where fewer than three distinct conditions are drawn, and where an RDM is constant in the resample. Raises
    `WrongArgument` for an unknown measure and for counts of other conditions, and `BrokenData` for missing pairs.
    """
    _check(models, data, conditions.shape[1])
    everyone = Subjects(tuple(map(str, range(len(data)))), np.arange(len(data)))
    width = engine(measure).samples_at_once(len(models), *data.shape)
    chunks = [conditions[at : at + width] for at in range(0, len(conditions), width)]
    found = np.concatenate([engine(measure)(models, data, everyone, measure, some).similarities for some in chunks])
    found[_too_few(conditions)] = np.nan
    return found


def engine(measure: str) -> type[Resampled]:
    """What resamples the measure; raises `WrongArgument` that lists the names for one that is not there."""
    measure_called(measure)
    return ENGINES[measure]


def _check(models: Rows, data: Rows, n_conditions: int) -> None:
    pairs = n_conditions * (n_conditions - 1) // 2
    if models.shape[1] != pairs or data.shape[1] != pairs:
        what = f"counts are for {n_conditions} conditions, the RDMs have {models.shape[1]} and {data.shape[1]} pairs"
        raise WrongArgument(what, "conditions", "Join them by id first.")
    for rows, name in ((models, "models"), (data, "data")):
        refuse_missing(rows, name)


def refuse_missing(rows: Rows, name: str) -> None:
    """Raise `BrokenData` where a pair is missing in any of the RDMs, which go by that name in the message."""
    missing = int(np.isnan(rows).any(axis=0).sum())
    if missing:
        raise BrokenData(
            f"{missing} pairs are missing (NaN), and permuted or resampled labels would move them",
            name,
            "Cut the conditions to those whose pairs are all there, with subset_pattern.",
        )


def _too_few(conditions: Float64[np.ndarray, "sample condition"]) -> Bool[np.ndarray, " sample"]:
    return np.asarray((conditions > 0).sum(axis=1) < MIN_DISTINCT)


def _evaluated(
    of: Callable[[Times], Resampled], whole: Resampled, subjects: Subjects, chunk: Resamples
) -> tuple[Float64[np.ndarray, "factor sample model"], Float64[np.ndarray, "factor sample 2"]]:
    """Similarities and bounds of each factor: both, subjects, stimuli."""
    everyone = np.ones((len(chunk), len(subjects.of)))
    drawn = everyone if chunk.subjects is None else chunk.subjects[:, subjects.of]
    if chunk.conditions is None:
        parts = [_mean(whole, drawn)]
    else:
        resampled = of(chunk.conditions)
        parts = [_mean(resampled, drawn)]
        if chunk.subjects is not None:
            parts += [_mean(whole, drawn), _mean(resampled, everyone)]
        for values in (*parts[0], *parts[-1]):  # those of resampled conditions
            values[_too_few(chunk.conditions)] = np.nan
    return np.stack([similarity for similarity, _ in parts]), np.stack([bounds for _, bounds in parts])


def _mean(
    resampled: Resampled, times: Float64[np.ndarray, "sample rdm"]
) -> tuple[Float64[np.ndarray, "sample model"], Float64[np.ndarray, "sample 2"]]:
    """Similarity averaged over the data RDMs that are drawn `times`, and the bounds."""
    summed = (times[:, None] @ resampled.similarities.swapaxes(1, 2))[:, 0]
    return summed / times.sum(axis=1, keepdims=True), resampled.bounds(times)
