"""`plasticode report RUN_DIR`: one self-contained page about a run."""

from __future__ import annotations

import os
from pathlib import Path

from .report_input import read_run
from .report_page import page

NAME = "report.html"


def write_report(run_dir: Path) -> Path:
    """Write `report.html` into the run's folder and return its path; the file appears whole or not at all.

    What the run lacks is said on the page. Raises `MissingData` without `results.json`, `BrokenData` for a file that
    is there but cannot be read.
    """
    text = page(read_run(Path(run_dir)))
    target = Path(run_dir) / NAME
    temporary = target.with_name(f".{NAME}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return target
