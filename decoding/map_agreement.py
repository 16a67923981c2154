"""How well two maps of one brain agree: correlation, and the share that their strongest voxels have in common.

Both maps are smooth, so their voxels are no independent samples and a textbook p would be far too small. The null
moves one map as a whole: it is translated against the other by every vector that is long enough and leaves enough of
the mask in common, and the agreement is computed over the voxels that then lie in both masks. The smoothness of each
map stays, only their alignment is lost. All translations come from a few Fourier transforms (Padfield 2012, "Masked
object registration in the Fourier domain", IEEE Trans. Image Process. 21:2706).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64
from scipy.signal import fftconvolve
from scipy.stats import rankdata

from ..datasets.errors import WrongArgument
from .nulls import Null

TOP = 0.05  # share of the mask that counts as a map's strongest voxels
MIN_SHARED = 0.5  # share of the mask that a translation must keep in common


@dataclass(frozen=True)
class Agreement:
    """A measure of two maps' agreement, its null over translations, and what chance alone gives."""

    measure: str
    value: float
    null: Null
    chance: float


def agreements(
    first: Float[np.ndarray, "x y z"],
    second: Float[np.ndarray, "x y z"],
    mask: Bool[np.ndarray, "x y z"],
    min_shift: float,
) -> list[Agreement]:
    """Pearson's and Spearman's r inside the mask, and the overlap of the top 5%.

    Parameters
    ----------
    min_shift
        Shortest translation of the null, in voxels: farther than the maps are smooth.

    The overlap is the share of the second map's top voxels that are also among the first's; chance 5%.
    """
    admissible = _admissible(mask, min_shift)
    measures = {
        "pearson": (_correlations(first, second, mask), 0.0),
        "spearman": (_correlations(_ranks(first, mask), _ranks(second, mask), mask), 0.0),
        "top_overlap": (_overlaps(_top(first, mask), _top(second, mask), mask), TOP),
    }
    return [_agreement(name, values, admissible, chance) for name, (values, chance) in measures.items()]


def _agreement(
    name: str,
    values: Float64[np.ndarray, "dx dy dz"],
    admissible: Bool[np.ndarray, "dx dy dz"],
    chance: float,
) -> Agreement:
    value, draws = float(values[_centre(values.shape)]), values[admissible]
    mean, sd = float(draws.mean()), float(draws.std(ddof=1))
    z = (value - mean) / sd if sd > 0 else float("nan")
    p = float((1 + np.sum(draws >= value - 1e-9)) / (1 + draws.size))
    return Agreement(name, value, Null(mean, sd, z, p), chance)


def _admissible(mask: Bool[np.ndarray, "x y z"], min_shift: float) -> Bool[np.ndarray, "dx dy dz"]:
    shared = _products(mask, mask)
    axes = [np.arange(1 - side, side) for side in mask.shape]
    length = np.sqrt(sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij")))
    admissible: Bool[np.ndarray, "dx dy dz"] = (length >= min_shift) & (shared >= MIN_SHARED * mask.sum())
    if admissible.sum() < 2:
        raise WrongArgument(
            f"no translation by {min_shift:g} voxels keeps half of the mask", "min_shift", "Choose a smaller one."
        )
    return admissible


def _correlations(
    first: Float[np.ndarray, "x y z"], second: Float[np.ndarray, "x y z"], mask: Bool[np.ndarray, "x y z"]
) -> Float64[np.ndarray, "dx dy dz"]:
    """Pearson's r over the shared voxels for every translation; 0 where a map is constant there."""
    a, b, inside = _scaled(first, mask), _scaled(second, mask), mask.astype(float)
    n = np.maximum(_products(inside, inside), 1.0)
    mean_a, mean_b = _products(a, inside) / n, _products(inside, b) / n
    covariance = _products(a, b) / n - mean_a * mean_b
    variance = (_products(a**2, inside) / n - mean_a**2) * (_products(inside, b**2) / n - mean_b**2)
    spread = np.sqrt(np.clip(variance, 0, None))
    r: Float64[np.ndarray, "dx dy dz"] = np.divide(
        covariance, spread, out=np.zeros_like(covariance), where=spread > 1e-6
    )
    return r


def _overlaps(
    first: Bool[np.ndarray, "x y z"], second: Bool[np.ndarray, "x y z"], mask: Bool[np.ndarray, "x y z"]
) -> Float64[np.ndarray, "dx dy dz"]:
    """Share of the second map's top voxels, where the first map lies over them, that are among its top too."""
    both, there = np.rint(_products(first, second)), np.rint(_products(mask, second))
    share: Float64[np.ndarray, "dx dy dz"] = np.divide(both, there, out=np.zeros_like(both), where=there > 0)
    return share


def _products(first: np.ndarray, second: np.ndarray) -> Float64[np.ndarray, "dx dy dz"]:
    """Sum of the products of two volumes for every translation of the first; the middle entry is no translation."""
    products: Float64[np.ndarray, "dx dy dz"] = fftconvolve(
        np.asarray(second, np.float64), np.asarray(first, np.float64)[::-1, ::-1, ::-1]
    )
    return products


def _centre(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(side // 2 for side in shape)


def _scaled(values: Float[np.ndarray, "x y z"], mask: Bool[np.ndarray, "x y z"]) -> Float64[np.ndarray, "x y z"]:
    """z-scored inside the mask, where rounding then does no harm, and 0 outside."""
    inside = values[mask]
    spread = inside.std()
    out: Float64[np.ndarray, "x y z"] = np.where(mask, (values - inside.mean()) / (spread if spread > 0 else 1.0), 0.0)
    return out


def _ranks(values: Float[np.ndarray, "x y z"], mask: Bool[np.ndarray, "x y z"]) -> Float64[np.ndarray, "x y z"]:
    out = np.zeros(mask.shape)
    out[mask] = rankdata(values[mask])
    return out


def _top(values: Float[np.ndarray, "x y z"], mask: Bool[np.ndarray, "x y z"]) -> Bool[np.ndarray, "x y z"]:
    """The strongest voxels: exactly `TOP` of the mask, at least one."""
    order = np.argsort(np.where(mask, -values, np.inf), axis=None, kind="stable")
    out = np.zeros(mask.size, dtype=bool)
    out[order[: max(1, round(TOP * int(mask.sum())))]] = True
    return out.reshape(mask.shape)
