"""Partial RSA: what a model shares with the data beyond nuisance RDMs.

Nuisance RDMs (pixels, category, reaction time) and a constant are regressed out of the model and of the data RDM, and
the residuals are correlated; for Spearman all RDMs are ranked first. This is the partial correlation of the textbooks
and of pingouin's `partial_corr`, which takes it from the inverse of the correlation matrix P: -P_xy / √(P_xx P_yy).

The other measures are refused. The cosines keep the zero point that a regression takes off; residuals of tau have no
signs of differences to count; and whitened residuals would need the regression to be whitened too.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from jaxtyping import Float64, Shaped

from ..datasets.errors import WrongArgument
from .constant import constant
from .cosines import centred, cosines
from .present import present_pairs
from .ranks import midranks

Rows = Float64[np.ndarray, "_rdm _pair"]
SCALES: dict[str, Callable[[Rows], Rows]] = {"pearson": np.asarray, "spearman": midranks}
EXPLAINED = 1e-10  # length of a residual, as a share of what it was, that counts as none


def partial_similarities(
    models: Shaped[np.ndarray, "model _pair"],
    data: Shaped[np.ndarray, "data _pair"],
    nuisance: Shaped[np.ndarray, "nuisance _pair"],
    measure: str,
) -> Float64[np.ndarray, "model data"]:
    """Partial correlation of every model with every data RDM given all nuisance RDMs together.

    Parameters
    ----------
    models, data, nuisance
        Dissimilarities, upper triangles taken by rows; NaN where missing, then in all three.
    measure
        "pearson" or "spearman".

    NaN, with a warning, where the nuisance RDMs explain an RDM entirely, a constant one included. Raises
    `WrongArgument` for other measures, and what `present_pairs` raises.
    """
    if measure not in SCALES:
        raise WrongArgument(
            f"{measure} has no partial form: only a correlation keeps its meaning when nuisances are regressed out",
            "partial",
            f"Take one of {', '.join(SCALES)}, or leave out the nuisance RDMs.",
        )
    kept, _ = present_pairs(models=models, data=data, nuisance=nuisance)
    a, b, given = (centred(SCALES[measure](rows)) for rows in kept)
    basis = _basis(given)
    return cosines(_residuals(a, kept[0], basis, "model"), _residuals(b, kept[1], basis, "data"))


def _basis(rows: Rows) -> Rows:
    """Orthonormal rows that span the rows given, however collinear those are."""
    lengths = np.linalg.norm(rows, axis=1)
    rows = rows[lengths > 0] / lengths[lengths > 0, None]
    _, sizes, basis = np.linalg.svd(rows, full_matrices=False)
    return np.asarray(basis[sizes > 1e-10 * sizes.max(initial=0)])


def _residuals(rows: Rows, raw: Rows, basis: Rows, which: str) -> Rows:
    """What the basis leaves of centred rows; NaN where that is nothing but rounding."""
    left = rows - rows @ basis.T @ basis
    left -= left @ basis.T @ basis  # once more: the first pass leaves rounding errors of what it took
    nothing = constant(raw, "pearson") | (np.linalg.norm(left, axis=1) <= EXPLAINED * np.linalg.norm(rows, axis=1))
    if nothing.any():
        numbers = ", ".join(map(str, np.flatnonzero(nothing)))
        warnings.warn(
            f"{which} RDM {numbers} (from 0) is explained by the nuisance RDMs: its similarity is given as NaN",
            stacklevel=4,
        )
    return np.where(nothing[:, None], np.nan, left)
