"""The audit of a learning rule: what each weight's update reads, found by intervening, not by asking.

One update is computed over and over with the same random numbers, each time with one thing changed: the weights that
only the way back reads, the weights of layers above, a neighbour's weights, another sample, the target. What moves the
update, the update has read. In float64, so that "does not move" means to rounding.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from .instrument import Log, changed, read_as, watch
from .network import Network
from .rule import LearningRule, RuleFacts
from .synapse import EmbeddingSynapse, Synapse

MOVED = 1e-9  # relative change of an update that counts as one
GRADES = ("synapse", "neuron", "layer", "batch", "network")
N_SAMPLES = 4


@dataclass(frozen=True)
class LayerReading:
    """What the update of one layer's weights reads.

    `transported` are the layers whose forward weights it reads on another way than forward (itself, where it is a
    block whose synapses read each other); `signs_only` says that it reads no more than their signs. `above` are the
    layers above whose weights move it at all.
    """

    trained: bool
    transported: tuple[int, ...]
    signs_only: bool
    own_weights: bool
    above: tuple[int, ...]
    target: bool
    scalar_target: bool
    other_samples: bool
    neighbours: bool
    other_synapses: bool

    @property
    def grade(self) -> str:
        """The widest thing read: synapse, neuron, layer, batch or network; "-" where nothing is trained."""
        if not self.trained:
            return "-"
        wide = {
            "network": bool(self.above or self.transported),
            "batch": self.other_samples,
            "layer": self.neighbours,
            "neuron": self.other_synapses,
        }
        return next((name for name, is_read in wide.items() if is_read), "synapse")


@dataclass(frozen=True)
class Audit:
    """The card of a rule on a network; see `audit_card` for its words."""

    facts: RuleFacts
    network: str
    spiking: bool
    layers: tuple[LayerReading, ...]
    log: Log
    flops: int
    stored_bytes: int
    phases: int
    locked: bool
    crossings: int

    @property
    def hidden(self) -> tuple[LayerReading, ...]:
        """The trained layers below the readout."""
        return tuple(layer for layer in self.layers[:-1] if layer.trained)

    @property
    def criteria(self) -> frozenset[str]:
        """Those of C1-C5 (GLOSSARY.md) that the measurements support."""
        errors = [
            self.log.errors[i] for i, layer in enumerate(self.layers[:-1]) if layer.trained and i in self.log.errors
        ]
        signed = any(low < 0 < high for low, high in errors) or any(layer.scalar_target for layer in self.hidden)
        held = {
            "C1": not any(layer.transported for layer in self.hidden),
            "C2": not any(layer.above or layer.transported for layer in self.hidden),
            "C3": self.phases == 1,
            "C4": self.spiking,
            "C5": not signed,
        }
        return frozenset(name for name, holds in held.items() if holds)


class Bench:
    """A rule bound to a watched network, and the update of any batch under any change."""

    def __init__(self, rule: LearningRule, network: Network, seed: int = 0) -> None:
        self.network = copy.deepcopy(network).double()
        self.rule = copy.deepcopy(rule)
        self.rule.bind(self.network)
        self.rule.double()
        self.plain = copy.deepcopy((self.rule, self.network))
        self.log = watch(self.network)
        self.draws = torch.Generator().manual_seed(seed)
        *self.target_shape, self.n_classes = network.shapes()[-1]
        self.x, self.target = self.samples(N_SAMPLES)

    def samples(self, n: int) -> tuple[Tensor, Tensor]:
        """New inputs and targets."""
        shape = (n, *self.network.example)
        ids = torch.randint(self.network.n_symbols or 1, shape, generator=self.draws)
        x = ids if self.network.n_symbols else torch.rand(shape, generator=self.draws, dtype=torch.float64)
        return x, torch.randint(self.n_classes, (n, *self.target_shape), generator=self.draws)

    def update(self, x: Tensor | None = None, target: Tensor | None = None) -> list[Tensor]:
        """The gradient of every synapse's weight (zeros where there is none), layer by layer in one flat list."""
        rule, network = copy.deepcopy(self.rule), self.network
        network.zero_grad(set_to_none=True)
        rule.begin_step(1)
        with torch.no_grad():
            rule.assign_gradients(network, self.x if x is None else x, self.target if target is None else target)
        found = [synapse.weight.grad for synapse in self.synapses]
        return [
            torch.zeros_like(synapse.weight) if gradient is None else gradient.detach().clone()
            for synapse, gradient in zip(self.synapses, found, strict=True)
        ]

    @property
    def synapses(self) -> list[Synapse]:
        """Of all layers, in order."""
        return [synapse for layer in self.network for synapse in layer.synapses]

    @property
    def places(self) -> list[int]:
        """The layer of each synapse."""
        return [i for i, layer in enumerate(self.network) for _ in layer.synapses]

    def redrawn(self, synapse: Synapse) -> Tensor:
        """Another weight of the same scale."""
        weight = synapse.weight.detach()
        return torch.randn(weight.shape, generator=self.draws, dtype=weight.dtype) * weight.std()


