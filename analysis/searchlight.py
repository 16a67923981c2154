"""Searchlight: where in the brain do the patterns of a small sphere have a model's geometry?

Around every voxel of the mask, the RDM of the voxels within a radius in mm is compared with model RDMs (Kriegeskorte,
Goebel & Bandettini 2006, PNAS 103:3863). Beside the map stands its null: condition labels of the models are permuted,
by the same permutations in every sphere, so that the largest value of a permutation's whole map corrects for the
number of spheres (Nichols & Holmes 2002, Hum Brain Mapp 15:1). p-values are one-sided, (1 + times the null is at
least as large) / (1 + permutations).

Spheres are computed many at once, as batched matrix products; parts of the mask go to joblib's workers.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, Int
from joblib import Parallel, delayed
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs

from ..datasets.errors import BrokenData
from ..datasets.study import VoxelMask
from .comparison import constant, similarities
from .conditions import condition_names, title
from .permutation import permuted_pairs
from .ranks import midranks
from .searchlight_input import Residuals, check_arguments, check_channels, folds, in_order, model_names
from .sphere_distances import set_distances
from .spheres import Spheres

CHUNK = 64 * 2**20  # bytes
HIGH = 0.95  # the quantile of a voxel's null that the null map shows
Maps = Float64[np.ndarray, "model channel"]


@dataclass(frozen=True, eq=False)
class Searchlight:
    """Maps over the channels of the mask, one for each model; NaN where no sphere was tested.

    `value` is the similarity; `null_mean` and `null_high` mean and 95% quantile of its null; `p` is uncorrected,
    `p_max` corrected for all spheres of the model's map. `largest` (model permutation) holds the null's maxima,
    `n_voxels` the size of each sphere.
    """

    mask: VoxelMask
    names: tuple[str, ...]
    measure: str
    value: Maps
    null_mean: Maps
    null_high: Maps
    p: Maps
    p_max: Maps
    largest: Float64[np.ndarray, "model permutation"]
    n_voxels: Int[np.ndarray, " channel"]

    def maps(self, model: int = 0) -> dict[str, Float64[np.ndarray, " channel"]]:
        """The maps of a model by name, as `datasets.searchlight_volume.write_maps` takes them."""
        names = ("value", "null_mean", "null_high", "p", "p_max")
        return {name: getattr(self, name)[model] for name in names} | {"n_voxels": self.n_voxels.astype(float)}


@dataclass(frozen=True, eq=False)
class _Task:
    """What every part of the mask needs."""

    patterns: Float64[np.ndarray, "fold condition channel"]
    residuals: tuple[Residuals, ...]
    spheres: Spheres
    method: str
    measure: str
    ranked: bool  # the models are ranks already, and the measure is to be taken of ranks
    models: Float64[np.ndarray, "model permutation pair"]  # the first permutation leaves all where it is


def searchlight(
    data: Dataset,
    mask: VoxelMask,
    models: RDMs,
    *,
    radius: float,
    method: str = "correlation",
    measure: str = "spearman",
    noise: np.ndarray | Mapping[Any, np.ndarray] | None = None,
    permutations: int = 1000,
    coverage: float = 0.5,
    seed: int = 0,
    n_jobs: int = 1,
    chunk: int = CHUNK,
) -> Searchlight:
    """Maps of the similarity of each sphere's RDM with model RDMs, beside their null.

    Parameters
    ----------
    data
        Patterns (observation channel); channel c is voxel c of the mask. Nothing else is read.
    models
        RDMs over the same conditions, joined by id.
    radius
        In mm.
    method
        A distance of `rdm.rdms`; poisson, too.
    measure
        A similarity of `comparison.compare`.
    noise
        For mahalanobis and crossnobis: residuals (time channel) of the model that gave the patterns, for crossnobis
        also one such array by run. Their covariance is shrunk towards the diagonal in each sphere.
    permutations
        0 for none: then p is NaN.
    coverage
        A sphere is tested where at least this share of a whole one lies in the mask.
    n_jobs, chunk
        joblib's workers (also those of a cluster's backend); bytes of a part of the mask in one of them.

    Raises `BrokenData` and `WrongArgument` as `rdm.rdms` does, for patterns that do not fit the mask, and where no
    sphere can be tested. Warns of spheres whose RDM is undefined (a pattern without variance) or constant.
    """
    check_arguments(method, measure, permutations, coverage)
    names = condition_names(data)
    patterns, residuals = folds(data, names, method, noise)
    check_channels(patterns, residuals, mask, title(data))
    spheres = Spheres(mask, float(radius))
    sizes = spheres.sizes()
    centres = _tested(sizes, spheres, coverage)
    null = _relabelled(in_order(models, names), len(names), permutations, seed)
    # Spearman's correlation is Pearson's of ranks, and ranks permute with the conditions: the models' are taken once.
    ranked = measure == "spearman"
    null = midranks(null.reshape(-1, null.shape[-1])).reshape(null.shape) if ranked else null
    task = _Task(patterns, residuals, spheres, method, "pearson" if ranked else measure, ranked, null)
    n_parts = min(len(centres), -(-len(centres) * _bytes_per_sphere(task) // chunk))
    parts = np.array_split(centres, n_parts)
    found = Parallel(n_jobs=n_jobs)(delayed(_part)(task, part) for part in parts)
    return _gathered(found, parts, mask, model_names(models), measure, sizes)


def _tested(sizes: Int[np.ndarray, " channel"], spheres: Spheres, coverage: float) -> Int[np.ndarray, " centre"]:
    centres = np.flatnonzero(sizes >= max(2, coverage * len(spheres.offsets)))
    if not len(centres):
        raise BrokenData(
            f"no sphere lies in the mask to {coverage:.0%}", "coverage", "Give a lower coverage or a shorter radius."
        )
    return centres


def _part(
    task: _Task, centres: Int[np.ndarray, " centre"]
) -> tuple[Float64[np.ndarray, "4 model centre"], Float64[np.ndarray, "model permutation"]]:
    """Of some spheres value, mean and quantile of the null, and p, stacked; and the largest of each permutation."""
    rdms = _rdms(task, centres)
    tested = np.isfinite(rdms).all(1)
    tested[tested] = ~constant(rdms[tested], task.measure)
    n_models, n_permutations, _ = task.models.shape
    maps = np.full((4, n_models, len(centres)), np.nan)
    largest = np.full((n_models, n_permutations - 1), -np.inf)
    if not tested.any():
        return maps, largest
    rows = midranks(rdms[tested]) if task.ranked else rdms[tested]
    for model, relabelled in enumerate(task.models):
        values = similarities(relabelled, rows, task.measure)
        maps[0, model, tested] = values[0]
        if n_permutations > 1:
            null = values[1:]
            # A tie must not be broken by rounding.
            at_least = null >= values[0] - 1e-12
            maps[1:, model, tested] = null.mean(0), np.quantile(null, HIGH, axis=0), _p(at_least.sum(0), len(null))
            largest[model] = null.max(1)
    return maps, largest


def _rdms(task: _Task, centres: Int[np.ndarray, " centre"]) -> Float64[np.ndarray, "centre pair"]:
    members, used = task.spheres.members(centres)
    patterns = torch.from_numpy(task.patterns[:, :, members]).permute(2, 0, 1, 3)
    residuals = [torch.from_numpy(np.asarray(one[:, members], np.float64)).transpose(0, 1) for one in task.residuals]
    found = set_distances(patterns, torch.from_numpy(used), task.method, residuals)
    return np.asarray(found.numpy())


def _gathered(
    found: Sequence[tuple[np.ndarray, np.ndarray]],
    parts: Sequence[Int[np.ndarray, " _centre"]],
    mask: VoxelMask,
    names: tuple[str, ...],
    measure: str,
    sizes: Int[np.ndarray, " channel"],
) -> Searchlight:
    """Maps over the whole mask; p is corrected here, where the largest value of every part is known."""
    maps = np.full((4, len(names), mask.n_voxels), np.nan)
    maps[..., np.concatenate(parts)] = np.concatenate([part for part, _ in found], axis=-1)
    largest = np.max([one for _, one in found], axis=0)
    value, mean, high, p = maps
    untested = np.isnan(value[0, np.concatenate(parts)]).sum()
    if untested:
        warnings.warn(
            f"{untested} spheres are NaN: a pattern in them does not vary, or all their distances are the same",
            stacklevel=3,
        )
    at_least = np.stack(
        [one.size - np.searchsorted(np.sort(one), values - 1e-12) for one, values in zip(largest, value, strict=True)]
    )
    p_max = np.where(np.isnan(p), np.nan, _p(at_least, largest.shape[1]))
    return Searchlight(mask, names, measure, value, mean, high, p, p_max, largest, sizes)


def _p(at_least: Int[np.ndarray, "*map"], n: int) -> Float64[np.ndarray, "*map"]:
    return np.asarray((1 + at_least) / (1 + n))


def _relabelled(
    models: Float64[np.ndarray, "model pair"], n: int, permutations: int, seed: int
) -> Float64[np.ndarray, "model permutation pair"]:
    """Each model's dissimilarities under permuted conditions; the first permutation is none."""
    rng = np.random.default_rng(seed)
    orders = rng.permuted(np.tile(np.arange(n), (1 + permutations, 1)), axis=1)
    orders[0] = np.arange(n)
    return np.asarray(models[:, permuted_pairs(orders)])


def _bytes_per_sphere(task: _Task) -> int:
    """What a sphere needs in double: its patterns and residuals twice, covariances, RDM and null."""
    n_folds, conditions, _ = task.patterns.shape
    size = len(task.spheres.offsets)
    rows = n_folds * conditions + sum(len(one) for one in task.residuals)
    covariances = (len(task.residuals) + 3) * size**2 if task.residuals else 0
    return int(8 * (3 * rows * size + covariances + 8 * conditions**2 + 4 * task.models.shape[1]))
