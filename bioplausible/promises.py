"""What every learning rule promises: one function a promise, which raises AssertionError with what it saw.

Each takes a `Trial` and returns why it does not apply, or None where it was made and kept.
"""

from __future__ import annotations

import copy
import warnings

import torch
from torch import Tensor

from .layer import add_gradient
from .network import Network
from .rule import LearningRule
from .trial import Trial, clear, gradients, state

MIXED_BATCH, ALIKE = 32, 0.9  # bf16 keeps 8 bits; a sum over samples keeps the direction of all but differences
TOLERANCE = 1e-9  # in float64: sums in another order, nothing more


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
    for one in together:
        _equal(alone[0], one, "a second network in the process")
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
    _equal(state(rule, network), state(fresh, other), "a resumed run")
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
    before = {name: value.clone() for name, value in state(rule, network).items()}
    with torch.no_grad():
        scores, again = rule.infer(network, x), rule.infer(network, x)
    assert scores.shape[:-1] == target.shape, f"scores of shape {tuple(scores.shape)} for targets {tuple(target.shape)}"
    assert torch.equal(scores, again), "inference is not the same twice"
    _equal(before, state(rule, network), "inference")
    return None


def is_backprop_where_it_says_so(trial: Trial) -> str | None:
    """A rule whose facts say `equals_backprop` leaves the gradient of the objective, and no other rule does."""
    if trial.facts.spiking:
        return "has no derivative"
    rule, network = trial.bound()
    found = trial.update(rule, network, 1)
    x, target = trial.batch(1)
    exact = dict(zip(dict(network.named_parameters("network")), _derivatives(network, x, target), strict=True))
    if trial.facts.equals_backprop:
        _close({name: found[name] for name in exact}, exact, "backprop")
        return None
    same = all(name in found and torch.allclose(found[name], exact[name], rtol=1e-9) for name in exact)
    assert not same, "the update is backprop's: say so with `equals_backprop` in the facts"
    return None


def is_the_same_compiled(trial: Trial) -> str | None:
    """Layers' passes caught by torch.compile give the update of eager ones."""
    rule, network = trial.bound()
    compiled_rule, compiled = trial.bound()
    torch.compiler.reset()
    compiled.compile_layers("aot_eager")  # the graphs, without a compiler's rounding
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's own, where it traces autograd functions
        found = trial.update(compiled_rule, compiled, 1)
    _close(found, trial.update(rule, network, 1), "compiled layers")
    return None


def is_the_same_with_channels_last(trial: Trial) -> str | None:
    """Images and convolutions laid out with their channels last give the same update."""
    x, target = trial.batch(1)
    if x.ndim != 4:
        return "reads no images"
    updates = []
    for layout in (torch.contiguous_format, torch.channels_last):
        rule, network = trial.bound()
        for module in (rule, network):
            module.to(memory_format=layout)  # type: ignore[call-overload]  # torch's stub leaves it out
        clear(rule, network)
        rule.begin_step(1)
        with torch.no_grad():
            rule.assign_gradients(network, x.to(memory_format=layout), target)
        updates.append(gradients(rule, network))
    _close(updates[1], updates[0], "channels last")
    return None


def points_the_same_way_in_mixed_precision(trial: Trial) -> str | None:
    """Under bf16 autocast gradients keep the parameters' precision, and those of each layer's weights their direction.

    Each for itself: the readout's gradient is the largest, and exact, and would hide what a small one below has lost.
    """
    x, target = trial.batch(1, MIXED_BATCH)
    x, directions = x.float() if x.is_floating_point() else x, []
    for mixed in (False, True):
        rule, network = trial.bound()
        rule.float()
        network.float()
        clear(rule, network)
        rule.begin_step(1)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=mixed), rule.precision("cpu"):
            rule.assign_gradients(network, x, target)
        directions.append(gradients(rule, network))
    full, rounded = directions
    for name, value in full.items():
        if value.ndim < 2 or not value.any():  # a bias may have a gradient of zero but for rounding (keys of attention)
            continue
        cosine = float(torch.nn.functional.cosine_similarity(value.flatten(), rounded[name].flatten(), dim=0))
        what = f"in bf16 the update of {name} is another (cosine {cosine:.3f}): say `full_precision` in the facts"
        assert cosine > ALIKE, what
    return None


def _derivatives(network: Network, x: Tensor, target: Tensor) -> tuple[Tensor, ...]:
    loss = network.objective.loss(network(x), target)
    return torch.autograd.grad(loss, list(network.parameters()), allow_unused=True, materialize_grads=True)


def _trained(trial: Trial, pairs: list[tuple[LearningRule, Network]]) -> list[dict[str, Tensor]]:
    optimisers = [trial.optimiser(*pair) for pair in pairs]
    for key in (1, 2, 3):
        for (rule, network), optimiser in zip(pairs, optimisers, strict=True):
            trial.step(rule, network, key, optimiser)
    return [state(*pair) for pair in pairs]


def _equal(one: dict[str, Tensor], other: dict[str, Tensor], what: str) -> None:
    assert one.keys() == other.keys(), f"{what}: not the same parameters"
    for name, value in one.items():
        assert torch.equal(value, other[name]), f"{what}: {name} differs by {(value - other[name]).abs().max():.3g}"


def _close(one: dict[str, Tensor], other: dict[str, Tensor], what: str) -> None:
    assert one.keys() == other.keys(), f"{what}: not the same parameters"
    for name, value in one.items():
        gap = (value - other[name]).abs().max() / other[name].abs().max().clamp(min=1e-6)
        assert gap < TOLERANCE, f"{what}: {name} differs by a share of {gap:.3g}"
