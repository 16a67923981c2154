"""An oracle for rules that estimate the gradient: the mean of many draws against backprop's, in standard errors."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from plasticode.bioplausible.network import Network
from plasticode.bioplausible.rule import LearningRule
from plasticode.bioplausible.rules.backprop import Backprop
from plasticode.bioplausible.trial import clear, gradients
from torch import Tensor

CALLS, REPEATS = 40, 40
# The largest of some hundred t statistics of 39 degrees of freedom: above 6 by chance in fewer than one of 5,000 tests.
LARGEST_T = 6.0


def flat(rule: LearningRule, network: Network, x: Tensor, target: Tensor, step: int = 0) -> Tensor:
    """One update as a vector: every parameter of the network, in order."""
    clear(rule, network)
    rule.begin_step(step)
    rule.assign_gradients(network, x, target)
    return torch.cat(
        [value.flatten() for name, value in gradients(rule, network).items() if name.startswith("network")]
    )


def check_mean(rule: LearningRule, network: Network, x: Tensor, target: Tensor) -> None:
    """The mean over CALLS x REPEATS draws a sample is the gradient, and close enough to it to tell."""
    rule.bind(network)
    gradient = flat(Backprop(), network, x, target)
    many = x.repeat(REPEATS, *[1] * (x.ndim - 1)), target.repeat(REPEATS, *[1] * (target.ndim - 1))
    drawn = torch.stack([flat(rule, network, *many, step) for step in range(CALLS)])
    mean, error = drawn.mean(0), drawn.std(0) / CALLS**0.5
    assert ((mean - gradient).abs() <= LARGEST_T * error + 1e-12).all()
    share = mean @ gradient / (gradient @ gradient)  # 1 for the gradient itself, 2 or 1/2 for a slip of a factor
    assert abs(share - 1) < 0.2


@pytest.fixture
def assert_unbiased() -> Callable[[LearningRule, Network, Tensor, Tensor], None]:
    """The mean of many draws of a rule is backprop's gradient, within the standard error of that mean."""
    return check_mean
