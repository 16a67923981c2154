"""The verb `plasticode fetch`."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from .fetch import estimate, fetch, plan, print_estimate, print_plan
from .web import Unreachable

EXAMPLE = """example:
  plasticode fetch lebel2023 --subject UTS03 --root data/lebel2023 --dry-run
  plasticode fetch lebel2023 --subject UTS03 --root data/lebel2023
  plasticode fetch mnist --dry-run
The second command may be stopped and given again: it goes on where it stopped."""


def fetch_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Bring a study's recordings, or a set of images, over HTTPS, resumed after interruptions and verified."
    )
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("study", help="name of the study or image collection, for example lebel2023")
    parser.add_argument("--subject", action="append", default=[], metavar="S", help="whom to bring; may be repeated")
    parser.add_argument("--root", type=Path, help="folder to bring it to (default: data/STUDY)")
    parser.add_argument("--dry-run", action="store_true", help="only print what it would bring and how large it is")


def fetch_run(args: argparse.Namespace) -> None:
    """Print the plan and, unless it is a dry run, carry it out. Raises `PlasticodeError`."""
    root = args.root or Path("data") / args.study
    try:
        files = plan(args.study, args.subject)
    except Unreachable as error:
        about = estimate(args.study, args.subject)
        if not (args.dry_run and about):
            raise
        notice = f"The listing cannot be read now, so this is an estimate. {error}"
        Console(stderr=True).print(notice, markup=False, highlight=False, soft_wrap=True)
        print_estimate(about)
        return
    print_plan(files, root)
    if not args.dry_run:
        fetch(files, root)
