"""The verbs of the bioplausible half: `rules` and `audit`."""

from __future__ import annotations

import argparse

from rich.console import Console


def rules_arguments(parser: argparse.ArgumentParser) -> None:
    """`plasticode rules` takes nothing."""
    parser.epilog = "example:\n  plasticode rules"


def rules_run(args: argparse.Namespace) -> None:
    """Print the table of all rules."""
    from .audit_card import print_rules

    print_rules(Console(width=None))


def audit_arguments(parser: argparse.ArgumentParser) -> None:
    """What is audited, and on which network."""
    parser.epilog = "example:\n  plasticode audit rule FeedbackAlignment --network cnn"
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    rule = kinds.add_parser("rule", help="what each weight's update reads, measured by intervening")
    rule.add_argument("rule", metavar="CLASS", help="a rule's name (see `plasticode rules`) or class path")
    rule.add_argument("--network", default="mlp", help="one of the small networks that `plasticode rules` shows (mlp)")


def audit_run(args: argparse.Namespace) -> None:
    """Print the card."""
    from .audit import audit_rule
    from .audit_card import print_card, reference_of
    from .zoo import rule_of, small_network

    audit = audit_rule(rule_of(args.rule), small_network(args.network))
    print_card(audit, reference_of(args.network), Console())
