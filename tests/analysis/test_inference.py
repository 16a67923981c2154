"""Oracles: rsatoolbox's Result and its tests; the same data in another order; promises of names and errors."""

from __future__ import annotations

import numpy as np
import pytest
from plasticode.analysis.comparison import MEASURES, compare
from plasticode.analysis.inference import Inference, infer
from plasticode.analysis.noise_ceiling import noise_ceiling
from plasticode.datasets.errors import BrokenData, MissingData, WrongArgument
from rsatoolbox.rdm import RDMs

N, PAIRS = 20, 190
ARRAYS = ("value", "low", "high", "p", "p_fdr", "p_max", "p_zero", "p_ceiling", "pairwise_p_fdr", "ceiling_interval")


def planted(n_subjects: int = 6, seed: int = 0) -> tuple[RDMs, RDMs]:
    """Three models: of noise, the true one, and a mixture; and subjects that see the true one with noise."""
    rng = np.random.default_rng(seed)
    ids = {"stimulus": [f"s{i:02d}" for i in range(N)]}
    true, noise = rng.random((2, PAIRS))
    names = {"name": ["noise", "true", "mixed"], "layer": ["l1", "l2", "l3"], "baseline": [True, False, False]}
    models = RDMs(np.stack([noise, true, true + noise]), rdm_descriptors=names, pattern_descriptors=dict(ids))
    people = {"subject": [f"subject {i}" for i in range(n_subjects)], "region": ["IT"] * n_subjects}
    values = true + 0.5 * rng.normal(size=(n_subjects, PAIRS)) + 2
    return models, RDMs(values, rdm_descriptors=people, pattern_descriptors=dict(ids))


@pytest.fixture(scope="module")
def found() -> Inference:
    return infer(*planted(), "pearson", samples=200, permutations=199)


def test_the_value_is_the_mean_similarity_inside_its_interval(found: Inference) -> None:
    models, data = planted()
    expected = compare(models, data, "pearson")
    np.testing.assert_allclose(found.value, expected.mean(axis=1))
    np.testing.assert_allclose(found.by_subject, expected)
    assert ((found.low < found.value) & (found.value < found.high)).all()
    assert found.ceiling == noise_ceiling(data, "pearson")
    assert (found.ceiling_interval[0, 0], found.ceiling_interval[1, 1]) > (0, found.ceiling.upper)


def test_the_true_model_is_best_and_the_one_of_noise_is_nothing(found: Inference) -> None:
    assert found.value.argmax() == 1
    assert (found.p[1], found.p_max[1], found.p_fdr[1]) == (0.005, 0.005, pytest.approx(0.0075))
    assert found.p_zero[1] < 0.001
    assert found.p[0] > 0.05
    assert found.p_zero[0] > 0.05
    assert found.p_ceiling[0] < 0.01
    assert found.p_ceiling[1] > 0.5
    assert found.pairwise_p[0, 1] < found.pairwise_p_fdr[0, 1] < 0.01
    np.testing.assert_array_equal(found.pairwise_p, found.pairwise_p.T)


@pytest.mark.parametrize("resample", ["both", "subjects", "stimuli"])
def test_tests_are_rsatoolboxs_where_the_mean_of_resamples_is_the_value(resample: str) -> None:
    found = infer(*planted(), "pearson", resample=resample, samples=100, permutations=0)
    result = found.result()
    means, sems = result.get_means(), result.get_sem()
    np.testing.assert_allclose(sems, np.sqrt(found.variances.models))
    np.testing.assert_allclose(means, found.value, atol=0.03)
    degrees = {"both": 5, "subjects": 5, "stimuli": 19}[resample]
    assert result.dof == found.variances.degrees == degrees
    assert (result.n_rdm, result.n_pattern, result.method) == (6, 20, "corr")
    moved = found.draws.similarities - found.draws.similarities.mean(axis=1, keepdims=True) + found.value
    result.evaluations = np.moveaxis(moved, 0, -1)[:, :, None, None] if resample == "both" else moved[0]
    np.testing.assert_allclose(result.test_zero(), found.p_zero, rtol=1e-6, atol=1e-14)
    pairwise = np.where(np.eye(3, dtype=bool), np.nan, result.test_pairwise())
    np.testing.assert_allclose(pairwise, found.pairwise_p, rtol=1e-6, atol=1e-14)
    low, high = result.get_ci(0.95)
    np.testing.assert_allclose((low, high), (found.low, found.high))
    result.noise_ceiling = np.full(2, found.ceiling.lower)
    two_sided = 2 * np.minimum(found.p_ceiling, 1 - found.p_ceiling)
    np.testing.assert_allclose(result.test_noise(), two_sided, rtol=1e-6, atol=1e-14)
    assert "true" in result.summary()


@pytest.mark.parametrize("measure", MEASURES)
def test_another_order_of_stimuli_changes_no_number(measure: str) -> None:
    models, data = planted()
    expected = infer(models, data, measure, samples=4, permutations=4)
    models.reorder(np.random.default_rng(1).permutation(N))
    data.reorder(np.random.default_rng(2).permutation(N))
    again = infer(models, data, measure, samples=4, permutations=4)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(again, name), getattr(expected, name), err_msg=name)
    assert again.ceiling == expected.ceiling


