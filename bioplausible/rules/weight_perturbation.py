"""Weight perturbation: every weight is shaken, and what the loss does in answer tells each weight its share.

Jabri & Flower 1992, doi:10.1109/72.105429; all weights at once, by signs: Spall 1992, doi:10.1109/9.119632.
With Xi = 1 or -1, by chance, for every weight and bias, the same at all places of a sample:
    c = (L(W + sigma Xi) - L(W)) / sigma,              dL/dW ~ c Xi
or, antithetic, c = (L(W + sigma Xi) - L(W - sigma Xi)) / (2 sigma), which has no terms of even order in sigma.
Unbiased to the order of sigma^2. Its variance grows with the number of weights n, not of units: for one draw,
E|c Xi|^2 = n |g|^2. A draw for the whole batch leaves it there; a draw for each sample divides it by the batch.
Local: a weight's own noise; not even presynaptic activity is read. Not local: c, one number a sample, broadcast to all.
Deviations: a weight matrix for each sample would cost memory of batch x weights. As in flipout (Wen et al. 2018, arXiv
1803.04386) a sample's noise is the batch's, Xi, with the signs of its inputs and units flipped at random,
Xi_ij s_i r_j: each sample's estimate is unbiased, and those of two samples are uncorrelated (with normal Xi they would
not be: E[Xi^4] = 3). Parameters outside synapses are not trained.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ...datasets.errors import WrongArgument
from ..at_synapses import at_synapses
from ..layer import add_gradient
from ..network import Network
from ..rule import LearningRule, Pace, RuleFacts
from ..synapse import EmbeddingSynapse, Synapse
from ..synapse_rows import groups_of, unit_axis

SMALLEST = 1e-3  # sigma in float32: below, rounding of the losses outweighs their difference


class WeightPerturbation(LearningRule):
    """Noise on the weights, one number a sample for feedback.

    Parameters
    ----------
    sigma
        Size of the noise, in the weights' own units; at least 1e-3 unless the network is in float64.
    antithetic
        Compare +noise with -noise instead of with none; one pass in four more.
    per_sample
        Each sample has noise of its own; False for one draw a batch.

    Raises `WrongArgument` for a sigma that is not positive.
    """

    facts = RuleFacts(
        name="weight perturbation",
        paper="Jabri & Flower 1992, doi:10.1109/72.105429",
        family="perturbation",
        full_precision=True,
        published=frozenset({"C2"}),
        cost="4 / (3 - s), s: the first layer's share of a forward pass; one-sided, 3 / (3 - s)",
    )
    pace = Pace("sgd", learning_rate=3e-4, momentum=0.9)

    def __init__(self, sigma: float = 1e-3, antithetic: bool = False, per_sample: bool = True, seed: int = 0) -> None:
        super().__init__(seed)
        if sigma <= 0:
            raise WrongArgument("sigma must be positive", self.facts.name, "Leave it out if in doubt.")
        self.sigma, self.antithetic, self.per_sample = sigma, antithetic, per_sample

    def reason_against(self, network: Network) -> str | None:
        if self.sigma < SMALLEST and next(network.parameters()).dtype != torch.float64:
            return f"sigma is {self.sigma}, and below {SMALLEST} the losses' rounding outweighs their difference"
        return None

    @torch.no_grad()
    def assign_gradients(self, network: Network, x: Tensor, target: Tensor) -> Tensor:
        noise = {synapse: self._draw(synapse, len(x)) for layer in network for synapse in layer.synapses}
        low = -self.sigma if self.antithetic else 0.0
        first = _shaken(network, x, target, low, noise)
        second = _shaken(network, x, target, self.sigma, noise)
        credit = (second - first) / ((self.sigma - low) * len(x))
        for synapse, shaken in noise.items():
            add_gradient(synapse.weight, shaken.weight_share(synapse, credit))
            if synapse.bias is not None:
                add_gradient(synapse.bias, credit @ shaken.bias)
        return (first + second).mean() / 2 if self.antithetic else first.mean()

    def _draw(self, synapse: Synapse, n_samples: int) -> Noise:
        weight, n_units = synapse.weight, _n_units(synapse)
        bias = weight.new_empty(n_samples, n_units)
        if isinstance(synapse, EmbeddingSynapse):  # symbols have no sign to flip
            inputs = weight.new_ones(n_samples, 1)
        else:
            inputs = self._flips(weight.new_empty(n_samples, weight.shape[1] * groups_of(synapse)))
        return Noise(self._alike(weight), self._flips(bias), inputs, self._alike(bias[0]) * self._flips(bias))

    def _alike(self, like: Tensor) -> Tensor:
        """Signs that every process draws: weights, unlike samples, are not shared out."""
        return _signs(torch.rand(like.shape, generator=self._draws).to(like))

    def _flips(self, like: Tensor) -> Tensor:
        """Signs of each sample (batch ...); none is flipped where the batch shares its noise."""
        return _signs(self.uniform(like)) if self.per_sample else torch.ones_like(like)


@dataclass(frozen=True)
class Noise:
    """One synapse's: a sample's weights are shaken by `weight` with the signs of its units and inputs."""

    weight: Tensor
    units: Float[Tensor, "batch unit"]
    inputs: Float[Tensor, "batch input"]
    bias: Float[Tensor, "batch unit"]

    def push(self, synapse: Synapse, x: Tensor, drive: Tensor) -> Tensor:
        """What the noise adds to each sample's drive (batch ...)."""
        axis = unit_axis(synapse)
        if x.is_floating_point():
            x = x * _along(self.inputs, x, axis)
        pushed = synapse.drive(x, self.weight, None) * _along(self.units, drive, axis)
        return pushed if synapse.bias is None else pushed + _along(self.bias, drive, axis)

    def weight_share(self, synapse: Synapse, credit: Float[Tensor, " batch"]) -> Tensor:
        """Sum over samples of credit times noise, in the weight's shape."""
        shape = (len(credit), groups_of(synapse), -1)
        units = (credit[:, None] * self.units).reshape(shape)
        signs = torch.einsum("bgu,bgi->gui", units, self.inputs.reshape(shape)).flatten(0, 1)
        if isinstance(synapse, EmbeddingSynapse):
            return self.weight * signs.T
        return self.weight * signs[(..., *[None] * (self.weight.ndim - 2))]


def _shaken(network: Network, x: Tensor, target: Tensor, size: float, noise: dict[Synapse, Noise]) -> Tensor:
    """Loss of each sample (batch,) with noise of a size on every weight."""

    def shake(synapse: Synapse, presynaptic: Tensor, drive: Tensor) -> Tensor:
        return drive + size * noise[synapse].push(synapse, presynaptic, drive)

    if size == 0:
        return network.objective.per_sample(network(x), target)
    with at_synapses(network, shake):
        return network.objective.per_sample(network(x), target)


def _n_units(synapse: Synapse) -> int:
    """An embedding's weight is (symbol unit), every other's (unit input ...)."""
    return synapse.weight.shape[1 if isinstance(synapse, EmbeddingSynapse) else 0]


def _signs(uniform: Tensor) -> Tensor:
    return 1 - 2 * (uniform < 0.5).to(uniform)


def _along(values: Float[Tensor, "batch feature"], like: Tensor, axis: int) -> Tensor:
    """Values for each sample and feature, shaped to multiply `like` (batch ...) whose features lie along `axis`."""
    shape = [len(values), *[1] * (like.ndim - 1)]
    shape[axis] = values.shape[1]
    return values.view(shape)
