"""Oracles: resamples written out and compared by rsatoolbox (`subsample_pattern`); copies of pairs written by hand."""

from __future__ import annotations

import numpy as np
import pytest
from plasticode.analysis import resampling
from plasticode.analysis.comparison import similarities
from plasticode.analysis.resampling import WEIGHTED, resampled_similarities, weighted_similarities
from plasticode.datasets.errors import WrongArgument
from rsatoolbox import rdm
from rsatoolbox.rdm import RDMs

NAMES = {
    "pearson": "corr",
    "spearman": "spearman",
    "cosine": "cosine",
    "rho-a": "rho-a",
    "whitened-cosine": "cosine_cov",
    "whitened-correlation": "corr_cov",
}
N = 8
PAIRS = N * (N - 1) // 2


def rows(count: int, seed: int, ties: bool = False) -> np.ndarray:
    values = np.random.default_rng(seed).random((count, PAIRS))
    return np.round(4 * values) if ties else values


def drawn(samples: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).multinomial(N, np.full(N, 1 / N), size=samples).astype(float)


def written_out(a: np.ndarray, b: np.ndarray, counts: np.ndarray, method: str) -> np.ndarray:
    orders = [np.repeat(np.arange(N), times.astype(int)) for times in counts]
    both = [[RDMs(values).subsample_pattern("index", order) for values in (a, b)] for order in orders]
    return np.stack([rdm.compare(*pair, method=method) for pair in both])


