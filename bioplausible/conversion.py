"""A user's own nn.Sequential as a network of the zoo: the same computation, the same parameters, any rule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from ..datasets.errors import WrongArgument
from .layer import Layer
from .network import Network
from .objective import Objective
from .synapse import ConvSynapse, LinearSynapse, Synapse

Named = tuple[str, nn.Module]  # a module and its place, as in `named_modules`

ELEMENTWISE = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus, nn.Softsign),
    *(nn.Tanh, nn.Tanhshrink, nn.Sigmoid, nn.LogSigmoid, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish, nn.Softshrink),
)
POOLING = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveMaxPool2d, nn.AdaptiveAvgPool2d, nn.LPPool2d)
NORMS = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.InstanceNorm2d)
CARRIERS = (nn.Identity, nn.Flatten, nn.Unflatten, nn.ZeroPad2d, nn.Upsample, *POOLING, *NORMS)
SYNAPSES = (nn.Linear, nn.Conv2d)
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout, nn.RReLU)
SUPPORTED = "Linear, Conv2d, element-wise nonlinearities, pooling, Flatten, Identity and norms without parameters"


@dataclass
class _Group:
    """What becomes one layer: what comes before the synapse, the synapse, and what follows it."""

    before: list[nn.Module]
    synapse: nn.Module
    nonlinearity: list[nn.Module] = field(default_factory=list)
    after: list[nn.Module] = field(default_factory=list)

    def layer(self) -> Layer:
        parts = (_chained(modules) for modules in (self.nonlinearity, self.before, self.after))
        return Layer(_sharing(self.synapse), *parts)


def convert(module: nn.Sequential, example: Sequence[int], objective: Objective | None = None) -> Network:
    """A network that computes what the Sequential computes, with its very parameters.

    Each Linear or Conv2d opens a layer; the nonlinearities and pooling that follow belong to it; what carries values
    on to the next one (Flatten, norms) comes before that. Whatever trains the network trains the user's module.

    Parameters
    ----------
    module
        May hold further Sequentials.
    example
        Shape of one input without the batch.
    objective
        Cross-entropy by default.

    Raises `WrongArgument` that names every module which no layer can hold, with its place and the reason; and for an
    example that does not pass.

    >>> import torch
    >>> from plasticode.bioplausible.conversion import convert
    >>> from plasticode.bioplausible.rules.feedback_alignment import FeedbackAlignment
    >>> mine = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 9), torch.nn.ReLU(), torch.nn.Linear(9, 10))
    >>> network, rule = convert(mine, (1, 28, 28)), FeedbackAlignment()
    >>> rule.bind(network)
    >>> images, classes = torch.rand(8, 1, 28, 28), torch.arange(8)
    >>> loss = rule.assign_gradients(network, images, classes)
    >>> mine[1].weight.grad.shape
    torch.Size([9, 784])
    """
    if not _is_sequential(module):
        raise WrongArgument(
            f"{type(module).__name__} is no plain nn.Sequential", "module", "Give a chain of modules without hooks."
        )
    parts = list(_flattened(module))
    _refuse(parts)
    network = Network([group.layer() for group in _groups(parts)], example, objective)
    _try(network, example)
    return network


def _is_sequential(module: nn.Module) -> bool:
    """A Sequential that passes its modules one after the other and does nothing else, whatever its class is called."""
    return isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward and not _hooked(module)


def _flattened(module: nn.Module, place: str = "") -> Iterator[Named]:
    # named_children() would leave out a module's second appearance.
    for name, part in module._modules.items():
        assert part is not None
        inner = f"{place}.{name}" if place else name
        if _is_sequential(part):
            yield from _flattened(part, inner)
        else:
            yield inner, part


def _hooked(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks or module._backward_hooks)


def _refuse(parts: Sequence[Named]) -> None:
    """Raise for all modules together that no layer can hold."""
    seen: set[nn.Module] = set()
    reasons = []
    for place, part in parts:
        reason = "it stands in two places, and a layer has weights of its own" if part in seen else _reason(part)
        if type(part) in SYNAPSES:
            seen.add(part)
        if reason is not None:
            reasons.append(f"{place} {type(part).__name__}: {reason}")
    if reasons:
        raise WrongArgument("some modules fit no layer", "; ".join(reasons), f"Supported: {SUPPORTED}.")
    if not seen:
        raise WrongArgument("the Sequential has no weights", "module", "Give it a Linear or a Conv2d.")


def _reason(module: nn.Module) -> str | None:
    """Why a module fits no layer. Exact types: what a subclass computes is not known."""
    kind = type(module)
    if _hooked(module):
        return "it has hooks, which a layer would not call; remove them"
    if getattr(module, "inplace", False):
        return "it works in place, and rules still read what it overwrites; set inplace=False"
    if kind in DROPOUTS:
        return "a pass must give the same twice, and it draws anew; leave it out"
    if kind in BATCH_NORMS:
        return "it reads the other samples of the batch; use a GroupNorm with affine=False"
    if kind is nn.Conv2d and (isinstance(module.padding, str) or module.padding_mode != "zeros"):
        return "its padding must be a number, of zeros"
    if kind in NORMS and (next(module.parameters(), None) is not None or getattr(module, "track_running_stats", False)):
        return "it has parameters or running statistics; switch them off (affine=False, elementwise_affine=False)"
    if kind in (*SYNAPSES, *ELEMENTWISE, *CARRIERS):
        return None
    return "nothing in the zoo does what it does"


def _groups(parts: Sequence[Named]) -> list[_Group]:
    """Modules shared out to layers; those between two synapses belong to the lower one as far as its last
    nonlinearity or pooling, and lead to the upper one from there on."""
    groups: list[_Group] = []
    waiting: list[nn.Module] = []
    for _, part in parts:
        if type(part) in SYNAPSES:
            groups.append(_Group(waiting, part))
            waiting = []
        elif not groups or type(part) not in (*ELEMENTWISE, *POOLING):
            waiting.append(part)
        else:
            open_group, first = groups[-1], type(part) in ELEMENTWISE and not waiting and not groups[-1].after
            (open_group.nonlinearity if first else open_group.after).extend([*waiting, part])
            waiting = []
    groups[-1].after.extend(waiting)
    return groups


def _chained(modules: list[nn.Module]) -> nn.Module | None:
    if len(modules) < 2:
        return modules[0] if modules else None
    return nn.Sequential(*modules)


def _sharing(module: nn.Module) -> Synapse:
    """A synapse with the module's own parameters; its own first ones are never drawn, so no random number is used."""
    with torch.device("meta"):
        if isinstance(module, nn.Conv2d):
            return ConvSynapse(1, 1, 1).take(module)
        assert isinstance(module, nn.Linear)
        return LinearSynapse(1, 1).take(module)


def _try(network: Network, example: Sequence[int]) -> None:
    try:
        network.shapes()
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise WrongArgument(
            f"an input {tuple(example)} does not pass: {reason}", "example", "Check its shape."
        ) from error
