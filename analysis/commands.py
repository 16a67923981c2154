"""The verb of the analysis half: `plasticode rsa`."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path

from rich.console import Console


def rsa_arguments(parser: argparse.ArgumentParser) -> None:
    """What is given most often; every setting of the config may be given as --KEY VALUE."""
    parser.epilog = """example:
  plasticode rsa --config configs/analysis/kriegeskorte2008.yaml --root DIR --run runs/a --run runs/b --out runs/rsa
All other options are keys of the config: --permutations 100, --regions '[EVC, IT]', --resolutions '[own, 14]'."""
    parser.add_argument("--config", type=Path, help="settings (see configs/analysis)")
    parser.add_argument("--root", type=Path, help="folder of the study's files")
    parser.add_argument("--run", type=Path, action="append", default=[], metavar="RUN_DIR", help="a trained network")
    parser.add_argument("--out", type=Path, help="folder for tables, figures and report (default: runs/rsa-DATE)")


def rsa_run(args: argparse.Namespace) -> None:
    """Compare, write the folder, and say where the report is."""
    from dataclasses import replace

    from .rsa import rsa
    from .rsa_config import read_config
    from .rsa_folder import require_folder, write
    from .rsa_verdict import lead

    given = [] if args.config is None else ["--config", str(args.config)]
    given += [] if args.root is None else ["--root", str(args.root)]
    config = read_config([*given, *args.rest])
    config = replace(config, runs=[*config.runs, *map(str, args.run)])
    folder = args.out or Path("runs") / f"rsa-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    require_folder(folder)
    console = Console(stderr=True)
    with console.status("reading") as status:
        found = rsa(config, say=status.update)
        status.update("drawing")
        report = write(found, folder)
    print(lead(found))
    print(report)
