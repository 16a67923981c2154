"""Oracle: resamples written out and compared by rsatoolbox (`subsample_pattern`)."""

from __future__ import annotations

import numpy as np
import pytest
from plasticode.analysis import resampled_cosines
from plasticode.analysis.bootstrap import engine, resampled_similarities
from plasticode.analysis.comparison import MEASURES, similarities
from plasticode.analysis.inference_table import METHODS
from plasticode.datasets.errors import BrokenData, WrongArgument
from rsatoolbox import rdm
from rsatoolbox.rdm import RDMs

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
@pytest.mark.parametrize("measure", MEASURES)
def test_weights_give_what_the_resample_gives_that_rsatoolbox_writes_out(
    measure: str, ties: tuple[bool, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, counts = rows(3, 0, ties[0]), rows(2, 1, ties[1]), drawn(40, 2)
    expected = written_out(a, b, counts, METHODS[measure])
    np.testing.assert_allclose(resampled_similarities(a, b, measure, counts), expected, rtol=0, atol=1e-12)
    monkeypatch.setattr(resampled_cosines, "BYTES", 1)  # a model at a time
    monkeypatch.setattr(engine(measure), "CHUNK_BYTES", 20_000)  # a few samples
    np.testing.assert_allclose(resampled_similarities(a, b, measure, counts), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("measure", MEASURES)
def test_each_condition_drawn_once_is_the_plain_similarity(measure: str) -> None:
    a, b = rows(3, 3), rows(4, 4)
    found = resampled_similarities(a, b, measure, np.ones((1, N)))
    np.testing.assert_allclose(found[0], similarities(a, b, measure), atol=1e-12)


@pytest.mark.parametrize("measure", MEASURES)
def test_the_order_of_samples_and_conditions_changes_nothing(measure: str) -> None:
    a, b, counts = rows(2, 5), rows(2, 6), drawn(10, 7)
    order = np.random.default_rng(8).permutation(N)
    a_turned, b_turned = (RDMs(RDMs(x).get_matrices()[:, order][:, :, order]).dissimilarities for x in (a, b))
    found = resampled_similarities(a_turned, b_turned, measure, counts[::-1][:, order])[::-1]
    np.testing.assert_allclose(found, resampled_similarities(a, b, measure, counts), atol=1e-12)


@pytest.mark.parametrize("measure", MEASURES)
def test_a_condition_may_make_up_most_of_a_resample(measure: str) -> None:
    counts = np.array([[5, 1, 1, 1, 0, 0, 0, 0], [4, 1, 1, 1, 1, 0, 0, 0], [6, 1, 1, 0, 0, 0, 0, 0]], float)
    a, b = rows(2, 25), rows(3, 26)
    expected = written_out(a, b, counts, METHODS[measure])
    np.testing.assert_allclose(resampled_similarities(a, b, measure, counts), expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("measure", MEASURES)
def test_an_rdm_without_spread_in_a_resample_is_nan_there(measure: str) -> None:
    a, b = rows(1, 12), rows(2, 13)
    first, second = np.triu_indices(N, 1)
    kept = (first < 4) & (second < 4)
    b[1, kept] = 0.0 if "cosine" in measure else 0.7
    counts = np.array([[2.0] * 4 + [0] * 4, [1] * 8])
    found = resampled_similarities(a, b, measure, counts)
    np.testing.assert_array_equal(np.isnan(found[:, 0]), [[False, True], [False, False]])


@pytest.mark.parametrize("measure", MEASURES)
def test_an_rdm_that_is_constant_up_to_rounding_is_nan_in_every_resample(measure: str) -> None:
    flat = np.zeros((1, PAIRS)) if "cosine" in measure else 0.1 + 1e-17 * np.arange(PAIRS)[None]
    found = resampled_similarities(rows(1, 14), np.concatenate([flat, rows(1, 15)]), measure, drawn(5, 16))
    np.testing.assert_array_equal(np.isnan(found).all(axis=(0, 1)), [True, False])


@pytest.mark.parametrize("measure", MEASURES)
def test_two_distinct_conditions_say_nothing(measure: str) -> None:
    counts = np.array([[4.0, 4, 0, 0, 0, 0, 0, 0], [8, 0, 0, 0, 0, 0, 0, 0], [1, 1, 6, 0, 0, 0, 0, 0]])
    found = resampled_similarities(rows(2, 17), rows(2, 18), measure, counts)
    np.testing.assert_array_equal(np.isnan(found).all(axis=(1, 2)), [True, True, False])


def test_what_cannot_be_resampled_is_refused() -> None:
    a, counts = rows(2, 20), drawn(3, 21)
    hole = a.copy()
    hole[0, 3] = np.nan
    with pytest.raises(
        BrokenData, match=r"1 pairs are missing \(NaN\), and permuted or resampled labels would move them \(data"
    ):
        resampled_similarities(a, hole, "spearman", counts)
    with pytest.raises(WrongArgument, match=r"counts are for 7 conditions, the RDMs have 28 and 28 pairs"):
        resampled_similarities(a, a, "pearson", counts[:, 1:])
    with pytest.raises(WrongArgument, match=r"there is no measure 'tau' \(measure\)\. Take one of pearson"):
        resampled_similarities(a, a, "tau", counts)
