"""Oracles: rsatoolbox 0.3.2, scipy, the covariance matrix V of all pairs written out, and refusals as promised."""

from __future__ import annotations

import numpy as np
import pytest
from plasticode.analysis.comparison import MEASURES, compare, similarities
from plasticode.analysis.whitening import PairPrecision
from plasticode.datasets.errors import BrokenData, MissingData, WrongArgument
from rsatoolbox import rdm
from rsatoolbox.rdm import RDMs
from scipy import stats

NAMES = {
    "pearson": "corr",
    "spearman": "spearman",
    "tau-a": "tau-a",
    "tau-b": "tau-b",
    "cosine": "cosine",
    "whitened-cosine": "cosine_cov",
    "whitened-correlation": "corr_cov",
    "rho-a": "rho-a",
}
N = 9
PAIRS = N * (N - 1) // 2
IDS = [f"image{i}" for i in range(N)]


def rows(count: int, seed: int, ties: bool = False) -> np.ndarray:
    values = np.random.default_rng(seed).random((count, PAIRS))
    return np.round(3 * values) if ties else values


def labelled(values: np.ndarray, ids: list[str] = IDS) -> RDMs:
    return RDMs(values, pattern_descriptors={"stimulus": ids})


def dense_cosine(a: np.ndarray, b: np.ndarray, sigma: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The whitened cosine with V of all pairs that are kept."""
    first, second = np.triu_indices(N, 1)
    contrasts = np.eye(N)[first] - np.eye(N)[second]
    inverse = np.linalg.inv(((contrasts @ sigma @ contrasts.T) ** 2)[np.ix_(kept, kept)])
    a, b = a[:, kept], b[:, kept]
    lengths = [np.sqrt(np.diag(x @ inverse @ x.T)) for x in (a, b)]
    return a @ inverse @ b.T / np.outer(*lengths)


def covariance(seed: int = 5) -> np.ndarray:
    root = np.random.default_rng(seed).normal(size=(N, 3 * N))
    return root @ root.T / N


def test_every_measure_is_named_here() -> None:
    assert set(NAMES) == set(MEASURES)


@pytest.mark.parametrize("ties", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("measure", NAMES)
def test_each_measure_equals_rsatoolbox(measure: str, ties: tuple[bool, bool]) -> None:
    a, b = rows(4, 0, ties[0]), rows(3, 1, ties[1])
    expected = rdm.compare(RDMs(a), RDMs(b), method=NAMES[measure])
    np.testing.assert_allclose(similarities(a, b, measure), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("measure", "of_two"), [("pearson", stats.pearsonr), ("spearman", stats.spearmanr), ("tau-b", stats.kendalltau)]
)
def test_correlations_equal_scipys(measure: str, of_two: object) -> None:
    a, b = rows(3, 2, ties=True), rows(4, 3)
    expected = [[of_two(x, y).statistic for y in b] for x in a]  # type: ignore[operator]
    np.testing.assert_allclose(similarities(a, b, measure), expected, atol=1e-12)


def test_tau_a_counts_concordant_less_discordant_over_all() -> None:
    a, b = rows(2, 4, ties=True), rows(2, 5, ties=True)
    signs = [np.sign(x[:, :, None] - x[:, None]) for x in (a, b)]
    expected = np.einsum("mij,dij->md", *signs) / (PAIRS * (PAIRS - 1))
    np.testing.assert_allclose(similarities(a, b, "tau-a"), expected, atol=1e-15)


def test_rho_a_is_the_mean_of_spearman_over_broken_ties() -> None:
    a, b = rows(1, 6, ties=True), rows(1, 7)
    noise = np.random.default_rng(8).random((4000, PAIRS)) / 10
    broken = similarities(a + noise, b, "spearman")
    assert abs(broken.mean() - similarities(a, b, "rho-a").item()) < 4 * broken.std() / np.sqrt(4000)


@pytest.mark.parametrize("noise", ["independent", "diagonal", "full"])
@pytest.mark.parametrize("missing", [0, 9])
def test_whitened_cosine_is_the_cosine_under_the_inverse_of_v(noise: str, missing: int) -> None:
    sigma = {"independent": np.eye(N), "diagonal": np.diag(np.arange(1.0, N + 1)), "full": covariance()}[noise]
    given = {"independent": None, "diagonal": np.diag(sigma), "full": sigma}[noise]
    kept = np.sort(np.random.default_rng(9).permutation(PAIRS)[missing:])
    a, b = rows(3, 10), rows(2, 11)
    precision = PairPrecision(np.isin(np.arange(PAIRS), kept), given)
    found = MEASURES["whitened-cosine"](a[:, kept], b[:, kept], precision)
    np.testing.assert_allclose(found, dense_cosine(a, b, sigma, kept), rtol=0, atol=1e-12)


def test_a_given_covariance_equals_rsatoolboxs_up_to_its_solver() -> None:
    a, b = rows(2, 12), rows(2, 13)
    for measure in ("whitened-cosine", "whitened-correlation"):
        expected = rdm.compare(RDMs(a), RDMs(b), method=NAMES[measure], sigma_k=covariance())
        np.testing.assert_allclose(similarities(a, b, measure, sigma_k=covariance()), expected, atol=2e-5)


def test_pairs_missing_in_both_are_left_out_with_a_warning_as_in_rsatoolbox() -> None:
    a, b = rows(3, 14), rows(2, 15)
    a[0, [2, 7]] = b[:, [2, 7, 30]] = a[1, 30] = np.nan
    for measure, name in NAMES.items():
        with pytest.warns(UserWarning, match=r"3 of 36 pairs are missing \(NaN\) and left out for every RDM"):
            found = similarities(a, b, measure)
        np.testing.assert_allclose(found, rdm.compare(RDMs(a), RDMs(b), method=name), atol=1e-12)


def test_pairs_missing_on_one_side_only_are_refused() -> None:
    a = rows(2, 16)
    a[0, 3] = np.nan
    with pytest.raises(BrokenData, match=r"1 pairs are missing \(NaN\) in models or data, not in both"):
        similarities(a, rows(2, 17), "pearson")


@pytest.mark.parametrize("measure", NAMES)
def test_a_constant_rdm_is_warned_of_and_nan(measure: str) -> None:
    a = rows(3, 18)
    a[1] = 0.0 if measure in {"cosine", "whitened-cosine"} else 0.1 + 1e-17 * np.arange(PAIRS)
    with pytest.warns(UserWarning, match=rf"data RDM 1 \(from 0\) is constant: its {measure} similarity is undefined"):
        found = similarities(rows(2, 19), a, measure)
    np.testing.assert_array_equal(np.isnan(found), [[False, True, False]] * 2)


@pytest.mark.parametrize("measure", NAMES)
def test_permuting_the_stimuli_changes_no_number(measure: str) -> None:
    models, data = labelled(rows(3, 20)), labelled(rows(2, 21, ties=True))
    order = np.random.default_rng(22).permutation(N)
    matrices = data.get_matrices()[:, order][:, :, order]
    permuted = labelled(matrices, [IDS[i] for i in order])
    expected = compare(models, data, measure)
    np.testing.assert_array_equal(compare(models, permuted, measure), expected)
    np.testing.assert_allclose(compare(permuted, models, measure).T, expected, atol=1e-14)


@pytest.mark.parametrize("measure", NAMES)
def test_an_rdm_is_like_itself_and_similarity_is_symmetric(measure: str) -> None:
    a, b = rows(4, 23), rows(4, 24)
    np.testing.assert_allclose(np.diag(similarities(a, a, measure)), 1, atol=1e-12)
    np.testing.assert_allclose(similarities(a, b, measure), similarities(b, a, measure).T, atol=1e-14)


def test_a_dropped_condition_is_an_error_that_names_it() -> None:
    fewer = labelled(rows(1, 25)).subset_pattern("stimulus", IDS[:-1])
    with pytest.raises(MissingData, match=r"conditions are missing: 'image8'"):
        compare(labelled(rows(1, 26)), fewer)


def test_single_precision_is_compared_in_double() -> None:
    a, b = rows(2, 27).astype(np.float32), rows(2, 28).astype(np.float32)
    found = similarities(a, b, "pearson")
    np.testing.assert_array_equal(found, similarities(a.astype(float), b.astype(float), "pearson"))


def test_what_is_no_dissimilarity_is_refused() -> None:
    good, infinite = rows(2, 29), rows(2, 30)
    infinite[0, 0] = np.inf
    with pytest.raises(BrokenData, match=r"type complex128 are no real numbers \(data\)"):
        similarities(good, good + 1j, "pearson")
    with pytest.raises(BrokenData, match=r"a dissimilarity is infinite \(models\)"):
        similarities(infinite, good, "pearson")
    with pytest.raises(BrokenData, match=r"only 0 of 36 pairs are present in every RDM \(models and data\)"):
        similarities(np.full((1, PAIRS), np.nan), np.full((1, PAIRS), np.nan), "pearson")
    with pytest.raises(WrongArgument, match=r"the numbers of pairs differ: {'models': 36, 'data': 28}"):
        similarities(good, good[:, 8:], "pearson")
    with pytest.raises(WrongArgument, match=r"35 dissimilarities are no upper triangle"):
        similarities(good[:, 1:], good[:, 1:], "pearson")


def test_arguments_that_cannot_be_meant_are_refused() -> None:
    a, nuisance = rows(2, 31), labelled(rows(1, 32))
    with pytest.raises(
        WrongArgument, match=r"there is no measure 'corr' \(measure\)\. Take one of pearson, spearman, "
    ):
        similarities(a, a, "corr")
    with pytest.raises(WrongArgument, match=r"sigma_k does not apply to pearson"):
        similarities(a, a, "pearson", sigma_k=np.ones(N))
    with pytest.raises(WrongArgument, match=r"sigma_k has shape \(3,\) for 9 conditions"):
        similarities(a, a, "whitened-cosine", sigma_k=np.ones(3))
    with pytest.raises(WrongArgument, match=r"sigma_k is not a covariance: not symmetric and positive definite"):
        similarities(a, a, "whitened-cosine", sigma_k=-np.ones(N))
    with pytest.raises(WrongArgument, match=r"sigma_k and partial exclude each other"):
        compare(labelled(a), labelled(a), "whitened-cosine", partial=nuisance, sigma_k=np.ones(N))
