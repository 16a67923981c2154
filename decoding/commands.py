"""The verbs of the decoding half: their arguments, and what they call.

What takes seconds to import is imported when a verb runs, so that `--help` is quick.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from ..datasets.errors import WrongArgument


def demo_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = """example:
  plasticode demo
  plasticode demo --study lebel2023 --root ../shared/data/uts_stories_fmri --subject UTS03
  plasticode demo --resume runs/demo-20261121-101500"""
    parser.add_argument("--study", default="synthetic", help="a study with a demo config (default: synthetic)")
    parser.add_argument("--root", help="folder of the study's data (synthetic data are made where there are none)")
    parser.add_argument("--subject", help="train on and score this person only")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--run-dir", type=Path, help="folder of the run (default: runs/demo-DATE)")
    where.add_argument("--resume", type=Path, metavar="RUN_DIR", help="go on with an interrupted run")


def demo_run(args: argparse.Namespace) -> None:
    from .demo import resume_demo, start_demo

    console = Console()
    if args.resume:
        resume_demo(args.resume, console)
    else:
        start_demo(args.study, args.root, args.subject, args.run_dir, console)


def fit_encoding_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = """example:
  plasticode fit-encoding --config configs/decoding/lebel2023_encoding.yaml --run-dir runs/encoding
  plasticode evaluate runs/encoding --root ../shared/data/uts_stories_fmri --nulls all
All other options are keys of the config: --data.subjects '[UTS03]', --beam.hypotheses 50."""
    parser.add_argument("--run-dir", type=Path, help="folder of the run (default: runs/encoding-DATE)")


def fit_encoding_run(args: argparse.Namespace) -> None:
    """Fit, write the run folder, and say where it is."""
    from .encoding_fit import fit_encoding
    from .encoding_settings import read_settings
    from .run_folder import RunFolder

    settings = read_settings(args.rest)
    run = RunFolder(args.run_dir) if args.run_dir else RunFolder.dated("encoding")
    fit_encoding(settings, run, Console(stderr=True))
    print(run.path)


def decode_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = """example:
  plasticode decode runs/demo --root ../shared/data/uts_stories_fmri --subject UTS03 --out decoded.tsv
