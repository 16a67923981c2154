"""What is in the zoo: every rule file, and a small network of each architecture to try rules on."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable
from importlib import import_module

from ..datasets.errors import WrongArgument
from . import rules
from .architectures import CNN, MLP
from .network import Network
from .recipe import PACKAGE, make
from .recurrent import RecurrentNetwork
from .residual import ResidualCNN
from .rule import LearningRule
from .spiking import SpikingNetwork
from .transformer import CharacterTransformer

SMALL: dict[str, Callable[[], Network]] = {
    "mlp": lambda: MLP([9, 7, 6, 4]),
    "cnn": lambda: CNN((2, 8, 8), (4, 3), (3, 3), ("max", "none"), 6, 3),
    "residual": lambda: ResidualCNN((2, 6, 6), (4, 5), blocks=1, n_classes=3),
    "recurrent": lambda: RecurrentNetwork(n_symbols=5, length=4, embedding=6, widths=(7,)),
    "transformer": lambda: CharacterTransformer(n_symbols=5, length=4, width=6, heads=2, depth=1, hidden=8),
    "spiking": lambda: SpikingNetwork(n_neurons=6, example=(1, 3, 3), n_classes=3, duration=60.0, max_rate=500.0),
}


def rule_classes() -> dict[str, type[LearningRule]]:
    """Every rule by the path that a config names it by."""
    found = {}
    for module in pkgutil.iter_modules(rules.__path__):
        for kind in vars(import_module(f"{rules.__name__}.{module.name}")).values():
            if _is_rule(kind) and kind.__module__.endswith(f".{module.name}"):
                found[f"{kind.__module__}.{kind.__qualname__}"] = kind
    return dict(sorted(found.items()))


def _is_rule(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, LearningRule) and not inspect.isabstract(kind)


def rule_of(path: str) -> LearningRule:
    """A rule by class path, or by the class's name alone where it is one of the zoo's.

    Raises `WrongArgument` for an unknown one, and for one outside plasticode that is not allowed (see `recipe.make`).
    """
    known = rule_classes()
    by_name = {name.rpartition(".")[2]: name for name in known}
    path = by_name.get(path, path)
    if "." not in path or (path.startswith(f"{PACKAGE}.") and path not in known):
        raise WrongArgument(f"no rule {path}", "rule", f"One of: {', '.join(sorted(by_name))}; or a class path.")
    made = make({"class_path": path, "init_args": {}})
    if not isinstance(made, LearningRule):
        raise WrongArgument(f"{path} is no LearningRule", "rule", "Name a rule's class.")
    return made


def small_network(name: str) -> Network:
    """A small network of an architecture.

    Raises `WrongArgument` for an unknown name.
    """
    if name not in SMALL:
        raise WrongArgument(f"no network {name!r}", "--network", f"One of: {', '.join(SMALL)}.")
    return SMALL[name]()
