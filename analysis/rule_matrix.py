"""Rule x network x seed: the matrix of cells that a config describes.

    training:                      # of every cell, by `plasticode fit`
      config: ../bioplausible/cifar10.yaml   # beside this file
      root: data/cifar10
      overrides: {trainer.max_epochs: 5}
    rules: [Backprop, {FeedbackAlignment: {model.pace.learning_rate: 0.001}}]
    networks: {narrow: {channels: [16, 32, 16]}, wide: {}}  # what is changed of the config's; itself by default
    seeds: 5
    cells: runs/rules_matrix       # the folder that holds one run a cell
    study: kriegeskorte2008        # this and what follows is `plasticode rsa`'s; its `runs` are compared too

Every cell starts from the same weights as those of the other rules with its network and seed, and sees the same images
in the same order. A rule that names part of a pace names all of it: what it leaves out is `Pace`'s default.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..datasets.errors import BrokenData, MissingData, WrongArgument
from .cells import Cell

SUITE = __package__.rpartition(".")[0]
RULES = Path(__file__).parent.parent / "bioplausible" / "rules"  # read as text: `analysis` imports no rule
OWN = {"training", "rules", "networks", "seeds", "cells"}
TRAINING = {"config", "root", "overrides"}
LOOK = "See configs/analysis/rules_matrix.yaml."
SEEDS, CELLS = 5, "runs/rules_matrix"
ALONE = "default"  # what the network is called where there is one
# A cell is one process on one device, unless it is told otherwise.
ALWAYS = {"trainer.devices": 1}


@dataclass(frozen=True)
class Matrix:
    """The cells, the folder that they are in, and what is left of the config: how they are compared."""

    cells: tuple[Cell, ...]
    folder: Path
    comparison: dict[str, Any]


def read_matrix(path: Path, seeds: int | None = None, root: str | None = None) -> Matrix:
    """The matrix of a config, a YAML file as above.

    Parameters
    ----------
    seeds, root
        Instead of the config's: the number of seeds; the folder of the training data.

    Raises `MissingData` for absent files, `BrokenData` for what is no such config, `WrongArgument` for unknown rules.
    """
    given = _yaml(path)
    training = given.get("training")
    if not isinstance(training, dict) or not {"config", "root"} <= training.keys() <= TRAINING:
        raise BrokenData("`training` has config, root and perhaps overrides, no more and no less", path, LOOK)
    config = path.parent / training["config"]
    _yaml(config)
    text, folder = config.read_text(encoding="utf-8"), Path(given.get("cells", CELLS)).resolve()
    data = flags({"data.root": str(Path(root or training["root"]).resolve())})
    overrides = {**ALWAYS, **_mapping(training.get("overrides"), "training.overrides", path)}
    cells = [
        Cell(rule, network, seed, text, (*data, *flags({"model.rule": rule}), *changed, *told, *_seeded(seed)), folder)
        for rule, own in _rules(given.get("rules"), path)
        for network, changed in _networks(given.get("networks"), path)
        for told in [flags({**overrides, **own})]
        for seed in _seeds(given.get("seeds", SEEDS) if seeds is None else seeds, path)
    ]
    return Matrix(tuple(cells), folder, {key: value for key, value in given.items() if key not in OWN})


def flags(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """`{a.b: value}` as a console has it: ("--a.b", "value")."""
    pairs = ((f"--{name}", value if isinstance(value, str) else json.dumps(value)) for name, value in settings.items())
    return tuple(word for pair in pairs for word in pair)


def _yaml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise MissingData("no config", path, "Give a YAML file.")
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BrokenData(f"not YAML: {error}", path, "Give a YAML file.") from error
    if not isinstance(found, dict):
        raise BrokenData("a config is a mapping", path, LOOK)
    return found


def _mapping(given: object, name: str, path: Path) -> dict[str, Any]:
    if given is not None and not isinstance(given, dict):
        raise BrokenData(f"`{name}` is {given!r} and no mapping", path, LOOK)
    return given or {}


def rule_paths() -> dict[str, str]:
    """Class path of every rule of the suite by the name of its class, from the files and without importing them."""
    found = {}
    for file in sorted(RULES.glob("*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and any(_states_facts(line) for line in node.body):
                found[node.name] = f"{SUITE}.bioplausible.rules.{file.stem}.{node.name}"
    return found


def _states_facts(line: ast.stmt) -> bool:
    """Every rule does, its facts being what tells it from the classes that help it."""
    return isinstance(line, ast.Assign) and [getattr(target, "id", "") for target in line.targets] == ["facts"]


def _rules(given: object, path: Path) -> list[tuple[str, dict[str, Any]]]:
    """(class path, overrides) of each rule: a name, a class path, or one of them with its own overrides."""
    known = rule_paths()
    if not isinstance(given, list) or not given:
        raise BrokenData("no list of `rules`", path, f"Name some of: {', '.join(known)}.")
    found = {}
    for entry in given:
        name, own = next(iter(entry.items())) if isinstance(entry, dict) and len(entry) == 1 else (entry, {})
        if not isinstance(name, str) or not (name in known or _is_path(name)):
            raise WrongArgument(f"no rule {name!r}", path, f"One of: {', '.join(known)}; or a class path.")
        if known.get(name, name) in found:
            raise WrongArgument(f"rule {name} is there twice", path, "Name each rule once.")
        found[known.get(name, name)] = _mapping(own, f"rules.{name}", path)
    return list(found.items())


def _is_path(name: str) -> bool:
    return "." in name and all(part.isidentifier() for part in name.split("."))


def _seeds(given: object, path: Path) -> list[int]:
    seeds = list(range(given)) if isinstance(given, int) and not isinstance(given, bool) else given
    if not isinstance(seeds, list) or not seeds or not all(type(seed) is int and seed >= 0 for seed in seeds):
        raise BrokenData(f"seeds {given!r}", path, "Give their number, or a list of them.")
    return list(dict.fromkeys(seeds))


def _networks(given: object, path: Path) -> list[tuple[str, tuple[str, ...]]]:
    """(name, what is changed of the config's network): its arguments, or another class with its `init_args`."""
    found = []
    for name, changes in _mapping(given, "networks", path).items():
        changed = _mapping(changes, f"networks.{name}", path)
        if not str(name).replace("_", "").isalnum():
            raise WrongArgument(f"network {name!r}", path, "Name networks by letters, digits and _: folders do, too.")
        kind = {"model.network": changed["class_path"]} if "class_path" in changed else {}
        arguments = _mapping(changed.get("init_args") if kind else changed, f"networks.{name}", path)
        own = {f"model.network.{key}": value for key, value in arguments.items()}
        found.append((str(name), flags({**kind, **own})))
    return found or [(ALONE, ())]


def _seeded(seed: int) -> tuple[str, ...]:
    return flags({"model.rule.seed": seed, "model.network.seed": seed, "data.seed": seed})
