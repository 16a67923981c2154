"""Which networks an RSA compares: runs, classes by name, and every one's untrained twin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from ..datasets.errors import MissingData, WrongArgument
from .baseline_rdms import image_baselines
from .feature_source import FeatureSource
from .module_features import ModuleFeatures
from .rsa_config import RsaConfig, made


@dataclass(frozen=True, eq=False)
class Compared:
    """A source, its dissimilarity if it has one of its own, and the same network untrained, if that is wanted."""

    source: FeatureSource
    method: str
    twin: FeatureSource | None = None

    @property
    def name(self) -> str:
        """Of the source."""
        return str(self.source.descriptors()["name"])


def compared(config: RsaConfig, more: Sequence[FeatureSource | nn.Module] = ()) -> list[Compared]:
    """All sources of a config, and `more` given in code, then the baselines.

    Raises `MissingData` for a run that is not there, `WrongArgument` for a class that is no source of features and
    for two sources of one name, and what the classes raise.
    """
    networks = [_source(one) for one in (*_runs(config), *(made(recipe) for recipe in config.sources), *more)]
    found = [Compared(one, _method(one, config), _twin(one) if config.untrained else None) for one in networks]
    found += [Compared(one, one.method) for one in (image_baselines() if config.baselines else [])]
    names = [one.name for one in found]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        what = f"two sources of the name {', '.join(repeated)}"
        raise WrongArgument(what, "sources", "Give each run once; name those that differ in more than rule and seed.")
    return found


def _runs(config: RsaConfig) -> Iterator[Any]:
    for run in config.runs:
        if not Path(run).is_dir():
            raise MissingData("there is no such run", run, "Give the folder of a finished `plasticode fit`.")
        yield made({"class_path": config.run_source, "init_args": {"folder": run}})


def _source(given: Any) -> FeatureSource:
    if isinstance(given, nn.Module):
        return ModuleFeatures(given)
    if not isinstance(given, FeatureSource):
        remedy = "Give a torch module, or a class with the methods of analysis.feature_source.FeatureSource."
        raise WrongArgument("this gives no features of images", type(given).__qualname__, remedy)
    return given


def _method(source: FeatureSource, config: RsaConfig) -> str:
    return str(getattr(source, "method", config.distance))


def _twin(source: FeatureSource) -> FeatureSource | None:
    if source.descriptors().get("baseline"):
        return None
    twin = getattr(source, "untrained_twin", None)
    return None if twin is None else twin()
