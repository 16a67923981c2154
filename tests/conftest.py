"""The shapes and types in the signatures are checked at run time, in every test; where real recordings lie."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

ROOT = Path(__file__).parent.parent
UNCHECKED = {
    "brennan2016": "its tests hand in what a Literal excludes, to read the refusal",
    "localizer": "the same",
    "fetch": "a class that is a protocol with data cannot be checked",
    "search": "its tests hand in decoders of their own",
}
# An int is a float here, as PEP 484 has it.
CHECKER = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"

names = [
    path.relative_to(ROOT).with_suffix("")
    for part in ("analysis", "datasets", "decoding")
    for path in (ROOT / part).glob("*.py")
]
checked = [f"plasticode.{name.parent}.{name.stem}" for name in names if name.stem not in {"__init__", *UNCHECKED}]
install_import_hook(checked, CHECKER)


@pytest.fixture
def real_data() -> Path:
    """Folder of real recordings; the test is skipped where $PLASTICODE_DATA is not set."""
    if "PLASTICODE_DATA" not in os.environ:
        pytest.skip("PLASTICODE_DATA does not name a folder of real recordings")
    return Path(os.environ["PLASTICODE_DATA"])
