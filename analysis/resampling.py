"""Similarities in many resamples of the conditions at once: a resample is a weight on each pair, not a smaller RDM.

How it is called (by the bootstrap, or by anything that draws conditions with replacement):

    counts = rng.multinomial(n, np.full(n, 1 / n), size=samples).astype(float)   # (sample, condition): times drawn
    found = resampled_similarities(models, data, counts, "spearman")             # (sample, model, data)

A condition drawn c_i times and one drawn c_j times share c_i c_j pairs; pairs of copies of one condition are left out,
as rsatoolbox does (`subsample_pattern` makes them NaN). So a resample is the vector of weights c_i c_j on the pairs,
and means over pairs are matrix products of weights with what is averaged. Ranks are those of the resample: the rank
of a value is the weight below it plus half of its own and one half; each RDM is sorted once, for all resamples.
All of it equals the explicit resample to rounding.

`weighted_similarities` takes the weights on pairs themselves: any numbers from 0 for pearson and cosine, whole numbers
(copies) for the measures of rank. The whitened measures need the counts (see `resampled_whitening`). Kendall's tau is
refused: it counts pairs of pairs, and has no such form that is quicker than counting each resample.

Where a resample leaves an RDM without spread (all its values equal; for the cosines: all zero) the similarity is NaN,
without a warning for each: whoever resamples counts them. rsatoolbox gives 0 there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float, Float64, Int, Shaped

from ..datasets.errors import WrongArgument
from .constant import constant
from .pair_weights import pair_weights
from .present import present_pairs
from .ranks import tied_spans
from .resampled_whitening import RESAMPLED_WHITENED

Rows = Float64[np.ndarray, "_rdm pair"]
Weights = Float64[np.ndarray, "sample pair"]
Tables = Float64[np.ndarray, "sample model data"]
Lengths = Float64[np.ndarray, "sample _rdm"]
BYTES = 2**26  # of the largest array that is held at a time
NO_SPREAD = 1e-12  # variance, as a share of the whole RDM's, that is rounding


def resampled_similarities(
    models: Shaped[np.ndarray, "model _pair"],
    data: Shaped[np.ndarray, "data _pair"],
    counts: Float64[np.ndarray, "sample condition"],
    measure: str,
) -> Float64[np.ndarray, "sample model data"]:
    """Similarity of every model with every data RDM in each resample of the conditions.

    Parameters
    ----------
    models, data
        Dissimilarities of the same conditions in the same order, upper triangles taken by rows; NaN where missing
        (not for the whitened measures).
    counts
        How many times each condition was drawn in each resample.
    measure
        One of `comparison.MEASURES`, but for tau-a and tau-b.

    Raises `WrongArgument` for other measures and for counts that do not fit, and what `present_pairs` raises.
    """
    n = counts.shape[1]
    if n * (n - 1) // 2 != models.shape[1]:
        raise WrongArgument(
            f"counts are for {n} conditions, the RDMs have {models.shape[1]} pairs", "counts", "Join them by id first."
        )
    if measure not in RESAMPLED_WHITENED:
        return weighted_similarities(models, data, pair_weights(counts), measure)
    (a, b), present = present_pairs(models=models, data=data)
    if not present.all():
        raise WrongArgument(f"{measure} of resamples takes no missing pairs", "data", "Take another measure.")
    return RESAMPLED_WHITENED[measure](a, b, counts)


def weighted_similarities(
    models: Shaped[np.ndarray, "model _pair"],
    data: Shaped[np.ndarray, "data _pair"],
    weights: Shaped[np.ndarray, "sample _pair"],
    measure: str,
) -> Float64[np.ndarray, "sample model data"]:
    """The same, given the weight of each pair in each resample; for pearson, spearman, cosine and rho-a."""
    if measure not in WEIGHTED:
        raise WrongArgument(
            f"{measure} has no form with weights on pairs",
            "measure",
            f"Take one of {', '.join(WEIGHTED)}, or resample one by one.",
        )
    (a, b), present = present_pairs(models=models, data=data)
    _check(weights, measure, present.size)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = WEIGHTED[measure](a, b, np.asarray(weights[:, present], np.float64))
    found[:, constant(a, measure), :] = np.nan
    found[:, :, constant(b, measure)] = np.nan
    return found


def _check(weights: Shaped[np.ndarray, "sample _pair"], measure: str, pairs: int) -> None:
    if weights.shape[1] != pairs:
        raise WrongArgument(f"weights are for {weights.shape[1]} pairs, not {pairs}", "weights", "Join by id first.")
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise WrongArgument("a weight is negative or not finite", "weights", "A weight is a number of copies.")
    if measure not in {"pearson", "cosine"} and (weights != np.floor(weights)).any():
        raise WrongArgument(
            f"{measure} takes whole weights", "weights", "A rank is defined for a number of copies, not for a share."
        )


def _cosine(a: Rows, b: Rows, weights: Weights) -> Tables:
    lengths = [np.sqrt(weights @ np.square(rows).T) for rows in (a, b)]
    return np.asarray(_crossed(a, b, weights) / lengths[0][:, :, None] / lengths[1][:, None])


def _pearson(a: Rows, b: Rows, weights: Weights) -> Tables:
    a, b = _standard(a), _standard(b)
    shares = weights / weights.sum(axis=1, keepdims=True)
    means = [shares @ rows.T for rows in (a, b)]
    spreads = [_root(shares @ np.square(rows).T - np.square(mean)) for rows, mean in zip((a, b), means, strict=True)]
    joint = _crossed(a, b, shares) - means[0][:, :, None] * means[1][:, None]
    return np.asarray(joint / spreads[0][:, :, None] / spreads[1][:, None])


def _standard(rows: Rows) -> Rows:
    """Centred, with unit variance where there is any: variances of resamples then lose no digits to the mean."""
    rows = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(rows / rows.std(axis=1, keepdims=True))


def _root(variances: Lengths) -> Lengths:
    return np.sqrt(np.where(variances > NO_SPREAD, variances, np.nan))


def _crossed(a: Rows, b: Rows, weights: Weights) -> Tables:
    """Σ_pairs w a b for each sample, model and data RDM: products of weights with products, some models at a time."""
    size = max(1, BYTES // (8 * b.size))
    parts = []
    for at in range(0, len(a), size):
        products = (a[at : at + size, None] * b).reshape(-1, b.shape[1])
        parts.append((weights @ products.T).reshape(len(weights), -1, len(b)))
    return np.concatenate(parts, axis=1)


def _spearman(a: Rows, b: Rows, weights: Weights) -> Tables:
    parts = _ranked(a, b, weights)
    return np.concatenate([joint / length_a[:, :, None] / length_b[:, None] for joint, length_a, length_b, _ in parts])


def _rho_a(a: Rows, b: Rows, weights: Weights) -> Tables:
    found = []
    for joint, lengths_a, lengths_b, total in _ranked(a, b, weights):
        spread = lengths_a[:, :, None] * lengths_b[:, None] > 0
        found.append(np.where(spread, joint * 12 / (total**3 - total)[:, None, None], np.nan))
    return np.concatenate(found)


def _ranked(
    a: Rows, b: Rows, weights: Weights
) -> Iterator[tuple[Tables, Lengths, Lengths, Float[np.ndarray, " sample"]]]:
    """For some samples at a time: products and lengths of the centred ranks, and the number of pairs."""
    spans = [tied_spans(rows) for rows in (a, b)]
    size = max(1, BYTES // (8 * (a.size + b.size)))
    for at in range(0, len(weights), size):
        some = weights[at : at + size]
        total = some.sum(axis=1)
        ranks_a, ranks_b = (_centred_ranks(span, some) for span in spans)
        weighted_a, weighted_b = ranks_a * some[:, None], ranks_b * some[:, None]
        squared = np.einsum("srp,srp->sr", weighted_a, ranks_a), np.einsum("srp,srp->sr", weighted_b, ranks_b)
        yield weighted_a @ ranks_b.transpose(0, 2, 1), np.sqrt(squared[0]), np.sqrt(squared[1]), total


def _centred_ranks(
    spans: tuple[Int[np.ndarray, "_rdm pair"], Int[np.ndarray, "_rdm pair"], Int[np.ndarray, "_rdm pair"]],
    weights: Weights,
) -> Float64[np.ndarray, "sample _rdm pair"]:
    """Midrank of each pair in its resample, less the mean rank."""
    copies = weights.astype(np.int32)
    ranks = np.empty((len(weights), *spans[0].shape))
    below = np.zeros((len(weights), weights.shape[1] + 1), np.int32)
    for i, (order, first, end) in enumerate(zip(*spans, strict=True)):
        np.cumsum(copies[:, order], axis=1, out=below[:, 1:])
        np.add(np.take(below, first, axis=1), np.take(below, end, axis=1), out=ranks[:, i])
    return np.asarray((ranks - weights.sum(axis=1)[:, None, None]) / 2)


WEIGHTED: dict[str, Callable[[Rows, Rows, Weights], Tables]] = {
    "pearson": _pearson,
    "spearman": _spearman,
    "cosine": _cosine,
    "rho-a": _rho_a,
}
