"""What an RSA is told: the study, the networks, how they are compared. A YAML file, read by jsonargparse."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml
from jsonargparse import ArgumentError, ArgumentParser, set_parsing_settings

from ..datasets.errors import PlasticodeError, WrongArgument
from .comparison import measure_called

Resolution = int | Literal["own"]

# A config may name classes of these packages and no others: importing a class runs its module's code.
ALLOWED = ["plasticode", "torch.nn"]
EXTRA_ALLOWED = "PLASTICODE_ALLOW_IMPORTS"  # comma-separated packages of a user who trusts their own
RUN = "plasticode.bioplausible.features.TrainedFeatures"  # what reads a run; `analysis` knows it by name only


@dataclass(frozen=True)
class RsaConfig:
    """Settings of `plasticode rsa`.

    Parameters
    ----------
    study
        Name of a study of people who saw images: `datasets/<name>.py`.
    root
        Folder with its files.
    options
        Of the study's reader, for example the image set.
    regions
        Which of the study's; all by default.
    runs
        Folders of trained networks, beside those given with `--run`.
    run_source
        Class that reads such a folder, given as its first argument.
    sources
        Further sources of features, or torch modules: a class path with init_args each.
    arrays
        .npz files of features that were computed elsewhere: `stimulus` (ids), and one array (stimulus ...) a layer.
    layers
        Names of those to be compared; all by default.
    resolutions
        Pixels a side at which images are shown; "own" is the size that a network reads.
    distance
        Between a layer's patterns, as `analysis.rdm` names it.
    brain_distance
        Between patterns of responses, where a study has no RDMs.
    measures
        Of similarity between RDMs: the first is the one of the figures, the others are second opinions.
    pattern_measures
        Of similarity between patterns, for studies that have patterns: cka, debiased-cka, procrustes.
    baselines
        Pixels, mean colour, edge and Gabor energy beside the networks.
    categories
        Category models, by name: the descriptor of the stimuli that holds the category.
    average_by
        Descriptor of the stimuli over whose values features are averaged, where a study's conditions are groups of
        stimuli (haxby2001: category).
    untrained
        Every network untrained beside it, where the source can tell (`untrained_twin`).
    samples, permutations
        Of the bootstrap, and of the stimulus labels.
    seed
        Of both.
    cache
        Folder where activations are kept; that of the suite by default.

    Raises `WrongArgument` for unknown measures and for empty lists where one is needed.
    """

    study: str
    root: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    regions: list[str] | None = None
    runs: list[str] = field(default_factory=list)
    run_source: str = RUN
    sources: list[dict[str, Any]] = field(default_factory=list)
    arrays: list[str] = field(default_factory=list)
    layers: list[str] | None = None
    resolutions: list[Resolution] = field(default_factory=lambda: ["own"])
    distance: str = "correlation"
    brain_distance: str = "crossnobis"
    measures: list[str] = field(default_factory=lambda: ["spearman"])
    pattern_measures: list[str] = field(default_factory=lambda: ["debiased-cka"])
    baselines: bool = True
    categories: dict[str, str] = field(default_factory=dict)
    average_by: str | None = None
    untrained: bool = True
    samples: int = 1000
    permutations: int = 1000
    seed: int = 0
    cache: str | None = None

    def __post_init__(self) -> None:
        for name in ("measures", "resolutions"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise WrongArgument(f"{name}: {values}", "config", "Name at least one, and each once.")
        for measure in self.measures:
            measure_called(measure)
        for name in ("samples", "permutations"):
            if getattr(self, name) < 2:
                raise WrongArgument(f"{getattr(self, name)} {name}", name, "Give 2 or more, 1000 for a result.")

    def text(self) -> str:
        """As YAML, all settings written out."""
        return yaml.safe_dump(vars(self), sort_keys=False, allow_unicode=True)


def read_config(arguments: Sequence[str]) -> RsaConfig:
    """The settings of `--config FILE` and of `--KEY VALUE`, the later ones before the earlier.

    Raises `WrongArgument` for what the schema refuses.
    """
    parser = ArgumentParser(exit_on_error=False, prog="plasticode rsa")
    parser.add_argument("--config", action="config")
    parser.add_class_arguments(RsaConfig, None)
    try:
        with_classes_allowed()
        found = yaml.safe_load(parser.dump(parser.parse_args(list(arguments)), skip_unset=False))
    except ArgumentError as error:
        raise WrongArgument(reason(error), "plasticode rsa", "See `plasticode rsa --help`.") from error
    except UnicodeDecodeError as error:
        raise WrongArgument("a config is not UTF-8 text", "plasticode rsa", "Give a YAML file.") from error
    found.pop("config", None)
    return RsaConfig(**found)


def made(recipe: dict[str, Any]) -> Any:
    """The object of {"class_path": ..., "init_args": {...}}, its arguments checked against the signature.

    Raises `WrongArgument` for a class that may not be imported, is not there, or refuses its arguments.
    """
    path = str(recipe.get("class_path", ""))
    parser = ArgumentParser(exit_on_error=False)
    with_classes_allowed()
    try:
        parser.add_subclass_arguments(_class_of(path), "made")
        parsed = parser.parse_object({"made": {"class_path": path, "init_args": recipe.get("init_args", {})}})
        return parser.instantiate(parsed).made
    except (ArgumentError, TypeError, ValueError) as error:
        if isinstance(error.__cause__, PlasticodeError):  # the class's own, which says it better
            raise error.__cause__ from None
        raise WrongArgument(reason(error), path, "Check the class path and its init_args.") from error


def with_classes_allowed() -> None:
    """Tell jsonargparse which packages a config may import classes from."""
    set_parsing_settings(import_path_denylist=["*"], import_path_allowlist=_allowed())


def _allowed() -> list[str]:
    return [*ALLOWED, *filter(None, os.environ.get(EXTRA_ALLOWED, "").split(","))]


def _class_of(path: str) -> type:
    module, _, name = path.rpartition(".")
    if not any(path.startswith(f"{package}.") for package in _allowed()):
        remedy = f"Name its package in the environment variable {EXTRA_ALLOWED}."
        raise WrongArgument(f"{path!r} may not be imported", "class_path", remedy)
    try:
        found = getattr(__import__(module, fromlist=[name]), name)
    except (ImportError, AttributeError) as error:
        raise WrongArgument(f"there is no class {path}", "class_path", "Check its spelling.") from error
    if not isinstance(found, type):
        raise WrongArgument(f"{path} is no class", "class_path", "Name a class.")
    return found


# What jsonargparse says beside the reason: the types that it tried.
NOISE = re.compile("Does not validate|Subtypes|Errors:|Expected a <class 'NoneType'>|Given value|a class path|a dict ")


def reason(error: Exception) -> str:
    """Why jsonargparse refused, in one line."""
    lines = [line.strip().removeprefix("- ") for line in str(error).splitlines()]
    return " ".join([line for line in lines if line and not NOISE.match(line)][:4])
