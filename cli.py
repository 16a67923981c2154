"""`plasticode <verb>`: finds the verb's module, runs it, and turns a user's error into one line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NoReturn

from . import __version__
from .datasets.errors import PlasticodeError

DECODING, BIOPLAUSIBLE, ANALYSIS = ".decoding.commands", ".bioplausible.commands", ".analysis"
# verb: (module with `<verb>_arguments` and `<verb>_run`, or one for each kind of the verb, help)
VERBS: dict[str, tuple[str | dict[str, str], str]] = {
    "demo": (DECODING, "the whole chain, from recordings to report"),
    "fit": (DECODING, "train what a config describes (LightningCLI)"),
    "fit-encoding": (DECODING, "encoding models and a word language model: the decoder that needs minutes"),
    "validate": (DECODING, "validate a trained run (LightningCLI)"),
    "test": (DECODING, "identification on the test stories (LightningCLI)"),
    "predict": (DECODING, "latents of the test stories (LightningCLI)"),
    "decode": (DECODING, "write the text of stories that a run never saw"),
    "evaluate": (DECODING, "score a run on stories that it never saw"),
    "report": (DECODING, "one page with tables and pictures"),
    "rsa": (f"{ANALYSIS}.commands", "hold networks against recordings of people who saw the same stimuli"),
    "compare-rules": (f"{ANALYSIS}.compare_rules_command", "train rules on networks, then hold them against a brain"),
    "rules": (BIOPLAUSIBLE, "every learning rule: where it runs, what it reads, what it costs"),
    "audit": ({"rule": BIOPLAUSIBLE, "split": DECODING}, "what a rule's updates read; whether a split leaks"),
    "prepare": (".datasets.prepare_command", "clean recordings once, into the cache"),
    "fetch": (".datasets.fetch_command", "bring a study's recordings"),
    "sys-info": (DECODING, "versions and hardware, for a bug report"),
}
# The other arguments of these are jsonargparse's.
PASS_ON = {"fit", "fit-encoding", "validate", "test", "predict", "rsa"}


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def add_subparsers(self, **settings: Any) -> Any:
        """One group, to which every half adds its kinds of a verb."""
        if not hasattr(self, "kinds"):
            self.kinds = super().add_subparsers(**settings)
        return self.kinds

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. See `{self.prog} --help`.\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0, or 2 for an error of the user's, which is told in one line on stderr."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    verb = given[0] if given else "--help"
    try:
        if verb not in VERBS:
            _overview().parse_args(given or ["--help"])
            return 0
        args, run = _parse(verb, given[1:])
        run(args)
    except PlasticodeError as error:
        print(f"plasticode {verb}: {error}".replace("\n", " "), file=sys.stderr)
        return 2
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        print(
            f"plasticode {verb}: {error.strerror or error}{place}. Check the path.".replace("\n", " "), file=sys.stderr
        )
        return 2
    except KeyboardInterrupt:
        print(f"plasticode {verb}: interrupted; what is finished is kept.", file=sys.stderr)
        return 130
    return 0


def _overview() -> Parser:
    parser = Parser(prog="plasticode", description="Text from fMRI, and learning rules held against brains.")
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(metavar="verb", required=True)
    for verb, (_, about) in VERBS.items():
        verbs.add_parser(verb, help=about)
    return parser


def _parse(verb: str, given: Sequence[str]) -> tuple[argparse.Namespace, Callable[[argparse.Namespace], None]]:
    place, about = VERBS[verb]
    modules = place if isinstance(place, dict) else {"": place}
    found = {kind: import_module(module, __package__) for kind, module in modules.items()}
    name = verb.replace("-", "_")
    parser = Parser(prog=f"plasticode {verb}", description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    for half in found.values():
        getattr(half, f"{name}_arguments")(parser)
    if verb in PASS_ON:
        args, rest = parser.parse_known_args(given)
        args.rest = rest
    else:
        args = parser.parse_args(given)
    args.verb = verb
    return args, getattr(found[args.kind if isinstance(place, dict) else ""], f"{name}_run")
