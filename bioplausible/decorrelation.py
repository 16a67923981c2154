"""Decorrelated inputs: a matrix R at each synapse's input learns to take away what its inputs have in common.

Ahmad, Schrader & van Gerven 2023, arXiv 2206.14304; with perturbation Dalm et al. 2023, arXiv 2310.00965. z = R x and
    dR = -rate (z z^T - diag(z^2)) R,    starting from R = 1, mean over samples (and places).
There W' acts on z and learns by e z^T, and the network computes W' R x. Here the network's own weight stays the whole
W = W' R. Its change, R held, is dW = dW' R = e (R^T R x)^T: the same, but for dR's own effect on the output, which is
compensated instead of left as a disturbance (as in Desjardins et al. 2015, arXiv 1507.00210).
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .layer import add_gradient
from .network import Network
from .synapse import EmbeddingSynapse, Synapse
from .synapse_rows import groups_of, input_rows, output_rows, weight_rows


class Decorrelation(nn.Module):
    """The matrices of a network's synapses.

    They are parameters so that processes average what moves them, in a group of rate 0: `step` moves them.

    Parameters
    ----------
    rate
        Of R. Above 2 / (the largest eigenvalue of the inputs' second moment) it diverges.
    """

    def __init__(self, network: Network, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.matrices = nn.ParameterDict(
            {name: _identities(synapse) for synapse, name in synapse_names(network).items()}
        )

    def correlate(self, name: str, synapse: Synapse, x: Tensor, error: Tensor) -> tuple[Tensor, Tensor | None]:
        """Like `Synapse.correlate`, with R^T R x for x; adds to R's gradient what x asks of R."""
        matrix, errors = self.matrices[name], output_rows(synapse, error)
        held = matrix.detach()
        decorrelated = input_rows(synapse, x) @ held.mT
        returned = decorrelated @ held
        add_gradient(matrix, _off_diagonal(decorrelated, returned, held))
        bias = None if synapse.bias is None else errors.sum(1).flatten()
        return (errors.mT @ returned).reshape(synapse.weight.shape), bias

    def group(self, settings: dict[str, Any]) -> dict[str, Any]:
        """The optimiser's group: it keeps the matrices as they are."""
        return {"params": list(self.parameters()), **settings, "lr": 0.0, "weight_decay": 0.0}

    @torch.no_grad()
    def step(self) -> None:
        """Move every matrix by its gradient."""
        for matrix in self.parameters():
            if matrix.grad is not None:
                matrix.sub_(self.rate * matrix.grad)


def synapse_names(network: Network) -> dict[Synapse, str]:
    """Names of the synapses whose inputs can be decorrelated, all but those of symbols, by their places."""
    synapses = [synapse for layer in network for synapse in layer.synapses]
    return {synapse: str(i) for i, synapse in enumerate(synapses) if not isinstance(synapse, EmbeddingSynapse)}


def _identities(synapse: Synapse) -> nn.Parameter:
    n_taps = weight_rows(synapse).shape[-1]
    return nn.Parameter(torch.eye(n_taps).repeat(groups_of(synapse), 1, 1).to(synapse.weight.detach()))


def _off_diagonal(
    z: Float[Tensor, "group row tap"], returned: Float[Tensor, "group row tap"], matrix: Float[Tensor, "group tap tap"]
) -> Float[Tensor, "group tap tap"]:
    """(z z^T - diag(z^2)) R, with `returned` = R^T z, which spares a product of two square matrices."""
    return (z.mT @ returned) / z.shape[1] - z.square().mean(1)[..., None] * matrix
