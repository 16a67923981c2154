"""The tutorials' code runs, block after block, as a reader would type it."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
TUTORIALS = [path for path in sorted(DOCS.rglob("*.md")) if BLOCK.search(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("path", TUTORIALS, ids=[path.stem for path in TUTORIALS])
def test_every_block_of_python_runs(path):
    names = {"__name__": "tutorial"}
    for block in BLOCK.findall(path.read_text(encoding="utf-8")):
        exec(compile(block, str(path), "exec"), names)  # noqa: S102  # our own pages


def test_there_is_a_tutorial():
    assert "write_your_own_rule" in [path.stem for path in TUTORIALS]
