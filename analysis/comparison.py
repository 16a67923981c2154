"""How alike are RDMs? Every model with every data RDM at once.

| measure | rsatoolbox 0.3.2 | what it is |
|---|---|---|
| pearson | corr | correlation |
| spearman | spearman | correlation of midranks |
| rho-a | rho-a | expected Spearman correlation under random tie-breaking (Schütt et al. 2023, eLife 12:e82566) |
| tau-a, tau-b | tau-a, kendall | Kendall's tau without and with correction for ties |
| cosine | cosine | normalised inner product: zero dissimilarity has a meaning |
| whitened-cosine | cosine_cov | cosine under the covariance of the dissimilarities (Diedrichsen et al. 2021) |
| whitened-correlation | corr_cov | the same, the mean over pairs taken off first |

The whitened cosine of squared Euclidean distances is linear CKA. On unbiased distances (crossnobis) it is the whitened
unbiased RDM cosine: what makes it unbiased is the distance, not another formula here.

Deviations from rsatoolbox: a constant RDM (for the cosines: an RDM of zeros) has no similarity to anything; its row
or column is NaN, with a warning, where rsatoolbox gives 0 or the quotient of rounding errors. What `present` says of
missing pairs and `whitening` of sigma_k holds as well.

>>> import numpy as np
>>> similarities(np.array([[1., 2, 3, 4, 5, 6]]), np.array([[2., 1, 4, 3, 6, 5]]), "tau-a")
array([[0.6]])
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float64, Shaped
from rsatoolbox.rdm import RDMs

from ..datasets.errors import WrongArgument
from .constant import constant as constant  # found here by those who compare
from .cosines import centred, cosines
from .joined import join
from .kendall import tau_a, tau_b
from .partial import partial_similarities
from .present import present_pairs
from .ranks import midranks
from .whitening import Covariance, PairPrecision, conditions_of

Rows = Float64[np.ndarray, "_rdm pair"]
Table = Float64[np.ndarray, "model data"]


def compare(
    models: RDMs,
    data: RDMs,
    measure: str = "spearman",
    *,
    partial: RDMs | None = None,
    sigma_k: Covariance | None = None,
) -> Float64[np.ndarray, "model data"]:
    """Similarity of every model RDM with every data RDM, their conditions joined by id.

    Parameters
    ----------
    models, data
        RDMs with the same ids in `pattern_descriptors["stimulus"]`, in any order.
    measure
        One of `MEASURES`.
    partial
        Nuisance RDMs, all regressed out of models and data first; for pearson and spearman (see `partial`).
    sigma_k
        For the whitened measures: covariance of the pattern estimates' noise between conditions, or its diagonal, in
        the order of the models' conditions; None for independent noise of one size.

    Raises what `join`, `present_pairs` and `PairPrecision` raise, and `WrongArgument` for an unknown measure or one
    that an argument does not apply to. Warns of missing pairs and of constant RDMs (NaN).
    """
    if partial is None:
        models, data = join(models, data)
        return similarities(models.dissimilarities, data.dissimilarities, measure, sigma_k=sigma_k)
    if sigma_k is not None:
        raise WrongArgument("sigma_k and partial exclude each other", "compare", "Whitened measures have no partial.")
    models, data, partial = join(models, data, partial)
    return partial_similarities(models.dissimilarities, data.dissimilarities, partial.dissimilarities, measure)


def similarities(
    models: Shaped[np.ndarray, "model _pair"],
    data: Shaped[np.ndarray, "data _pair"],
    measure: str,
    *,
    sigma_k: Covariance | None = None,
) -> Float64[np.ndarray, "model data"]:
    """The same on arrays of dissimilarities: upper triangles taken by rows, NaN where missing."""
    measured = measure_called(measure)
    if sigma_k is not None and not measure.startswith("whitened"):
        raise WrongArgument(f"sigma_k does not apply to {measure}", "sigma_k", "Take a whitened measure, or leave it.")
    (a, b), present = present_pairs(models=models, data=data)
    conditions_of(present.size)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = measured(a, b, PairPrecision(present, sigma_k))
    found[_uninformative(a, "model", measure), :] = np.nan
    found[:, _uninformative(b, "data", measure)] = np.nan
    return found


def measure_called(measure: str) -> Callable[[Rows, Rows, PairPrecision], Table]:
    """The function of a measure's name; raises `WrongArgument` that lists the names."""
    if measure not in MEASURES:
        raise WrongArgument(f"there is no measure {measure!r}", "measure", f"Take one of {', '.join(MEASURES)}.")
    return MEASURES[measure]


def _uninformative(rows: Rows, which: str, measure: str) -> Bool[np.ndarray, " rdm"]:
    found = constant(rows, measure)
    if found.any():
        numbers = ", ".join(map(str, np.flatnonzero(found)))
        warnings.warn(
            f"{which} RDM {numbers} (from 0) is constant: its {measure} similarity is undefined, given as NaN",
            stacklevel=3,
        )
    return found


def _pearson(a: Rows, b: Rows, _: PairPrecision) -> Table:
    return cosines(centred(a), centred(b))


def _spearman(a: Rows, b: Rows, _: PairPrecision) -> Table:
    return cosines(centred(midranks(a)), centred(midranks(b)))


def _rho_a(a: Rows, b: Rows, _: PairPrecision) -> Table:
    n = a.shape[1]
    return np.asarray(centred(midranks(a)) @ centred(midranks(b)).T * (12 / (n**3 - n)))


def _cosine(a: Rows, b: Rows, _: PairPrecision) -> Table:
    return cosines(a, b)


def _whitened_cosine(a: Rows, b: Rows, precision: PairPrecision) -> Table:
    return precision.cosines(a, b)


def _whitened_correlation(a: Rows, b: Rows, precision: PairPrecision) -> Table:
    return precision.cosines(centred(a), centred(b))


def _tau_a(a: Rows, b: Rows, _: PairPrecision) -> Table:
    return tau_a(a, b)


def _tau_b(a: Rows, b: Rows, _: PairPrecision) -> Table:
    return tau_b(a, b)


MEASURES: dict[str, Callable[[Rows, Rows, PairPrecision], Table]] = {
    "pearson": _pearson,
    "spearman": _spearman,
    "tau-a": _tau_a,
    "tau-b": _tau_b,
    "cosine": _cosine,
    "whitened-cosine": _whitened_cosine,
    "whitened-correlation": _whitened_correlation,
    "rho-a": _rho_a,
}
