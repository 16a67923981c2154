"""Node perturbation: every unit's input is shaken, and what the loss does in answer tells each unit its share.

Williams 1992, doi:10.1007/BF00992696; Dalm, Offergeld, Ahmad & van Gerven 2023, arXiv 2310.00965.
For each sample, with noise xi ~ N(0, 1) on the drives a of all synapses at once:
    c = (L(a + sigma xi) - L(a)) / sigma,              dL/da ~ c xi,    dL/dW ~ c xi x^T
or, antithetic, c = (L(a + sigma xi) - L(a - sigma xi)) / (2 sigma), which has no terms of even order in sigma.
E[xi xi^T] = 1 makes the estimate unbiased to the order of sigma^2. Its variance grows with the number of units n: for
the drives' gradient g, E|c xi|^2 = (n + 2) |g|^2. Normalised, c xi n / |xi|^2, it is n |g|^2, and unbiased as well.
Local: each synapse's own noise and presynaptic activity. Not local: c, one number a sample, broadcast to all; n and
|xi|^2, when normalised, are the whole network's. Two passes that differ by the noise alone.
Deviations: losses are compared for each sample, not for the batch. The normalised form uses the noise sent in (as
Dalm's iterative form), not the activity change it causes downstream, whose estimate is biased. Antithetic pairs take
the mean of both passes' presynaptic activity and the mean of both losses. Decorrelation of the inputs, Dalm's main
gain, is folded into the weights: see decorrelation.py. Parameters outside synapses are not trained.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...datasets.errors import WrongArgument
from ..at_synapses import at_synapses
from ..decorrelation import Decorrelation, synapse_names
from ..layer import add_gradient
from ..network import Network
from ..rule import LearningRule, Pace, RuleFacts
from ..synapse import Synapse

Visit = tuple[Synapse, Tensor]  # a synapse and what it received (batch ...)
SMALLEST = 1e-3  # sigma in float32: below, rounding of the losses outweighs their difference


class NodePerturbation(LearningRule):
    """Noise on the drives, one number a sample for feedback.

    Parameters
    ----------
    sigma
        Standard deviation of the noise, in the drives' own units; at least 1e-3 unless the network is in float64.
    antithetic
        Compare +noise with -noise instead of with none; it costs the same.
    normalised
        Divide by the noise's squared length, not by its expectation: a little less variance.
    decorrelation
        Rate of the decorrelating matrices at the synapses' inputs; 0 for none (Adam then does better than SGD).

    Raises `WrongArgument` for a sigma that is not positive, or a negative rate.
    """

    facts = RuleFacts(
        name="node perturbation",
        paper="Williams 1992, doi:10.1007/BF00992696; Dalm et al. 2023, arXiv 2310.00965",
        family="perturbation",
        full_precision=True,
        published=frozenset({"C2"}),
        cost="3 / (3 - s), s: the first layer's share of a forward pass; decorrelated, n / u more, n inputs to u units",
    )
    pace = Pace("sgd", learning_rate=0.01, momentum=0.9)

    def __init__(
        self,
        sigma: float = 1e-3,
        antithetic: bool = True,
        normalised: bool = False,
        decorrelation: float = 1e-3,
        seed: int = 0,
    ) -> None:
        super().__init__(seed)
        if sigma <= 0 or decorrelation < 0:
            raise WrongArgument(
                "sigma must be positive and decorrelation not negative", self.facts.name, "Leave them out."
            )
        self.sigma, self.antithetic, self.normalised, self.rate = sigma, antithetic, normalised, decorrelation
        self.decorrelation: Decorrelation | None = None

    def reason_against(self, network: Network) -> str | None:
        if self.sigma < SMALLEST and next(network.parameters()).dtype != torch.float64:
            return f"sigma is {self.sigma}, and below {SMALLEST} the losses' rounding outweighs their difference"
        return None

    def bind(self, network: Network) -> None:
        super().bind(network)
        if self.rate:
            self.decorrelation = Decorrelation(network, self.rate)

    @torch.no_grad()
    def assign_gradients(self, network: Network, x: Tensor, target: Tensor) -> Tensor:
        low = -self.sigma if self.antithetic else 0.0
        noise: list[Tensor] = []
        first, inputs = _shaken(network, x, target, low, lambda drive: self._drawn_into(noise, drive))
        again = iter(noise)
        second, others = _shaken(network, x, target, self.sigma, lambda drive: next(again))
        credit = (second - first) / ((self.sigma - low) * len(x))
        if self.normalised:
            credit = credit * _shortening(noise)
        if self.antithetic:
            inputs = [_mean(one, other) for one, other in zip(inputs, others, strict=True)]
        self._add(network, inputs, [_of_each(credit, xi) * xi for xi in noise])
        return (first + second).mean() / 2 if self.antithetic else first.mean()

    def after_step(self, network: Network) -> None:
        if self.decorrelation is not None:
            self.decorrelation.step()

    def parameter_groups(self, network: Network, settings: dict[str, Any]) -> list[dict[str, Any]]:
        groups = [{"params": list(network.parameters()), **settings}]
        return groups if self.decorrelation is None else [*groups, self.decorrelation.group(settings)]

    def _drawn_into(self, noise: list[Tensor], drive: Tensor) -> Tensor:
        noise.append(self.normal(drive))
        return noise[-1]

    def _add(self, network: Network, inputs: list[Visit], errors: list[Tensor]) -> None:
        kept = self.decorrelation
        names = {} if kept is None else synapse_names(network)
        for (synapse, presynaptic), error in zip(inputs, errors, strict=True):
            if kept is None or synapse not in names:
                weight, bias = synapse.correlate(presynaptic, error)
            else:
                weight, bias = kept.correlate(names[synapse], synapse, presynaptic, error)
            add_gradient(synapse.weight, weight)
            if synapse.bias is not None and bias is not None:
                add_gradient(synapse.bias, bias)


def _shaken(
    network: Network, x: Tensor, target: Tensor, size: float, noise: Callable[[Tensor], Tensor]
) -> tuple[Tensor, list[Visit]]:
    """Loss of each sample (batch,) with noise of a size on every drive, and what each synapse received."""
    inputs: list[Visit] = []

    def shake(synapse: Synapse, presynaptic: Tensor, drive: Tensor) -> Tensor:
        inputs.append((synapse, presynaptic))
        return drive + size * noise(drive)

    with at_synapses(network, shake):
        output = network(x)
    return network.objective.per_sample(output, target), inputs


def _mean(one: Visit, other: Visit) -> Visit:
    """Presynaptic activity half-way between two passes; symbols are the same in both."""
    synapse, x = one
    return (synapse, (x + other[1]) / 2) if x.is_floating_point() else one


def _shortening(noise: list[Tensor]) -> Tensor:
    """n / |xi|^2 for each sample (batch,), over all drives of the network."""
    squares = torch.stack([xi.square().flatten(1).sum(1) for xi in noise]).sum(0)
    return sum(xi[0].numel() for xi in noise) / squares


def _of_each(credit: Tensor, like: Tensor) -> Tensor:
    """One number a sample (batch,), in a shape that multiplies `like` (batch ...)."""
    return credit.view(-1, *[1] * (like.ndim - 1))
