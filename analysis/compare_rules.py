"""A matrix of rules trained, cell by cell, and then held against a study of people. A rerun does what is missing.

cells.tsv in the folder of the cells has a row for each. The results are those of `plasticode rsa`; with the config.yaml
among them it makes them anew, of the same runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ..datasets.errors import BrokenData, MissingData, WrongArgument
from ..datasets.image_study import open_image_study
from .cell_job import train
from .cells import DONE, Cell
from .cluster import Job, here, on_cluster
from .rsa_config import RsaConfig, read_config
from .rule_matrix import ALONE, Matrix, flags

NAMED = f"{__package__}.named_network.NamedNetwork"
PLAIN: dict[str, Any] = {"markup": False, "highlight": False, "soft_wrap": True}
Compare = Callable[[RsaConfig, Sequence[str]], None]  # with what is left out, and why


def compare_rules(
    matrix: Matrix,
    compare: Compare,
    console: Console,
    n_jobs: int = 1,
    cluster: str | None = None,
    job: Job = train,
) -> None:
    """Check how it will be compared, train what is missing, write cells.tsv, compare.

    Parameters
    ----------
    compare
        What is done with the settings once all cells were tried.
    n_jobs, cluster
        Cells at a time on this machine; or the Dask cluster that they are handed to.
    job
        What trains a cell.

    Raises `WrongArgument` and `MissingData`, before any training, for settings or a study that no RSA could use;
    `MissingData` when nothing is finished; `BrokenData` at the end, naming the cells that failed.
    """
    check(matrix)
    train_cells(matrix.cells, console, job, n_jobs, cluster)
    matrix.folder.mkdir(parents=True, exist_ok=True)
    cells = table(matrix.cells)
    cells.to_csv(matrix.folder / "cells.tsv", sep="\t", index=False)
    left_out = unfinished(cells)
    for line in left_out:
        console.print(line, **PLAIN)
    compare(comparison(matrix), left_out)
    undone = [cell.key for cell in matrix.cells if cell.state not in DONE]
    if undone:
        what = f"{len(undone)} of {len(matrix.cells)} cells have no model: {', '.join(undone)}"
        raise BrokenData(what, matrix.folder, "Read fit.log in the cell's folder; the same command tries again.")


def train_cells(
    cells: Sequence[Cell], console: Console, job: Job = train, n_jobs: int = 1, cluster: str | None = None
) -> None:
    """Train those that are not done, with a progress bar."""
    missing = [cell for cell in cells if cell.state not in DONE]
    console.print(f"{len(cells)} cells, {len(cells) - len(missing)} of them done already", **PLAIN)
    if not missing:
        return
    done = on_cluster(missing, job, cluster) if cluster else here(missing, job, n_jobs)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("cells", total=len(missing))
        for cell, state in done:
            bar.console.print(f"{state}: {cell.key}", **PLAIN)
            bar.advance(task)


def table(cells: Iterable[Cell]) -> pd.DataFrame:
    """One row per cell: rule, network, seed, state, reason, best accuracy in validation, folder."""
    return pd.DataFrame(
        [
            {
                "rule": cell.rule_name,
                "network": cell.network,
                "seed": cell.seed,
                "state": cell.state,
                "validation_accuracy": _accuracy(cell.folder) if cell.state == "finished" else float("nan"),
                "reason": cell.reason,
                "folder": str(cell.folder),
            }
            for cell in cells
        ]
    )


def _accuracy(folder: Path) -> float:
    """Of the best epoch by validation, whose weights the run exports; NaN where no log says it."""
    logs = [pd.read_csv(path) for path in sorted(folder.glob("logs/csv/version_*/metrics.csv"))]
    found = [log["validation/accuracy"].max() for log in logs if "validation/accuracy" in log]
    return round(float(max(found, default=float("nan"))), 4)


def unfinished(cells: pd.DataFrame) -> list[str]:
    """A line for the cells of a rule and a network that have no model for one reason; `cells` as `table` has them."""
    without = cells[cells["state"] != "finished"].groupby(["rule", "network", "state", "reason"], sort=False)["seed"]
    return [
        f"{rule} on network {network}, seed {', '.join(map(str, seeds))}, {state}: {reason}"
        for (rule, network, state, reason), seeds in without
    ]


def check(matrix: Matrix) -> None:
    """Raises what reading the settings and opening the study raise."""
    config = read_config(flags(matrix.comparison))
    if config.root is None:
        raise WrongArgument("the study has no folder", "root", "Give it with --root DIR.")
    open_image_study(config.study, config.root, config.options)


def comparison(matrix: Matrix) -> RsaConfig:
    """How everything is compared: the matrix's own settings, and every finished cell.

    Raises `MissingData` when nothing is finished.
    """
    config, done = read_config(flags(matrix.comparison)), [cell for cell in matrix.cells if cell.state == "finished"]
    if not done and not config.runs:
        reasons = dict.fromkeys(cell.reason for cell in matrix.cells)
        raise MissingData(f"no cell is finished: {'; '.join(filter(None, reasons))}", matrix.folder, "Try again.")
    runs = [str(cell.folder) for cell in done if cell.network == ALONE]
    named = [cell for cell in done if cell.network != ALONE]
    sources = [{"class_path": NAMED, "init_args": {"run": str(one.folder), "network": one.network}} for one in named]
    return replace(config, runs=[*runs, *config.runs], sources=[*sources, *config.sources])
