"""`plasticode report RUN_DIR`: one self-contained page about a run."""

from __future__ import annotations

from pathlib import Path

from ..datasets.whole_file import write_text
from .report_input import read_run
from .report_page import page

NAME = "report.html"


def write_report(run_dir: Path) -> Path:
    """Write `report.html` into the run's folder and return its path; the file appears whole or not at all.

    What the run lacks is said on the page. Raises `MissingData` without `results.json`, `BrokenData` for a file that
    is there but cannot be read.
    """
    text = page(read_run(Path(run_dir)))
    return write_text(Path(run_dir) / NAME, text)
