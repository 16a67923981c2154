"""Oracles: the measures themselves on rows put in order by hand, and refusals as promised."""

from __future__ import annotations

import numpy as np
import pytest
from plasticode.analysis.pattern_comparison import PATTERN_MEASURES, compare_patterns
from plasticode.datasets.errors import BrokenData, MissingData, WrongArgument
from rsatoolbox.data import Dataset

IDS = [f"image{i}" for i in range(8)]


def patterns(seed: int, channels: int = 5, order: np.ndarray | None = None) -> Dataset:
    rows = np.random.default_rng(seed).normal(size=(8, channels))
    order = np.arange(8) if order is None else order
    return Dataset(rows[order], obs_descriptors={"stimulus": [IDS[i] for i in order]})


@pytest.mark.parametrize("measure", PATTERN_MEASURES)
def test_permuting_the_stimuli_changes_no_number(measure: str) -> None:
    order = np.random.default_rng(0).permutation(8)
    models, data = [patterns(1), patterns(2, 9)], [patterns(3), patterns(4), patterns(5, 2)]
    expected = PATTERN_MEASURES[measure]([x.measurements for x in models], [x.measurements for x in data])
    permuted = [patterns(3), patterns(4, order=order), patterns(5, 2, order[::-1])]
    np.testing.assert_allclose(compare_patterns(models, permuted, measure), expected, atol=1e-14)


@pytest.mark.parametrize("measure", PATTERN_MEASURES)
def test_conditions_that_do_not_differ_are_warned_of_and_nan(measure: str) -> None:
    flat = Dataset(np.ones((8, 3)), obs_descriptors={"stimulus": IDS})
    with pytest.warns(UserWarning, match=rf"conditions that do not differ have no {measure}"):
        found = compare_patterns([flat, patterns(6)], [patterns(7)], measure)
    np.testing.assert_array_equal(np.isnan(found), [[True], [False]])


def test_what_cannot_be_compared_is_refused() -> None:
    broken = patterns(8)
    broken.measurements[2, 1] = np.nan
    with pytest.raises(BrokenData, match=r"patterns of type float64 are not all finite real numbers"):
        compare_patterns([broken], [patterns(9)])
    with pytest.raises(MissingData, match=r"conditions are missing: 'image7'"):
        compare_patterns([patterns(10)], [patterns(11).subset_obs("stimulus", IDS[:-1])])
    with pytest.raises(WrongArgument, match=r"there is no measure 'svcca' of patterns \(measure\)\. Take one of cka"):
        compare_patterns([patterns(12)], [patterns(13)], "svcca")
    with pytest.raises(WrongArgument, match=r"there is nothing to compare"):
        compare_patterns([], [patterns(14)])
