"""Hebbian learning of the hidden layers, by Oja's and by Sanger's rule; a readout taught by the delta rule above them.

With y = W x the drive of a layer, before its bias and nonlinearity, mean over samples (and places):
    Oja     dw_i = y_i (x - y_i w_i)                    Oja 1982, doi:10.1007/BF00275687
    Sanger  dw_i = y_i (x - sum_{k <= i} y_k w_k)       Sanger 1989, doi:10.1016/0893-6080(89)90044-0
Oja's w tends to the first principal component of x, of length 1; so every unit of a layer finds the same one, up to its
sign, and a layer learns one feature. Sanger's units find the first, second, ... component in their order; units beyond
the number of inputs fade to zero. Components are of the second moment about zero: of inputs with a mean the first is
mostly that mean.
Local: presynaptic activity and drive (Oja); those of the units before in the same layer (Sanger). Labels reach the
readout alone, whose update is the exact gradient. All layers learn at once.
Deviations: several layers, each on the output of the one below; biases stay as they are; convolutions learn from all
their patches, in each group apart.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ..at_synapses import visits
from ..layer import add_gradient
from ..network import Network
from ..rule import LearningRule, Pace, RuleFacts
from ..synapse import Synapse
from ..synapse_rows import output_rows, weight_rows, without_bias
from ..unsupervised import reason_against_hebbian, teach_readout


class Oja(LearningRule):
    """Every hidden unit for itself."""

    facts = RuleFacts(
        name="Oja",
        paper="Oja 1982, doi:10.1007/BF00275687",
        family="Hebbian",
        published=frozenset({"C1", "C2", "C3", "C4", "C5"}),
        cost="2 / (3 - s), s: the first layer's share of a forward pass",
    )
    pace = Pace(learning_rate=1e-3)

    def reason_against(self, network: Network) -> str | None:
        return reason_against_hebbian(network)

    @torch.no_grad()
    def assign_gradients(self, network: Network, x: Tensor, target: Tensor) -> Tensor:
        found, features = visits(list(network)[:-1], x)
        for synapse, presynaptic, drive in found:
            self._learn(synapse, presynaptic, without_bias(synapse, drive))
        return teach_readout(network, features, target)

    def _learn(self, synapse: Synapse, x: Tensor, y: Tensor) -> None:
        rows = output_rows(synapse, y)
        n_rows = rows.shape[1]
        gained, _ = synapse.correlate(x, y / n_rows)
        lost = self._lost(rows, weight_rows(synapse)) / n_rows
        add_gradient(synapse.weight, lost.reshape(synapse.weight.shape) - gained)

    def _lost(
        self, y: Float[Tensor, "group row unit"], weight: Float[Tensor, "group unit tap"]
    ) -> Float[Tensor, "group unit tap"]:
        """sum of y_i^2 w_i over rows."""
        return y.square().sum(1)[..., None] * weight


class Sanger(Oja):
    """The generalised Hebbian algorithm: each hidden unit for what those before it leave."""

    facts = RuleFacts(
        name="Sanger",
        paper="Sanger 1989, doi:10.1016/0893-6080(89)90044-0",
        family="Hebbian",
        published=frozenset({"C1", "C2", "C3", "C4", "C5"}),
        cost="(2 + u / b) / (3 - s), s: the first layer's share of a forward pass, u units, b samples (and places)",
    )

    def _lost(
        self, y: Float[Tensor, "group row unit"], weight: Float[Tensor, "group unit tap"]
    ) -> Float[Tensor, "group unit tap"]:
        """sum of y_i y_k w_k over k <= i and over rows."""
        return (y.mT @ y).tril() @ weight
