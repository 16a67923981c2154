"""Oracles: regression by hand, pingouin's formula from the inverse of the correlation matrix, rsatoolbox's ranks."""

from __future__ import annotations

import numpy as np
import pytest
from plasticode.analysis.comparison import MEASURES, compare, similarities
from plasticode.analysis.partial import SCALES, partial_similarities
from plasticode.datasets.errors import WrongArgument
from rsatoolbox.rdm import RDMs
from scipy.stats import rankdata

PAIRS = 36
IDS = [f"image{i}" for i in range(9)]


def rows(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((count, PAIRS))


def by_hand(x: np.ndarray, y: np.ndarray, given: np.ndarray) -> float:
    design = np.column_stack([np.ones(PAIRS), given.T])
    left = [v - design @ np.linalg.lstsq(design, v, rcond=None)[0] for v in (x, y)]
    return float(np.corrcoef(*left)[0, 1])


def from_inverse(x: np.ndarray, y: np.ndarray, given: np.ndarray) -> float:
    inverse = np.linalg.inv(np.corrcoef(np.stack([x, y, *given])))
    return float(-inverse[0, 1] / np.sqrt(inverse[0, 0] * inverse[1, 1]))


@pytest.mark.parametrize("oracle", [by_hand, from_inverse])
@pytest.mark.parametrize("measure", SCALES)
def test_partial_correlation_is_that_of_the_residuals(measure: str, oracle: object) -> None:
    a, b, given = rows(3, 0), np.round(5 * rows(2, 1)), rows(2, 2)
    ranked = [rankdata(x, axis=1) if measure == "spearman" else x for x in (a, b, given)]
    expected = [[oracle(x, y, ranked[2]) for y in ranked[1]] for x in ranked[0]]  # type: ignore[operator]
    np.testing.assert_allclose(partial_similarities(a, b, given, measure), expected, atol=1e-12)


def test_what_two_rdms_share_through_a_nuisance_alone_goes() -> None:
    rng = np.random.default_rng(3)
    nuisance = rng.random((1, 4950))
    a, b = nuisance + 0.3 * rng.random((1, 4950)), nuisance + 0.3 * rng.random((1, 4950))
    assert similarities(a, b, "pearson").item() > 0.8
    assert abs(partial_similarities(a, b, nuisance, "pearson").item()) < 4 / np.sqrt(4950)


def test_a_nuisance_told_twice_or_constant_is_told_once() -> None:
    a, b, given = rows(2, 4), rows(2, 5), rows(2, 6)
    again = np.concatenate([given, given.sum(axis=0, keepdims=True), np.ones((1, PAIRS))])
    expected = partial_similarities(a, b, given, "pearson")
    np.testing.assert_allclose(partial_similarities(a, b, again, "pearson"), expected, atol=1e-12)


def test_nothing_but_constants_to_regress_out_is_the_plain_measure() -> None:
    a, b = rows(2, 7), rows(3, 8)
    for measure in SCALES:
        found = partial_similarities(a, b, np.ones((1, PAIRS)), measure)
        np.testing.assert_allclose(found, similarities(a, b, measure), atol=1e-14)


def test_an_rdm_that_nuisances_explain_is_warned_of_and_nan() -> None:
    given = rows(2, 9)
    models = np.stack([given[0] - 2 * given[1] + 3, rows(1, 10)[0]])
    with pytest.warns(UserWarning, match=r"model RDM 0 \(from 0\) is explained by the nuisance RDMs"):
        found = partial_similarities(models, rows(1, 11), given, "pearson")
    np.testing.assert_array_equal(np.isnan(found[:, 0]), [True, False])
    with pytest.warns(UserWarning, match=r"data RDM 0 \(from 0\) is explained"):
        assert np.isnan(partial_similarities(rows(1, 12), np.full((1, PAIRS), 0.1), given, "pearson")).all()


def test_nuisances_are_joined_by_id_too() -> None:
    models, data, given = (RDMs(rows(2, seed), pattern_descriptors={"stimulus": IDS}) for seed in (13, 14, 15))
    order = np.random.default_rng(16).permutation(9)
    ids = [IDS[i] for i in order]
    permuted = RDMs(given.get_matrices()[:, order][:, :, order], pattern_descriptors={"stimulus": ids})
    expected = compare(models, data, "spearman", partial=given)
    np.testing.assert_array_equal(compare(models, data, "spearman", partial=permuted), expected)


@pytest.mark.parametrize("measure", sorted(set(MEASURES) - set(SCALES)))
def test_other_measures_are_refused_with_the_reason(measure: str) -> None:
    with pytest.raises(WrongArgument, match=rf"{measure} has no partial form: only a correlation keeps its meaning"):
        partial_similarities(rows(1, 17), rows(1, 18), rows(1, 19), measure)