@pytest.mark.parametrize("ties", [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("measure", NAMES)
def test_weights_give_what_the_resample_gives_that_rsatoolbox_writes_out(
    measure: str, ties: tuple[bool, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, counts = rows(3, 0, ties[0]), rows(2, 1, ties[1]), drawn(40, 2)
    expected = written_out(a, b, counts, NAMES[measure])
    np.testing.assert_allclose(resampled_similarities(a, b, counts, measure), expected, rtol=0, atol=1e-12)
    monkeypatch.setattr(resampling, "BYTES", 2000)  # a few samples, a model at a time
    np.testing.assert_allclose(resampled_similarities(a, b, counts, measure), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("measure", NAMES)
def test_each_condition_drawn_once_is_the_plain_similarity(measure: str) -> None:
    a, b = rows(3, 3), rows(4, 4)
    found = resampled_similarities(a, b, np.ones((1, N)), measure)
    np.testing.assert_allclose(found[0], similarities(a, b, measure), atol=1e-12)


@pytest.mark.parametrize("measure", NAMES)
def test_the_order_of_samples_and_conditions_changes_nothing(measure: str) -> None:
    a, b, counts = rows(2, 5), rows(2, 6), drawn(10, 7)
    order = np.random.default_rng(8).permutation(N)
    a_turned, b_turned = (RDMs(RDMs(x).get_matrices()[:, order][:, :, order]).dissimilarities for x in (a, b))
    found = resampled_similarities(a_turned, b_turned, counts[::-1][:, order], measure)[::-1]
    np.testing.assert_allclose(found, resampled_similarities(a, b, counts, measure), atol=1e-12)


@pytest.mark.parametrize("measure", NAMES)
def test_a_condition_may_make_up_most_of_a_resample(measure: str) -> None:
    counts = np.array([[5, 1, 1, 1, 0, 0, 0, 0], [4, 1, 1, 1, 1, 0, 0, 0], [6, 1, 1, 0, 0, 0, 0, 0]], float)
    a, b = rows(2, 25), rows(3, 26)
    expected = written_out(a, b, counts, NAMES[measure])
    np.testing.assert_allclose(resampled_similarities(a, b, counts, measure), expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("measure", WEIGHTED)
def test_whole_weights_are_numbers_of_copies(measure: str) -> None:
    a, b = rows(2, 9), rows(3, 10)
    weights = np.random.default_rng(11).integers(4, size=(6, PAIRS)).astype(float)
    for sample, found in zip(weights, weighted_similarities(a, b, weights, measure), strict=True):
        copies = np.repeat(np.arange(PAIRS), sample.astype(int))
        expected = rdm.compare(a[:, copies], b[:, copies], method=NAMES[measure])
        np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("measure", NAMES)
def test_an_rdm_without_spread_in_a_resample_is_nan_there(measure: str) -> None:
    a, b = rows(1, 12), rows(2, 13)
    first, second = np.triu_indices(N, 1)
    kept = (first < 4) & (second < 4)
    b[1, kept] = 0.0 if "cosine" in measure else 0.7
    counts = np.array([[2.0] * 4 + [0] * 4, [1] * 8])
    found = resampled_similarities(a, b, counts, measure)
    np.testing.assert_array_equal(np.isnan(found[:, 0]), [[False, True], [False, False]])


@pytest.mark.parametrize("measure", WEIGHTED)
def test_an_rdm_that_is_constant_up_to_rounding_is_nan_in_every_resample(measure: str) -> None:
    flat = np.zeros((1, PAIRS)) if measure == "cosine" else 0.1 + 1e-17 * np.arange(PAIRS)[None]
    found = resampled_similarities(rows(1, 14), np.concatenate([flat, rows(1, 15)]), drawn(5, 16), measure)
    np.testing.assert_array_equal(np.isnan(found).all(axis=(0, 1)), [True, False])


def test_missing_pairs_are_left_out_of_every_resample() -> None:
    a, b, counts = rows(2, 17), rows(2, 18), drawn(5, 19)
    a[:, 3] = b[:, 3] = np.nan
    weights = resampling.pair_weights(counts)
    weights[:, 3] = 0
    with pytest.warns(UserWarning, match="1 of 28 pairs are missing"):
        found = resampled_similarities(a, b, counts, "spearman")
    filled = [np.nan_to_num(x, nan=0.5) for x in (a, b)]
    np.testing.assert_allclose(found, weighted_similarities(*filled, weights, "spearman"), atol=1e-12)


def test_what_has_no_form_in_weights_is_refused() -> None:
    a, counts = rows(2, 20), drawn(3, 21)
    hole = a.copy()
    hole[:, 0] = np.nan
    with pytest.raises(
        WrongArgument, match=r"tau-a has no form with weights on pairs \(measure\)\. Take one of pearson"
    ):
        resampled_similarities(a, a, counts, "tau-a")
    with (
        pytest.warns(UserWarning, match="missing"),
        pytest.raises(WrongArgument, match=r"whitened-cosine of resamples takes no missing pairs"),
    ):
        resampled_similarities(hole, hole, counts, "whitened-cosine")
    with pytest.raises(WrongArgument, match=r"counts are for 7 conditions, the RDMs have 28 pairs"):
        resampled_similarities(a, a, counts[:, 1:], "pearson")
    with pytest.raises(WrongArgument, match=r"weights are for 27 pairs, not 28"):
        weighted_similarities(a, a, np.ones((1, 27)), "pearson")
    with pytest.raises(WrongArgument, match=r"a weight is negative or not finite"):
        weighted_similarities(a, a, -np.ones((1, 28)), "pearson")
    with pytest.raises(WrongArgument, match=r"spearman takes whole weights"):
        weighted_similarities(a, a, np.full((1, 28), 0.5), "spearman")


def test_shares_are_weights_of_a_product_measure() -> None:
    a, b, weights = rows(2, 22), rows(2, 23), np.random.default_rng(24).random((3, PAIRS))
    expected = [[[np.cov(x, y, aweights=w) for y in b] for x in a] for w in weights]
    expected = [[[c[0, 1] / np.sqrt(c[0, 0] * c[1, 1]) for c in row] for row in table] for table in expected]
    np.testing.assert_allclose(weighted_similarities(a, b, weights, "pearson"), expected, atol=1e-12)
