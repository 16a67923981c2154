"""Oracles: rsatoolbox's `boot_noise_ceiling`, bounds as theorems, and planted reliability."""

from __future__ import annotations

import math

import numpy as np
import pytest
from plasticode.analysis.comparison import MEASURES, compare, similarities
from plasticode.analysis.inference_table import METHODS
from plasticode.analysis.noise_ceiling import noise_ceiling, split_half_reliability
from plasticode.analysis.subjects import Subjects, subjects_of
from plasticode.datasets.errors import BrokenData, WrongArgument
from rsatoolbox.inference.noise_ceiling import boot_noise_ceiling
from rsatoolbox.rdm import RDMs

IDS = [f"s{i:02d}" for i in range(14)]
PAIRS = 14 * 13 // 2


def noisy(n_subjects: int = 6, noise: float = 0.4, seed: int = 0, sessions: int = 1, digits: int = 9) -> RDMs:
    rng = np.random.default_rng(seed)
    values = rng.random(PAIRS) + noise * rng.normal(size=(n_subjects * sessions, PAIRS)) + 2
    names = [f"subject {i}" for i in range(n_subjects) for _ in range(sessions)]
    return RDMs(
        np.round(values, digits), rdm_descriptors={"subject": names}, pattern_descriptors={"stimulus": list(IDS)}
    )


@pytest.mark.filterwarnings("ignore:Noise ceiling for tau")
@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("sessions", [1, 2])
def test_bounds_are_rsatoolboxs(measure: str, sessions: int) -> None:
    data = noisy(sessions=sessions, digits=1)  # tied ranks
    found = noise_ceiling(data, measure)
    np.testing.assert_allclose(
        (found.lower, found.upper), boot_noise_ceiling(data, METHODS[measure], "subject"), rtol=1e-12
    )
    assert found.n_subjects == 6


@pytest.mark.parametrize("measure", ["pearson", "cosine", "spearman"])
def test_no_model_passes_the_upper_bound_and_the_lower_lies_below(measure: str) -> None:
    data = noisy(noise=0.8)
    found = noise_ceiling(data, measure)
    assert found.lower < found.split_half < found.upper
    rng = np.random.default_rng(1)
    models = data.dissimilarities.mean(axis=0) + 0.1 * rng.normal(size=(200, PAIRS))
    best = similarities(models, data.dissimilarities, measure).mean(axis=1).max()
    assert best <= found.upper + (0.01 if measure == "spearman" else 1e-12)  # a mean of ranks is not quite optimal
    assert best > found.lower


@pytest.mark.parametrize("measure", MEASURES)
def test_subjects_that_agree_allow_everything(measure: str) -> None:
    one = noisy(1).dissimilarities
    found = noise_ceiling(RDMs(np.repeat(one, 3, axis=0), pattern_descriptors={"stimulus": list(IDS)}), measure)
    np.testing.assert_allclose((found.lower, found.upper, found.split_half), 1)


@pytest.mark.parametrize("n_subjects", [2, 7, 40])
def test_split_half_finds_what_the_true_rdm_reaches(n_subjects: int) -> None:
    values = np.random.default_rng(0).random(4950)
    rows = values + 0.4 * np.random.default_rng(1).normal(size=(n_subjects, 4950))
    subjects = Subjects(tuple(map(str, range(n_subjects))), np.arange(n_subjects))
    reliability = split_half_reliability(np.corrcoef(rows), subjects)
    assert math.sqrt(reliability) == pytest.approx(similarities(values[None], rows, "pearson").mean(), abs=0.02)


def test_without_reliability_the_split_half_is_nan_and_says_so() -> None:
    values = np.random.default_rng(3).random(PAIRS)
    data = RDMs(np.stack([values, 2 - values]), pattern_descriptors={"stimulus": list(IDS)})
    with pytest.warns(
        UserWarning, match=r"split-half reliability of a subject is -1\.000, not positive: its ceiling is"
    ):
        found = noise_ceiling(data, "pearson")
    assert math.isnan(found.split_half)
    assert math.isfinite(found.lower)


def test_one_subject_has_no_ceiling_however_many_sessions() -> None:
    with pytest.warns(UserWarning, match="one subject has no noise ceiling: its bounds are NaN"):
        found = noise_ceiling(noisy(1, sessions=3), "pearson")
    assert found.n_subjects == 1
    assert all(math.isnan(value) for value in (found.lower, found.upper, found.split_half))


def test_another_order_of_stimuli_and_subjects_changes_nothing() -> None:
    data = noisy()
    order = np.random.default_rng(0).permutation(14)
    shuffled = data.subset("index", [0, 1, 2, 3, 4, 5])
    shuffled.reorder(order)
    assert noise_ceiling(shuffled) == noise_ceiling(data)
    assert noise_ceiling(data[[3, 1, 5, 0, 2, 4]]).lower == pytest.approx(noise_ceiling(data).lower)


def test_subjects_are_told_by_descriptor_then_by_name_then_by_number() -> None:
    values = noisy(3).dissimilarities
    named = subjects_of(RDMs(values, rdm_descriptors={"subject": ["b", "a", "b"], "name": ["x", "y", "z"]}))
    assert named.names == ("a", "b")
    assert named.of.tolist() == [1, 0, 1]
    np.testing.assert_array_equal(named.shares, [[0, 1, 0], [0.5, 0, 0.5]])
    assert subjects_of(RDMs(values, rdm_descriptors={"name": ["z", "y", "x"]})).names == ("x", "y", "z")
    assert len(subjects_of(RDMs(values, rdm_descriptors={"name": ["rdm"] * 3}))) == 3
    assert len(subjects_of(RDMs(values))) == 3


def test_a_constant_rdm_and_an_unknown_measure_are_refused() -> None:
    data = noisy(3)
    data.dissimilarities[1] = 2
    data.rdm_descriptors["name"] = ["first", "second", "third"]
    with pytest.raises(BrokenData, match=r"constant: its pearson similarity is undefined \(RDM second of the data\)"):
        noise_ceiling(data, "pearson")
    with pytest.raises(WrongArgument, match="there is no measure 'kendall'"):
        noise_ceiling(data, "kendall")


def test_the_ceiling_is_that_of_compare() -> None:
    """With two subjects the lower bound is their similarity."""
    data = noisy(2)
    assert noise_ceiling(data, "pearson").lower == pytest.approx(compare(data[0], data[1], "pearson").item())
