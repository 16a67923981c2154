"""How an object was made, remembered, so that a checkpoint can make it again without pickle.

A class that inherits `Remembered` keeps the class path and the arguments of its outermost `__init__`, in the form that
jsonargparse reads from a config: {"class_path": ..., "init_args": {...}}.
"""

from __future__ import annotations

import functools
import inspect
import os
from importlib import import_module
from typing import Any

from ..datasets.errors import WrongArgument

PACKAGE = __name__.split(".", maxsplit=1)[0]
EXTRA_ALLOWED = "PLASTICODE_ALLOW_IMPORTS"  # comma-separated packages of a user who trusts their own


class Remembered:
    """Keeps the arguments that the object was made with."""

    _given: dict[str, Any] | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in cls.__dict__:
            cls.__init__ = _remembering(cls.__init__)  # type: ignore[method-assign]

    @property
    def recipe(self) -> dict[str, Any] | None:
        """Class path and arguments, defaults left out; None when an argument cannot be written as JSON."""
        written = {name: _plain(value) for name, value in (self._given or {}).items()}
        if any(value is _unknown for value in written.values()):
            return None
        return {"class_path": f"{type(self).__module__}.{type(self).__qualname__}", "init_args": written}


def _remembering(init: Any) -> Any:
    @functools.wraps(init)
    def remembered(self: Any, *args: Any, **kwargs: Any) -> None:
        if self._given is None:  # the outermost class comes first
            given = inspect.signature(init).bind(self, *args, **kwargs).arguments
            object.__setattr__(self, "_given", dict(list(given.items())[1:]))
        init(self, *args, **kwargs)

    return remembered


_unknown = object()


def _plain(value: Any) -> Any:
    """The value as JSON has it, or `_unknown`."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        items = [_plain(item) for item in value]
        return _unknown if any(item is _unknown for item in items) else items
    if isinstance(value, Remembered) and value.recipe is not None:
        return value.recipe
    return _unknown


def make(recipe: dict[str, Any]) -> Any:
    """The object of a recipe.

    Raises `WrongArgument` for a class outside plasticode and the packages that PLASTICODE_ALLOW_IMPORTS names:
    importing a class runs its module's code.
    """
    path = str(recipe["class_path"])
    allowed = [PACKAGE, *filter(None, os.environ.get(EXTRA_ALLOWED, "").split(","))]
    if path.split(".", maxsplit=1)[0] not in allowed:
        raise WrongArgument(
            f"{path} may not be imported",
            "class_path",
            f"Name its package in the environment variable {EXTRA_ALLOWED}.",
        )
    module, _, name = path.rpartition(".")
    found = getattr(import_module(module), name, None)
    if not (isinstance(found, type) and issubclass(found, Remembered)):
        raise WrongArgument(f"no network, rule or objective {path}", "class_path", "Check its spelling.")
    given = {key: make(value) if _is_recipe(value) else value for key, value in recipe["init_args"].items()}
    return found(**given)


def _is_recipe(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"class_path", "init_args"}
