"""The verb `plasticode prepare`."""

from __future__ import annotations

import argparse
from pathlib import Path


def prepare_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Build the cache of cleaned, z-scored responses once; what is there already is kept."
    parser.epilog = """example:
  plasticode prepare --bids my_study --task story
  plasticode prepare --study lebel2023 --root ../shared/data/uts_stories_fmri --subject UTS03"""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--bids", type=Path, metavar="DIR", help="a BIDS folder, raw or fMRIPrep derivatives")
    source.add_argument("--study", help="a study that plasticode knows; needs --root")
    parser.add_argument("--root", type=Path, help="folder of the study's data")
    parser.add_argument("--task", help="with --bids: only recordings of this task")
    parser.add_argument("--space", help="with --bids: which space of fMRIPrep derivatives")
    parser.add_argument("--raw", type=Path, help="with --bids: folder with the events of derivatives")
    parser.add_argument("--subject", action="append", metavar="S", help="only this person; may be repeated")
    parser.add_argument("--cache", type=Path, help="folder of the cache (default: $PLASTICODE_CACHE)")


def prepare_run(args: argparse.Namespace) -> None:
    """Raises `PlasticodeError` for what cannot be read."""
    from .bids import BidsStudy
    from .errors import WrongArgument
    from .prepare import prepare
    from .study import Study, open_study

    if args.bids is None and args.root is None:
        raise WrongArgument("--study needs --root", "plasticode prepare", "Give the folder of the study's data.")
    study: Study
    if args.bids:
        study = BidsStudy(args.bids, task=args.task, space=args.space, raw=args.raw)
    else:
        study = open_study(args.study, args.root)
    runs = prepare(study, args.cache, subjects=args.subject)
    for run in runs:
        shape = " x ".join(map(str, run.responses.shape))
        print(f"{run.key}\t{shape} (rows x channels)\t{len(run.words)} words")