def audit_rule(rule: LearningRule, network: Network, seed: int = 0) -> Audit:
    """Measure a rule on a network; both are copied.

    Raises `WrongArgument` where the rule cannot run on the network.
    """
    bench = Bench(rule, network, seed)
    bench.log.events.clear()
    base = bench.update()
    log = copy.deepcopy(bench.log)
    moved = _Moves(bench, base)
    readings = tuple(moved.reading(place) for place in range(len(network)))
    flops, stored = _cost(bench)
    return Audit(
        facts=rule.facts,
        network=type(network).__name__,
        spiking=network.spiking,
        layers=readings,
        log=log,
        flops=flops,
        stored_bytes=stored,
        phases=count_phases(log),
        locked=any(layer.above or layer.transported for layer in readings[:-1]),
        crossings=sum(event.kind == "crossing" for event in log.events),
    )


class _Moves:
    """Which interventions move which layers' updates."""

    def __init__(self, bench: Bench, base: list[Tensor]) -> None:
        self.bench, self.base = bench, base
        places, synapses = bench.places, bench.synapses
        usable = [i for i, synapse in enumerate(synapses) if not isinstance(synapse, EmbeddingSynapse)]
        self.back, self.signs, self.whole = {}, {}, {}
        for i in usable:
            synapse, other = synapses[i], bench.redrawn(synapses[i])
            stretched = synapse.weight.detach() * (0.5 + torch.rand(other.shape, generator=bench.draws).to(other))
            self.back[i] = self._under(lambda s=synapse, w=other: read_as(s, w))
            self.signs[i] = self._under(lambda s=synapse, w=stretched: read_as(s, w))
            self.whole[i] = self._under(lambda s=synapse, w=other: changed(s, w))
        self.places, self.usable = places, usable
        self.target = self._moved(bench.update(target=(bench.target + 1) % bench.n_classes))
        self.scalar = self._collinear()
        self.others = self._interacting()

    def _under(self, intervention: Callable[..., object]) -> list[bool]:
        with intervention():  # type: ignore[attr-defined]  # a context manager
            return self._moved(self.bench.update())

    def _moved(self, update: list[Tensor]) -> list[bool]:
        return [_differs(new, old) for new, old in zip(update, self.base, strict=True)]

    def _collinear(self) -> list[bool]:
        """Updates of one sample towards different targets differ by a factor only: a scalar has been broadcast."""
        x, target = self.bench.x[:1], self.bench.target[:1]
        towards = [
            self.bench.update(x, (target + k) % self.bench.n_classes) for k in range(min(3, self.bench.n_classes))
        ]
        return [_rank_one([update[i].flatten() for update in towards]) for i in range(len(self.base))]

    def _interacting(self) -> list[bool]:
        """U(a, b) - U(a, c) depends on a: samples do not simply add."""
        bench = self.bench
        (x, target), (more, goals) = (bench.x[:2], bench.target[:2]), bench.samples(2)

        def both(first: int, second: Tensor, goal: Tensor, xs: Tensor, goals_: Tensor) -> list[Tensor]:
            pair = torch.stack((xs[first], second)), torch.stack((goals_[first], goal))
            return bench.update(*pair)

        differences = []
        for first in (0, 1):
            one = both(first, more[0], goals[0], x, target)
            two = both(first, more[1], goals[1], x, target)
            differences.append([a - b for a, b in zip(one, two, strict=True)])
        return [_differs(a, b, scale) for a, b, scale in zip(*differences, self.base, strict=True)]

    def reading(self, layer: int) -> LayerReading:
        """Gather what was found for the synapses of one layer."""
        own = [i for i, place in enumerate(self.places) if place == layer]

        def layers_that(table: dict[int, list[bool]], above: bool = False) -> tuple[int, ...]:
            # The layer itself is among them where one synapse of a block is read for another's update.
            movers = {self.places[i] for i in self.usable if any(table[i][j] for j in own if j != i)}
            return tuple(sorted(place for place in movers if not above or place > layer))

        transported, by_more = layers_that(self.back), layers_that(self.signs)
        return LayerReading(
            trained=any(self.base[j].abs().max() > 0 for j in own),
            transported=transported,
            signs_only=bool(transported) and not by_more,
            own_weights=any(self.back[j][j] for j in own if j in self.usable),
            above=layers_that(self.whole, above=True),
            target=any(self.target[j] for j in own),
            scalar_target=all(self.scalar[j] for j in own) and any(self.target[j] for j in own),
            other_samples=any(self.others[j] for j in own),
            neighbours=any(self._row_moves_others(j) for j in own if j in self.usable),
            other_synapses=any(self._entry_moves_row(j) for j in own if j in self.usable),
        )

    def _row_moves_others(self, i: int) -> bool:
        """One neuron's weights, changed for all purposes, move the update of another neuron of the layer."""
        synapse, weight = self.bench.synapses[i], self.bench.redrawn(self.bench.synapses[i])
        weight[1:] = synapse.weight.detach()[1:]
        with changed(synapse, weight):
            return _differs(self.bench.update()[i][1:], self.base[i][1:])

    def _entry_moves_row(self, i: int) -> bool:
        """One synapse's weight, changed but for the forward pass, moves the update of the neuron's other synapses."""
        synapse = self.bench.synapses[i]
        weight = synapse.weight.detach().clone()
        weight[:, 0] += weight.std()
        with read_as(synapse, weight):
            return _differs(self.bench.update()[i][:, 1:], self.base[i][:, 1:])


