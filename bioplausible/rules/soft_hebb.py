"""SoftHebb: units compete for every input by a softmax; the winner learns what it saw, the others unlearn it.

Journe, Garcia Rodriguez, Guo & Moraitis 2023, arXiv 2209.11883; Moraitis et al. 2022, arXiv 2107.05747.
With u = w x the drive of a layer before its bias (of every patch, for convolutions) and beta an inverse temperature,
    y = softmax(beta u) over units,  then y_k -> -y_k for all but the unit of largest u
    D_k = sum over samples and places of y_k (x - u_k w_k),    dw_k = rate ||w_k| - 1|^(1/2) D_k / max |D|
max over the whole layer. Units converge to length 1 and then stop learning. Hidden layers learn all at once, from
batches of 10, for the first `hidden_steps` batches (one epoch, as published); the readout learns by the delta rule
throughout.
Local: presynaptic activity and drive; y and max |D| read the layer; max |D| and D, the batch. Labels reach the readout
alone. The paper's layers standardise their input (no gain), and end in Triangle, a power and pooling:
`SoftHebbNetwork` has them; on another network its own nonlinearities carry the features, and the rule is the same.
Deviations: one optimiser for all layers, so the readout learns by SGD beside the hidden layers, not by Adam after them,
and without dropout; a bias, where the network has one, stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ..at_synapses import visits
from ..layer import add_gradient
from ..network import Network
from ..rule import LearningRule, Pace, RuleFacts
from ..standardise import Standardise
from ..synapse import Synapse
from ..synapse_rows import unit_axis, without_bias
from ..unsupervised import reason_against_hebbian, teach_readout


class SoftHebb(LearningRule):
    """Soft winner-take-all in the hidden layers, a taught readout.

    Parameters
    ----------
    rates
        Of each hidden layer, or one for all; the optimiser's own learning rate is the readout's.
    inverse_temperatures
        beta of each hidden layer, or one for all.
    hidden_steps
        Batches after which hidden layers stay as they are; None lets them learn on.
    """

    facts = RuleFacts(
        name="SoftHebb",
        paper="Journe et al. 2023, arXiv 2209.11883",
        family="Hebbian",
        reads_batch=True,
        cost="2 / (3 - s) while hidden layers learn, s: the first layer's share of a forward pass; then 1 / (3 - s)",
    )
    pace = Pace("sgd", learning_rate=0.05, batch_size=10)

    def __init__(
        self,
        rates: float | list[float] = 0.05,
        inverse_temperatures: float | list[float] = 1.0,
        hidden_steps: int | None = 5000,
        seed: int = 0,
    ) -> None:
        super().__init__(seed)
        self.rates, self.inverse_temperatures, self.hidden_steps = rates, inverse_temperatures, hidden_steps

    def reason_against(self, network: Network) -> str | None:
        n_hidden = len(network) - 1
        for name, values in (("rates", self.rates), ("inverse_temperatures", self.inverse_temperatures)):
            if isinstance(values, list) and len(values) != n_hidden:
                return f"{name} has {len(values)} values for {n_hidden} hidden layers"
        return reason_against_hebbian(network)

    def begin_step(self, step: int, share: tuple[int, int] = (0, 1)) -> None:
        super().begin_step(step, share)
        self._step = step

    def infer(self, network: Network, x: Tensor) -> Tensor:
        with _norms(network, learning=False):
            return super().infer(network, x)

    def states(self, network: Network, x: Tensor) -> list[Tensor]:
        """The layers' outputs, standardised by what is remembered."""
        with _norms(network, learning=False):
            return super().states(network, x)

    @torch.no_grad()
    def assign_gradients(self, network: Network, x: Tensor, target: Tensor) -> Tensor:
        learning = self.hidden_steps is None or self._step < self.hidden_steps
        with _norms(network, learning):
            found, features = visits(list(network)[:-1], x)
            for (synapse, presynaptic, drive), beta in zip(found, _each(self.inverse_temperatures, found), strict=True):
                if learning:
                    u = without_bias(synapse, drive)
                    add_gradient(synapse.weight, -increment(synapse, presynaptic, u, beta))
            return teach_readout(network, features, target)

    def parameter_groups(self, network: Network, settings: dict[str, Any]) -> list[dict[str, Any]]:
        *hidden, readout = network
        # Momentum and decay belong to the readout: lengths have their own way to 1.
        own = {**settings, "weight_decay": 0.0, "momentum": 0.0}
        groups = [
            {"params": list(layer.parameters()), **own, "lr": rate}
            for layer, rate in zip(hidden, _each(self.rates, hidden), strict=True)
        ]
        return [*groups, {"params": list(readout.parameters()), **settings}]


def increment(synapse: Synapse, x: Tensor, u: Tensor, beta: float) -> Tensor:
    """||w| - 1|^(1/2) D / max |D| in the weight's shape: the change of the weights for a rate of 1.

    Parameters
    ----------
    x, u
        The synapse's input, and its output before the bias (batch ...).
    beta
        Inverse temperature of the competition.
    """
    weight, axis = synapse.weight.detach(), unit_axis(synapse)
    share = torch.softmax(beta * u, axis)
    winner = torch.zeros_like(share).scatter_(axis, u.argmax(axis, keepdim=True), 1.0)
    y = share * (2 * winner - 1)
    lost = (y * u).movedim(axis, -1).flatten(0, -2).sum(0)
    change = synapse.correlate(x, y)[0] - _of_units(lost, weight) * weight
    length = torch.linalg.vector_norm(weight.flatten(1), dim=1)
    return _of_units((length - 1).abs().sqrt(), weight) * change / change.abs().amax().clamp_min(1e-30)


def _of_units(values: Tensor, weight: Tensor) -> Tensor:
    return values.view(-1, *[1] * (weight.ndim - 1))


def _each(values: float | list[float], layers: list[Any]) -> list[float]:
    return values if isinstance(values, list) else [values] * len(layers)


@contextmanager
def _norms(network: Network, learning: bool) -> Iterator[None]:
    """Within, normalisation reads (and remembers) the batch while learning, and what it remembers otherwise."""
    norms = [module for module in network.modules() if isinstance(module, Standardise)]
    modes = [norm.training for norm in norms]
    try:
        for norm in norms:
            norm.train(learning)
        yield
    finally:
        for norm, mode in zip(norms, modes, strict=True):
            norm.train(mode)