A story that somebody heard in several sessions is named with its session: alice_ses-02."""
    _scoring_arguments(parser)
    parser.add_argument("--out", type=Path, required=True, help="table to write: subject, story, start, stop (s), text")


def decode_run(args: argparse.Namespace) -> None:
    from .held_out_verbs import decode

    decode(args.run_dir, args.root, args.subject, args.stories, args.out, Console(stderr=True))


def evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = """example:
  plasticode evaluate runs/demo --root ../shared/data/uts_stories_fmri --subject UTS03 --out results.json
  plasticode evaluate runs/demo --root ../shared/data/uts_stories_fmri --protocol within,adapt --minutes 10,60,all"""
    _scoring_arguments(parser)
    parser.add_argument("--out", type=Path, help="JSON list of rows (default: RUN_DIR/results.json and all tables)")
    parser.add_argument("--semantic-model", default="minilm", help="sentence-embedding model: a name or a local folder")
    parser.add_argument(
        "--nulls",
        default="permuted",
        metavar="NAMES",
        help="all, or some of permuted, alone (always there), noise, zero, reversed, untrained, other-brain, shifted",
    )
    parser.add_argument(
        "--null-draws", type=int, default=20, metavar="N", help="draws of noise and untrained encoders (default: 20)"
    )
    across = parser.add_argument_group("across people, by encoding models; the run gives study, split and word vectors")
    across.add_argument("--protocol", metavar="WAYS", help="some of within, cross, adapt: each person is new in turn")
    across.add_argument("--minutes", default="10,30,60,180,all", help="of the new person (default: 10,30,60,180,all)")
    across.add_argument("--training-root", type=Path, help="where the run's training stories lie (default: --root)")
    across.add_argument(
        "--draws", type=int, default=3, metavar="N", help="orders of the new person's stories (default: 3)"
    )


def evaluate_run(args: argparse.Namespace) -> None:
    if args.protocol:
        from .protocol_command import evaluate_protocol, minutes_of, ways_of

        ways, minutes = ways_of(args.protocol), minutes_of(args.minutes)
        if given := [name for name in ("subject", "stories", "out") if getattr(args, name)]:
            raise WrongArgument(
                f"{', '.join(given)} with --protocol", "evaluate", "It scores everybody on fresh stories."
            )
        evaluate_protocol(args.run_dir, args.root, ways, minutes, args.draws, Console(), args.training_root)
        return
    from .held_out_verbs import evaluate

    model = args.semantic_model
    nulls = (args.nulls, args.null_draws)
    evaluate(args.run_dir, args.root, args.subject, args.stories, args.out, model, Console(), nulls)


def _scoring_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_dir", type=Path, help="folder of a finished run")
    parser.add_argument("--root", type=Path, required=True, help="folder of recordings; trained stories are left out")
    parser.add_argument("--subject", action="append", metavar="S", help="only this person; may be repeated")
    parser.add_argument(
        "--story", action="append", dest="stories", metavar="NAME", help="only this story; may be repeated"
    )


def audit_arguments(parser: argparse.ArgumentParser) -> None:
    """`audit split`, beside what the other half audits."""
    example = "plasticode audit split runs/demo --root ../shared/data/uts_stories_fmri"
    parser.epilog = f"{parser.epilog or 'example:'}\n  {example}"
    split = parser.add_subparsers(dest="kind", required=True).add_parser(
        "split", help="whether what is scored was seen, in any of the known ways", epilog=f"example:\n  {example}"
    )
    split.formatter_class = argparse.RawDescriptionHelpFormatter
    split.add_argument("run_dir", type=Path, help="folder of a brain model's run")
    split.add_argument("--root", type=Path, help="folder of the scored recordings (default: the run's own)")
    split.add_argument("--semantic-model", default="minilm", help="sentence-embedding model: a name or a local folder")


def audit_run(args: argparse.Namespace) -> None:
    """Print the table and the path of the manifest."""
    from .split_audit_verbs import audit_split

    print(audit_split(args.run_dir, args.root, Console(), args.semantic_model))


def report_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = """example:
  plasticode report runs/demo"""
    parser.add_argument("run_dir", type=Path, help="folder of an evaluated run")


def report_run(args: argparse.Namespace) -> None:
    from .report import write_report

    print(write_report(args.run_dir))


def sys_info_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = """example:
  plasticode sys-info"""


def sys_info_run(args: argparse.Namespace) -> None:
    import torch

    from ..datasets.prepare import default_cache
    from ..provenance import hardware, versions
    from .run_folder import REPORTED

    for name, value in versions(REPORTED).items():
        print(f"{name:<14} {value}")
    print(f"{'hardware':<14} {hardware()}, {torch.get_num_threads()} threads")
    print(f"{'cache':<14} {default_cache()}")


def _training_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = """example:
  plasticode {verb} --config configs/decoding/language_model.yaml --run-dir runs/language_model
  plasticode {verb} --resume runs/language_model
All other options go to LightningCLI: --config, --trainer.max_epochs 5, --data.subjects '[UTS03]', --print_config."""
    parser.epilog = parser.epilog.format(verb=parser.prog.rsplit(" ", 1)[-1])
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--run-dir", help="folder of the run (default: runs/VERB-DATE)")
    where.add_argument("--resume", metavar="RUN_DIR", help="take config and last checkpoint of a run")


def _training_run(args: argparse.Namespace) -> None:
    from .fitting import run_lightning

    folder = run_lightning(args.verb, args.rest, args.run_dir, args.resume)
    if folder.is_dir():  # `validate` and `test` without --resume write nothing
        print(folder)


fit_arguments = validate_arguments = test_arguments = predict_arguments = _training_arguments
fit_run = validate_run = test_run = predict_run = _training_run
