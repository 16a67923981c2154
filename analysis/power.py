"""Warnings where so little was measured that a number can hardly be defended.

With few conditions a bootstrap over conditions draws few distinct sets of them, and with few subjects the variance
between subjects rests on as few numbers: t-tests with min(subjects, conditions) - 1 degrees of freedom are then weak,
and the variances themselves uncertain. The two limits are rules of thumb.
"""

from __future__ import annotations

import math
import warnings

FEW_CONDITIONS = 20
FEW_SUBJECTS = 5


def warn_if_weak(n_conditions: int, n_subjects: int, permutations: int = 0) -> None:
    """Warn of fewer than 20 conditions, of fewer than 5 subjects, of more permutations than the conditions have."""
    if n_conditions < FEW_CONDITIONS:
        _warn(
            f"{n_conditions} conditions give little power: below {FEW_CONDITIONS}, differences between models stay "
            "undetected and intervals over stimuli are unreliable"
        )
    if 1 < n_subjects < FEW_SUBJECTS:
        _warn(
            f"{n_subjects} subjects give little power: below {FEW_SUBJECTS}, intervals over subjects and the noise "
            "ceiling are unreliable"
        )
    if n_conditions < FEW_CONDITIONS and permutations >= math.factorial(n_conditions):
        _warn(
            f"{n_conditions} conditions have {math.factorial(n_conditions)} orders, fewer than the {permutations} "
            f"permutations: no p is below about 1 / {math.factorial(n_conditions)}"
        )


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=4)
