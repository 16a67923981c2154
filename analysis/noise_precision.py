"""Covariance of noise over channels, shrunk so that it can be inverted, and factors of its inverse that whiten.

`shrunk_covariance` gives rsatoolbox's estimates for many sets of channels at once, as matrix products (rsatoolbox
adds the outer products one row after the other):
- "shrinkage_diag": towards the diagonal (Schäfer & Strimmer 2005, Stat Appl Genet Mol Biol 4:32);
- "shrinkage_eye": towards a multiple of the identity (Ledoit & Wolf 2004, J Multivar Anal 88:365);
- "diag", "full": the variances alone; no shrinkage.
With Σ_t (x_ti x_tj)² = ((x²)ᵀ x²)_ij, both need no more than two products of time by channel.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from ..datasets.errors import BrokenData, WrongArgument

Covariance = Float64[Tensor, "*set channel channel"]
Residuals = Float64[Tensor, "*set time channel"]
Used = Bool[Tensor, "*set channel"]


def shrunk_covariance(
    residuals: Float[Tensor, "*set time channel"],
    method: str = "shrinkage_diag",
    *,
    dof: int | None = None,
    used: Bool[Tensor, "*set channel"] | None = None,
) -> Float64[Tensor, "*set channel channel"]:
    """Covariance of the channels of each set, from what a model left over of the responses.

    Parameters
    ----------
    residuals
        Their mean over time is taken off first.
    dof
        Degrees of freedom that are left; one fewer than rows by default.
    used
        False for channels that only fill a set up; they get variance 1 and no covariance.

    Raises `WrongArgument` for an unknown method, `BrokenData` where a channel does not vary.
    """
    if method not in ESTIMATES:
        raise WrongArgument(f"no covariance {method!r}", "noise", f"Choose one of: {', '.join(ESTIMATES)}.")
    x = residuals.double()
    x = x - x.mean(-2, keepdim=True)
    used = torch.ones_like(x[..., 0, :], dtype=torch.bool) if used is None else used
    x = x * used[..., None, :]
    if bool(((x.square().sum(-2) == 0) & used).any()):
        raise BrokenData("residuals of a channel do not vary", "noise", "Leave voxels without signal out of the mask.")
    found = ESTIMATES[method](x, x.shape[-2] - 1 if dof is None else dof, used)
    return torch.where(_both(used), found, _eye(x))


def whitener(covariance: Float64[Tensor, "*set channel channel"]) -> Float64[Tensor, "*set channel channel"]:
    """W with W Wᵀ the inverse of the covariance, so that x W is white; raises `BrokenData` where it is singular."""
    return white(_eye(covariance).expand_as(covariance), covariance)


def white(
    x: Float64[Tensor, "*set row channel"], covariance: Float64[Tensor, "*set channel channel"]
) -> Float64[Tensor, "*set row channel"]:
    """The same x W; for a few rows cheaper than W itself."""
    factor, broken = torch.linalg.cholesky_ex(covariance)
    if bool(broken.any()):
        raise BrokenData(
            "the covariance of the noise is singular",
            "noise",
            "Give more residuals than channels, or a shrunk covariance.",
        )
    solved: Float64[Tensor, "*set channel row"] = torch.linalg.solve_triangular(factor, x.mT, upper=False)
    return solved.mT


def root(precision: np.ndarray | Tensor, n_channels: int, device: torch.device | str = "cpu") -> Covariance:
    """W with W Wᵀ the precision, so that |x W|² = x P xᵀ.

    Raises `WrongArgument` for a matrix of another shape, with values that are not finite, not symmetric, or with
    negative eigenvalues: x P xᵀ would not be a squared length.
    """
    matrix = torch.as_tensor(np.array(precision) if isinstance(precision, np.ndarray) else precision)
    if matrix.shape != (n_channels, n_channels):
        raise _refused(f"the noise precision has shape {tuple(matrix.shape)}, not {(n_channels, n_channels)}")
    if matrix.is_complex() or not bool(matrix.isfinite().all()):
        raise _refused("the noise precision holds values that are complex or not finite")
    matrix = matrix.to(device, torch.float64)
    if not torch.allclose(matrix, matrix.T, rtol=1e-6, atol=1e-9 * float(matrix.abs().max())):
        raise _refused("the noise precision is not symmetric")
    matrix = (matrix + matrix.T) / 2
    factor, broken = torch.linalg.cholesky_ex(matrix)
    if bool(broken):
        values, vectors = torch.linalg.eigh(matrix)
        if bool(values[0] < -1e-9 * values[-1].abs()):
            raise _refused(f"the noise precision has a negative eigenvalue, {float(values[0]):.3g}")
        factor = vectors * values.clamp(min=0).sqrt()
    found: Covariance = factor
    return found


def _diag(x: Residuals, dof: int, used: Used) -> Covariance:
    return torch.diag_embed(x.square().sum(-2) / dof)


def _full(x: Residuals, dof: int, used: Used) -> Covariance:
    return x.mT @ x / dof


def _towards_eye(x: Residuals, dof: int, used: Used) -> Covariance:
    n, p = x.shape[-2], used.sum(-1)
    s = x.mT @ x / n
    mean = s.diagonal(dim1=-2, dim2=-1).sum(-1) / p
    target = mean[..., None, None] * torch.diag_embed(used.double())
    apart = (s - target).square().sum((-2, -1))
    spread = (x.square().sum(-1).square().sum(-1) / n - s.square().sum((-2, -1))) / n
    share = (torch.minimum(spread, apart) / apart.where(apart > 0, torch.ones_like(apart)))[..., None, None]
    return (share * target + (1 - share) * s) * (n / dof)


def _towards_diag(x: Residuals, dof: int, used: Used) -> Covariance:
    n = x.shape[-2]
    total, squares = x.mT @ x, x.square().mT @ x.square()
    variance = (total.diagonal(dim1=-2, dim2=-1) / dof).where(used, torch.ones((), dtype=x.dtype, device=x.device))
    product = variance[..., :, None] * variance[..., None, :]
    mean = total / product.sqrt() / (n - 1)
    spread = n / dof**2 * (squares / product / (n - 1) - mean.square())
    off = _both(used) & ~_eye(x).bool()
    amount = (spread * off).sum((-2, -1)) / (mean.square() * off).sum((-2, -1)).clamp(min=torch.finfo(x.dtype).tiny)
    keep = _eye(x) + (1 - amount.clamp(0, 1))[..., None, None] * off
    return total / dof * keep


ESTIMATES: dict[str, Callable[[Residuals, int, Used], Covariance]] = {
    "shrinkage_diag": _towards_diag,
    "shrinkage_eye": _towards_eye,
    "diag": _diag,
    "full": _full,
}


def _both(used: Used) -> Bool[Tensor, "*set channel channel"]:
    return used[..., :, None] & used[..., None, :]


def _eye(like: Tensor) -> Float64[Tensor, "channel channel"]:
    return torch.eye(like.shape[-1], dtype=like.dtype, device=like.device)


def _refused(what: str) -> WrongArgument:
    return WrongArgument(what, "noise", "Give a symmetric positive (channel channel) precision, see noise_precision.")