def count_phases(log: Log) -> int:
    """Sweeps through the layers: one each time that activity starts again at the bottom, or that errors go down."""
    sweeps, down, last = 0, False, -1
    for event in log.events:
        if event.kind == "forward":
            sweeps += event.layer < last or sweeps == 0 or down
            last, down = event.layer, False
        elif event.kind in {"crossing", "transpose"} or (event.kind == "pull_back" and event.to_input):
            sweeps += not down
            down = True
    return sweeps


def _cost(bench: Bench) -> tuple[int, int]:
    """Floating point operations of one update, and bytes that its forward passes keep for later, weights apart."""
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, nn.Parameter):
            kept[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        flops = count_flops(*bench.plain, bench.x, bench.target)
    return flops, sum(kept.values())


def count_flops(rule: LearningRule, network: Network, x: Tensor, target: Tensor) -> int:
    """Floating point operations of one update by a bound rule; rule and network are copied."""
    rule, network = copy.deepcopy((rule, network))
    rule.begin_step(1)
    with _Flops() as counter, torch.no_grad():
        rule.assign_gradients(network, x, target)
    return int(counter.total)


class _Flops(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's
    """Counts by torch's own formulas; torch's FlopCounterMode hooks modules in a way that forbids autograd.grad."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if func._overloadpacket in flop_registry:
            self.total += flop_registry[func._overloadpacket](*args, **(kwargs or {}), out_val=found)
        return found


def _differs(new: Tensor, old: Tensor, scale: Tensor | None = None) -> bool:
    if not new.numel():
        return False
    size = float((old if scale is None else scale).abs().max())
    return bool((new - old).abs().max() > MOVED * max(size, 1e-30))


def _rank_one(vectors: Sequence[Tensor]) -> bool:
    values = torch.linalg.svdvals(torch.stack(tuple(vectors)))
    return bool(values[0] > 0 and values[1] < 1e-7 * values[0])
