"""The verb `plasticode compare-rules`: train what is missing of a matrix of rules, then compare all of it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from .rsa_config import RsaConfig

EXAMPLE = """example:
  plasticode compare-rules --config configs/analysis/rules_matrix.yaml
  plasticode compare-rules --config configs/analysis/rules_matrix.yaml --n-jobs 8 --seeds 10
  plasticode compare-rules --config configs/analysis/rules_matrix.yaml --cluster local:2
Given again, it trains what is missing: what is finished is kept, what was interrupted goes on, what failed is tried
again. A rule that cannot run on a network is a row of cells.tsv with its reason.
A scheduler's address means that you trust the scheduler, and all who can reach it: what it sends its workers is code.
Its workers need this installation, the same folders, and one thread each (`dask worker ADDRESS --nthreads 1`)."""


def compare_rules_arguments(parser: argparse.ArgumentParser) -> None:
    """What is trained, by whom, and where the results go."""
    parser.description = "Train rule x network x seed, and hold every network against recordings of people."
    parser.epilog = EXAMPLE
    parser.add_argument("--config", type=Path, required=True, help="the matrix, a YAML file")
    parser.add_argument("--root", help="folder of the study (default: the config's)")
    parser.add_argument("--training-root", help="folder of the training data (default: the config's)")
    parser.add_argument("--seeds", type=int, help="how many, from 0 on (default: the config's, or 5)")
    parser.add_argument("--out", type=Path, help="folder of the results (default: the cells' folder, `comparison`)")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--n-jobs", type=int, default=1, metavar="N", help="cells trained at a time on this machine (1)")
    where.add_argument("--cluster", metavar="WHERE", help="Dask: local:2 (that many workers here), or tcp://host:8786")
    parser.add_argument("--dry-run", action="store_true", help="only print the cells and their state")


def compare_rules_run(args: argparse.Namespace) -> None:
    """Train, compare, report. Raises `PlasticodeError`, at the end too, for cells that failed."""
    from .compare_rules import compare_rules, table
    from .rsa_folder import require_folder
    from .rule_matrix import read_matrix

    console = Console()
    matrix = read_matrix(args.config, args.seeds, args.training_root)
    if args.root:
        matrix.comparison["root"] = args.root
    if args.dry_run:
        console.print(table(matrix.cells).to_string(index=False), markup=False, highlight=False, soft_wrap=True)
        return
    folder = args.out or matrix.folder / "comparison"
    require_folder(folder)
    compare_rules(matrix, partial(_compare, folder, console), console, args.n_jobs, args.cluster)


def _compare(folder: Path, console: Console, config: RsaConfig, left_out: Sequence[str]) -> None:
    """As `plasticode rsa` does, and the report says what the matrix lacks."""
    from .rsa import rsa
    from .rsa_folder import write
    from .rsa_verdict import lead

    with console.status("reading") as status:
        found = rsa(config, say=status.update)
        found.facts["left_out"] += left_out
        status.update("drawing")
        report = write(found, folder)
    for line in (lead(found), str(report)):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
