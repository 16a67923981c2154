"""Oracles: what each notebook asserts of its own numbers; how jupytext reads it, where that is installed."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import runpy
import sys
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
NAMES = sorted(path.stem for path in NOTEBOOKS.glob("*.py"))
NEEDS_DATA = {"rsa_of_learning_rules": ("rsa_92images", "cifar10")}  # in $PLASTICODE_DATA


def source(name: str) -> str:
    return (NOTEBOOKS / f"{name}.py").read_text(encoding="utf-8")


def cells(name: str) -> list[tuple[str, str]]:
    """Kind and content of each cell, as the percent format marks them."""
    parts = re.split(r"^# %%(.*)\n", source(name), flags=re.MULTILINE)
    kinds = ["markdown" if "[markdown]" in marker else "code" for marker in parts[1::2]]
    return list(zip(kinds, (part.strip() for part in parts[2::2]), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_its_numbers_are_what_it_says(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = os.environ.get("PLASTICODE_DATA")
    for needed in NEEDS_DATA.get(name, ()):
        if root is None or not (Path(root) / needed).is_dir():
            pytest.skip(f"PLASTICODE_DATA names no folder with {needed}, which {name} reads")
    if root is not None:
        monkeypatch.setenv("PLASTICODE_DATA", str(Path(root).resolve()))
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.chdir(tmp_path)  # what a notebook writes, it writes beside itself
    runpy.run_path(str(NOTEBOOKS / f"{name}.py"))


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_notebook_in_text_with_numbers_asserted(name: str) -> None:
    found = cells(name)
    assert source(name).startswith("# ---\n# jupyter:\n#   jupytext:")
    assert "format_name: percent" in source(name)
    assert found[0][0] == "markdown"
    assert found[0][1].startswith("# # ")
    texts = [text for kind, text in found if kind == "markdown"]
    assert all(line.startswith("#") for text in texts for line in text.splitlines())
    assert sum(text.count("assert") for kind, text in found if kind == "code") >= 5


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.skipif(importlib.util.find_spec("jupytext") is None, reason="jupytext is not installed")
def test_jupytext_finds_the_same_cells(name: str) -> None:
    read = importlib.import_module("jupytext").reads(source(name), fmt="py:percent").cells
    assert [cell["cell_type"] for cell in read] == [kind for kind, _ in cells(name)]


def test_the_readme_lists_every_notebook_and_no_other() -> None:
    listed = re.findall(r"`(\w+)\.py`", (NOTEBOOKS / "README.md").read_text(encoding="utf-8"))
    assert sorted(set(listed)) == NAMES


def test_a_wrong_number_would_be_noticed(tmp_path: Path) -> None:
    assert sys.flags.optimize == 0, "python -O leaves assertions out"
    (tmp_path / "wrong.py").write_text("# %%\nassert 1 == 2\n")
    with pytest.raises(AssertionError):
        runpy.run_path(str(tmp_path / "wrong.py"))
