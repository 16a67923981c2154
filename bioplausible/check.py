"""`check_learning_rule(rule)`: what every rule promises, tried on it; the zoo's `check_estimator`.

A user's own rule goes through it in one call, before its first training. Each check is a function of a maker (which
gives a fresh rule, and a network that is the same every time) and raises AssertionError with what it saw.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .architectures import MLP
from .layer import add_gradient
from .network import Network
from .rule import LearningRule
from .synapse import EmbeddingSynapse

BATCH = 6
TOLERANCE = 1e-9  # in float64: sums in another order, nothing more


@dataclass(frozen=True)
class Outcome:
    """One check: its name, and why it does not apply (None when it was made and passed)."""

    name: str
    skipped: str | None = None


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


def check_learning_rule(
    make_rule: Callable[[], LearningRule], make_network: Callable[[], Network] | None = None
) -> list[Outcome]:
    """Run every check of `CHECKS`; returns what was made and what did not apply.

    Parameters
    ----------
    make_rule
        Gives a new rule each time: a class, or `lambda: MyRule(rate=0.1)`.
    make_network
        Gives the same network each time; a small MLP by default. Name one when the rule needs another kind.

    Raises `AssertionError` naming the first promise that the rule breaks, and what was seen.
    """
    trial, outcomes = Trial(make_rule, make_network), []
    for check in CHECKS:
        skipped = check(trial)
        outcomes.append(Outcome(check.__name__.replace("_", " "), skipped))
    return outcomes


def leaves_gradients_and_nothing_else(trial: Trial) -> str | None:
    """Weights, inputs and targets are as before; gradients are finite, of the weights' shape, and not all zero."""
    rule, network = trial.bound()
    before = {name: value.clone() for name, value in network.named_parameters()}
    x, target = trial.batch(1)
    kept = x.clone(), target.clone()
    clear(rule, network)
    loss = rule.assign_gradients(network, x, target)
    assert loss.ndim == 0, f"the loss has shape {tuple(loss.shape)}: return a scalar"
    assert torch.equal(x, kept[0]), "the rule wrote into its input"
    assert torch.equal(target, kept[1]), "the rule wrote into the targets"
    if not trial.facts.online_only:
        for name, value in network.named_parameters():
            assert torch.equal(value, before[name]), f"the rule changed {name}: leave steps to the optimiser"
    found = gradients(rule, network)
    assert found, "no parameter has a gradient"
    for name, gradient in found.items():
        assert torch.isfinite(gradient).all(), f"the gradient of {name} is not finite"
        assert not gradient.requires_grad, f"the gradient of {name} drags a graph behind it: detach it"
    assert any(value.abs().max() > 0 for value in found.values()), "every gradient is zero"
    return None


def adds_to_gradients_that_are_there(trial: Trial) -> str | None:
    """Two batches without clearing give the sum: this is what accumulation rests on."""
    if trial.facts.online_only:
        return "changes weights within a pass"
    (rule, network), (again, same) = trial.bound(), trial.bound()
    once = trial.update(rule, network, 1)
    x, target = trial.batch(1)
    clear(again, same)
    for parameter in [*same.parameters(), *again.parameters()]:
        if parameter.requires_grad:
            add_gradient(parameter, torch.ones_like(parameter))
    again.begin_step(1)
    again.assign_gradients(same, x, target)
    _close(
        gradients(again, same), {name: 1 + once.get(name, 0 * v) for name, v in gradients(again, same).items()}, "sum"
    )
    return None


def is_the_same_twice(trial: Trial) -> str | None:
    """The step's number fixes every random draw; torch's global generator has no say."""
    updates = []
    for noise in (0, 1):
        torch.manual_seed(noise)
        updates.append(trial.update(*trial.bound(), 3))
    _equal(updates[0], updates[1], "two runs of one step")
    return None


def halves_average_to_the_whole(trial: Trial) -> str | None:
    """Two processes, each with every second sample, average to the update of one."""
    if trial.facts.reads_batch or trial.facts.online_only:
        return "reads the batch" if trial.facts.reads_batch else "changes weights within a pass"
    whole = trial.update(*trial.bound(), 5)
    halves = [trial.update(*trial.bound(), 5, (rank, 2)) for rank in (0, 1)]
    _close({name: (halves[0][name] + halves[1][name]) / 2 for name in whole}, whole, "two halves")
    return None


