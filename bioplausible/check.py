"""`check_learning_rule(rule)`: what every rule promises, tried on it; the zoo's `check_estimator`.

A user's own rule goes through it in one call, before its first training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import promises
from .network import Network
from .rule import LearningRule
from .trial import Trial

CHECKS: list[Callable[[Trial], str | None]] = [
    promises.leaves_gradients_and_nothing_else,
    promises.is_the_same_twice,
    promises.halves_average_to_the_whole,
    promises.adds_to_gradients_that_are_there,
    promises.two_networks_never_touch,
    promises.a_checkpoint_holds_all_of_it,
    promises.keeps_nothing_on_its_class,
    promises.infers_scores_without_touching_anything,
    promises.is_backprop_where_it_says_so,
    promises.is_the_same_compiled,
    promises.is_the_same_with_channels_last,
    promises.points_the_same_way_in_mixed_precision,
]


@dataclass(frozen=True)
class Outcome:
    """One check: its name, and why it does not apply (None when it was made and passed)."""

    name: str
    skipped: str | None = None


def check_learning_rule(
    make_rule: Callable[[], LearningRule], make_network: Callable[[], Network] | None = None
) -> list[Outcome]:
    """Run every check of `CHECKS`; returns what was made and what did not apply.

    Parameters
    ----------
    make_rule
        Gives a new rule each time: a class, or `lambda: MyRule(rate=0.1)`.
    make_network
        Gives the same network each time; a small MLP by default. Name one when the rule needs another kind.

    Raises `AssertionError` naming the first promise that the rule breaks, and what was seen.
    """
    trial, outcomes = Trial(make_rule, make_network), []
    for check in CHECKS:
        skipped = check(trial)
        outcomes.append(Outcome(check.__name__.replace("_", " "), skipped))
    return outcomes