def test_another_order_of_subjects_changes_no_number_but_by_rounding(found: Inference) -> None:
    models, data = planted()
    again = infer(models, data[[3, 0, 5, 1, 4, 2]], "pearson", samples=200, permutations=199)
    for name in ARRAYS:
        np.testing.assert_allclose(getattr(again, name), getattr(found, name), rtol=1e-8, err_msg=name)
    np.testing.assert_allclose(again.by_subject, found.by_subject)


def test_a_seed_fixes_everything(found: Inference) -> None:
    same, other = (infer(*planted(), "pearson", samples=200, permutations=199, seed=seed) for seed in (0, 1))
    np.testing.assert_array_equal(same.low, found.low)
    assert (other.low != found.low).all()
    assert (other.null != found.null).any()


def test_a_dropped_id_is_named() -> None:
    models, data = planted()
    with pytest.raises(MissingData, match="'s07'"):
        infer(models, data.subset_pattern("index", [i for i in range(N) if i != 7]), "pearson")


def test_one_subject_has_intervals_over_stimuli_only_and_says_so() -> None:
    models, data = planted()
    with pytest.warns(UserWarning, match="one subject: only stimuli are resampled, and there is no noise ceiling"):
        found = infer(models, data[0], "pearson", samples=50, permutations=19)
    assert found.resample == "stimuli"
    assert np.isfinite(found.high).all()
    assert np.isfinite(found.pairwise_p[0, 1])
    assert np.isnan([found.ceiling.lower, found.ceiling.upper, *found.p_ceiling, *found.ceiling_interval.ravel()]).all()
    np.testing.assert_allclose(found.result().get_sem(), np.sqrt(found.variances.models))
    with pytest.raises(WrongArgument, match=r"there is one subject.*Take resample=\"stimuli\""):
        infer(models, data[0], "pearson", resample="subjects")


def test_little_data_are_warned_of() -> None:
    models, data = planted()
    fewer = list(range(12))
    with pytest.warns(UserWarning, match="give little power") as warned:
        infer(
            models.subset_pattern("index", fewer), data.subset_pattern("index", fewer)[[0, 1, 2]], "pearson", samples=9
        )
    assert [str(one.message).split(" give")[0] for one in warned] == ["12 conditions", "3 subjects"]


def test_a_constant_model_is_nan_and_changes_nothing_for_the_others(found: Inference) -> None:
    models, data = planted()
    values = np.insert(models.dissimilarities, 1, 1.0, axis=0)
    names = {"name": ["noise", "flat", "true", "mixed"]}
    four = RDMs(values, rdm_descriptors=names, pattern_descriptors={"stimulus": [f"s{i:02d}" for i in range(N)]})
    with pytest.warns(UserWarning, match="model RDM 1 .from 0. is constant"):
        again = infer(four, data, "pearson", samples=200, permutations=199)
    for name in ARRAYS[:-2]:
        values = getattr(again, name)
        assert np.isnan(values[1])
        np.testing.assert_allclose(np.delete(values, 1), getattr(found, name), rtol=1e-9, err_msg=name)
    assert [model.name for model in again.result().models] == ["noise", "true", "mixed"]
    np.testing.assert_allclose(again.result().get_sem(), found.result().get_sem())


def test_what_cannot_be_meant_is_refused() -> None:
    models, data = planted()
    with pytest.raises(WrongArgument, match=r"1 samples and 5 permutations cannot be drawn.*at least 2 samples"):
        infer(models, data, samples=1, permutations=5)
    with pytest.raises(WrongArgument, match="there is no resampling of 'patterns'"):
        infer(models, data, resample="patterns")
    with pytest.raises(WrongArgument, match="there is no measure 'kendall'"):
        infer(models, data, "kendall")
    data.dissimilarities[2, 3] = np.nan
    with pytest.raises(
        BrokenData, match=r"1 pairs are missing \(NaN\), and permuted or resampled labels would move them \(data\)"
    ):
        infer(models, data)
    data.dissimilarities[2] = 1.0
    with pytest.raises(BrokenData, match="the RDM is constant"):
        infer(models, data)


def test_without_permutations_their_p_is_nan() -> None:
    found = infer(*planted(), "cosine", samples=20, permutations=0)
    assert np.isnan([found.p, found.p_fdr, found.p_max]).all()
    assert np.isfinite(found.p_zero_fdr).all()


def test_the_table_has_a_row_for_the_group_and_for_each_subject(found: Inference) -> None:
    table = found.table()
    group = table[table["subject"] == "group"]
    assert group["name"].tolist() == list(found.names) == ["noise", "true", "mixed"]
    assert len(table) == 3 + 3 * 6
    for name in ("value", "low", "high", "p", "p_fdr", "p_max", "p_zero", "p_ceiling"):
        np.testing.assert_array_equal(group[name], getattr(found, name))
    assert group["ceiling_low"].tolist() == [found.ceiling.lower] * 3
    assert table["n_conditions"].unique().tolist() == [20]
    assert table["n_subjects"].unique().tolist() == [6]
    assert table["region"].unique().tolist() == ["IT"]
    assert group["layer"].tolist() == ["l1", "l2", "l3"]
    assert group["baseline"].tolist() == [True, False, False]
    single = table[(table["subject"] == "subject 2") & (table["name"] == "true")]
    assert single["value"].item() == found.by_subject[1, 2]
    assert single["p"].isna().all()
    wanted = "network rule seed layer resolution region subject measure value low high p p_fdr p_max ceiling_low"
    wanted += " ceiling_high n_conditions n_subjects baseline"
    assert set(wanted.split()) <= set(table.columns)