def two_networks_never_touch(trial: Trial) -> str | None:
    """Trained in turn in one process, each becomes what it becomes alone."""
    alone = _trained(trial, [trial.bound()])
    together = _trained(trial, [trial.bound(), trial.bound()])
    for state in together:
        _equal(alone[0], state, "a second network in the process")
    return None


def a_checkpoint_holds_all_of_it(trial: Trial) -> str | None:
    """Two steps, saved and loaded into fresh objects, two more: the same bits as four steps."""
    rule, network = trial.bound()
    optimiser = trial.optimiser(rule, network)
    for key in (1, 2):
        trial.step(rule, network, key, optimiser)
    fresh, other = trial.bound()
    resumed = trial.optimiser(fresh, other)
    other.load_state_dict(copy.deepcopy(network.state_dict()))
    fresh.load_state_dict(copy.deepcopy(rule.state_dict()))
    resumed.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    for key in (3, 4):
        trial.step(rule, network, key, optimiser)
        trial.step(fresh, other, key, resumed)
    _equal(_state(rule, network), _state(fresh, other), "a resumed run")
    return None


def keeps_nothing_on_its_class(trial: Trial) -> str | None:
    """The class is the same before and after a step."""
    rule, network = trial.bound()
    kinds = [kind for kind in type(rule).__mro__ if issubclass(kind, LearningRule)]
    before = [{name: id(value) for name, value in vars(kind).items()} for kind in kinds]
    trial.update(rule, network, 1)
    after = [{name: id(value) for name, value in vars(kind).items()} for kind in kinds]
    assert before == after, "the class changed: keep state on the object"
    return None


def infers_scores_without_touching_anything(trial: Trial) -> str | None:
    """Scores of every class, the same twice, and no weight, buffer or gradient moved."""
    rule, network = trial.bound()
    x, target = trial.batch(1)
    before = {name: value.clone() for name, value in _state(rule, network).items()}
    with torch.no_grad():
        scores, again = rule.infer(network, x), rule.infer(network, x)
    assert scores.shape[:-1] == target.shape, f"scores of shape {tuple(scores.shape)} for targets {tuple(target.shape)}"
    assert torch.equal(scores, again), "inference is not the same twice"
    _equal(before, _state(rule, network), "inference")
    return None


CHECKS: list[Callable[[Trial], str | None]] = [
    leaves_gradients_and_nothing_else,
    is_the_same_twice,
    halves_average_to_the_whole,
    adds_to_gradients_that_are_there,
    two_networks_never_touch,
    a_checkpoint_holds_all_of_it,
    keeps_nothing_on_its_class,
    infers_scores_without_touching_anything,
]


def clear(*modules: nn.Module) -> None:
    """Forget all gradients."""
    for module in modules:
        module.zero_grad(set_to_none=True)


def gradients(rule: LearningRule, network: Network) -> dict[str, Tensor]:
    """The gradients that are there, by name, the rule's own among them."""
    named = [*network.named_parameters("network"), *rule.named_parameters("rule")]
    return {name: parameter.grad.clone() for name, parameter in named if parameter.grad is not None}


def _state(rule: LearningRule, network: Network) -> dict[str, Tensor]:
    return {**network.state_dict(prefix="network."), **rule.state_dict(prefix="rule.")}


def _trained(trial: Trial, pairs: list[tuple[LearningRule, Network]]) -> list[dict[str, Tensor]]:
    optimisers = [trial.optimiser(*pair) for pair in pairs]
    for key in (1, 2, 3):
        for (rule, network), optimiser in zip(pairs, optimisers, strict=True):
            trial.step(rule, network, key, optimiser)
    return [_state(*pair) for pair in pairs]


def _equal(one: dict[str, Tensor], other: dict[str, Tensor], what: str) -> None:
    assert one.keys() == other.keys(), f"{what}: not the same parameters"
    for name, value in one.items():
        assert torch.equal(value, other[name]), f"{what}: {name} differs by {(value - other[name]).abs().max():.3g}"


def _close(one: dict[str, Tensor], other: dict[str, Tensor], what: str) -> None:
    assert one.keys() == other.keys(), f"{what}: not the same parameters"
    for name, value in one.items():
        gap = (value - other[name]).abs().max() / other[name].abs().max().clamp(min=1e-6)
        assert gap < TOLERANCE, f"{what}: {name} differs by a share of {gap:.3g}"


def _small_mlp() -> Network:
    return MLP([7, 6, 5, 4], "tanh", seed=1)
