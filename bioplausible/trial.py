"""A learning rule on trial: fresh copies of it on the same small network, and batches of samples for it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .architectures import MLP
from .network import Network
from .rule import LearningRule
from .synapse import EmbeddingSynapse

BATCH = 6


class Trial:
    """A rule under test: fresh copies of it, bound to the same small network, and batches of samples.

    Parameters
    ----------
    make_rule
        Gives a new rule; a class without required arguments will do.
    make_network
        Gives the same network every time; a small MLP in float64 by default.
    """

    def __init__(
        self, make_rule: Callable[[], LearningRule], make_network: Callable[[], Network] | None = None
    ) -> None:
        self.make_rule, self.make_network = make_rule, make_network or _small_mlp
        self.facts = make_rule().facts

    def bound(self) -> tuple[LearningRule, Network]:
        """A fresh rule bound to a fresh network."""
        rule, network = self.make_rule(), self.make_network().double()
        rule.bind(network)
        return rule.double(), network

    def batch(self, key: int, n_samples: int = BATCH) -> tuple[Tensor, Tensor]:
        """Inputs and targets that depend on the key only."""
        draws = torch.Generator().manual_seed(key)
        network = self.make_network()
        *places, n_classes = network.shapes()[-1]
        first, shape = next(iter(network)).synapses[0], (n_samples, *network.example)
        if isinstance(first, EmbeddingSynapse):
            x = torch.randint(len(first.weight), shape, generator=draws)
        else:
            x = torch.randn(shape, generator=draws, dtype=torch.float64)
        return x, torch.randint(n_classes, (n_samples, *places), generator=draws)

    def update(
        self, rule: LearningRule, network: Network, key: int, share: tuple[int, int] = (0, 1)
    ) -> dict[str, Tensor]:
        """Gradients by name that one batch (or a process's share of it) leaves."""
        x, target = self.batch(key)
        rank, processes = share
        clear(rule, network)
        rule.begin_step(key, share)
        with torch.no_grad():
            rule.assign_gradients(network, x[rank::processes], target[rank::processes])
        return gradients(rule, network)

    def step(self, rule: LearningRule, network: Network, key: int, optimiser: torch.optim.Optimizer) -> None:
        """One step of training."""
        self.update(rule, network, key)
        optimiser.step()
        rule.after_step(network)

    def optimiser(self, rule: LearningRule, network: Network) -> torch.optim.Optimizer:
        """Momentum, so that there is a state to lose."""
        return torch.optim.SGD(rule.parameter_groups(network, {"lr": 0.01, "weight_decay": 0.01}), momentum=0.9)


def clear(*modules: nn.Module) -> None:
    """Forget all gradients."""
    for module in modules:
        module.zero_grad(set_to_none=True)


def gradients(rule: LearningRule, network: Network) -> dict[str, Tensor]:
    """The gradients that are there, by name, the rule's own among them."""
    named = [*network.named_parameters("network"), *rule.named_parameters("rule")]
    return {name: parameter.grad.clone() for name, parameter in named if parameter.grad is not None}


def state(rule: LearningRule, network: Network) -> dict[str, Tensor]:
    """Everything that a checkpoint holds of both, by name."""
    return {**network.state_dict(prefix="network."), **rule.state_dict(prefix="rule.")}


def _small_mlp() -> Network:
    return MLP([7, 6, 5, 4], "tanh", seed=1)
