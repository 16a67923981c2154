"""Oracles: rsatoolbox's bootstraps on the same resamples, from its own functions; and one resample at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from plasticode.analysis.bootstrap import Draws, Resamples, draw, engine, evaluate
from plasticode.analysis.comparison import MEASURES
from plasticode.analysis.inference_table import METHODS
from plasticode.analysis.noise_ceiling import SCALES, bounds
from plasticode.analysis.pair_weights import pair_weights
from plasticode.analysis.permutation import permuted_pairs
from plasticode.analysis.ranks import dense_ranks, midranks
from plasticode.analysis.resampled_pools import centred_ranks
from plasticode.analysis.subjects import Subjects, subjects_of
from plasticode.analysis.variance import variances
from plasticode.analysis.whitening import PairPrecision
from plasticode.datasets.errors import WrongArgument
from rsatoolbox.inference import evaluate as theirs
from rsatoolbox.inference.noise_ceiling import boot_noise_ceiling
from rsatoolbox.model import ModelFixed
from rsatoolbox.rdm import RDMs
from rsatoolbox.rdm import compare as their_compare
from scipy.stats import rankdata

N, PAIRS = 12, 66


def planted(sessions: int = 1, digits: int = 9) -> tuple[RDMs, RDMs]:
    rng = np.random.default_rng(0)
    true = rng.random(PAIRS)
    ids = {"stimulus": [f"s{i:02d}" for i in range(N)]}
    values = true + 0.5 * rng.normal(size=(5 * sessions, PAIRS)) + 2
    names = {"subject": [f"subject {i}" for i in range(5) for _ in range(sessions)]}
    data = RDMs(np.round(values, digits), rdm_descriptors=names, pattern_descriptors=dict(ids))
    models = np.round(np.vstack([rng.random((2, PAIRS)), true]), digits)
    return RDMs(models, pattern_descriptors=dict(ids)), data


def ours(models: RDMs, data: RDMs, measure: str, resamples: Resamples) -> Draws:
    return evaluate(models.dissimilarities, data.dissimilarities, subjects_of(data), measure, resamples)


@pytest.mark.filterwarnings("ignore:Noise ceiling for tau")
@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("sessions", [1, 2])
def test_every_resample_is_rsatoolboxs_subset(measure: str, sessions: int) -> None:
    models, data = planted(sessions, digits=1)  # tied ranks
    resamples = draw(5, N, "both", samples=3, seed=1)
    found = ours(models, data, measure, resamples)
    assert resamples.subjects is not None
    assert resamples.conditions is not None
    for sample in range(3):
        people = [f"subject {i}" for i in np.repeat(np.arange(5), resamples.subjects[sample].astype(int))]
        stimuli = [f"s{i:02d}" for i in np.repeat(np.arange(N), resamples.conditions[sample].astype(int))]
        fewer = models.subsample_pattern("stimulus", stimuli)
        both = data.subsample("subject", people).subsample_pattern("stimulus", stimuli)
        pairs = [(fewer, both), (models, data.subsample("subject", people))]
        pairs.append((fewer, data.subsample_pattern("stimulus", stimuli)))
        for factor, (some_models, some_data) in enumerate(pairs):
            value = their_compare(some_models, some_data, METHODS[measure]).mean(axis=1)
            np.testing.assert_allclose(found.similarities[factor, sample], value, rtol=1e-11, atol=1e-13)
            bounds = boot_noise_ceiling(some_data, METHODS[measure], "subject")
            np.testing.assert_allclose(found.bounds[factor, sample], bounds, rtol=1e-11)


def recorded(monkeypatch: pytest.MonkeyPatch, name: str) -> list[tuple[Any, ...]]:
    """What rsatoolbox draws, kept while it draws."""
    drawn, original = [], getattr(theirs, name)

    def keep(*args: Any, **kwargs: Any) -> Any:
        drawn.append(original(*args, **kwargs))
        return drawn[-1]

    monkeypatch.setattr(theirs, name, keep)
    return drawn


def times(indices: list[np.ndarray], n: int) -> np.ndarray:
    return np.stack([np.bincount(some, minlength=n) for some in indices]).astype(float)


@pytest.mark.parametrize("measure", ["cosine", "spearman"])
def test_the_two_factor_bootstrap_is_rsatoolboxs(measure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    models, data = planted()
    drawn = recorded(monkeypatch, "bootstrap_sample")
    np.random.seed(4)  # noqa: NPY002 - rsatoolbox draws from it
    fixed = [ModelFixed(str(i), models[i]) for i in range(3)]
    expected = theirs.eval_dual_bootstrap(fixed, data, METHODS[measure], N=12)
    subjects, conditions = times([one[1] for one in drawn], 5), times([one[2] for one in drawn], N)
    found = ours(models, data, measure, Resamples(subjects, conditions))
    np.testing.assert_allclose(np.moveaxis(found.similarities, 0, -1), expected.evaluations[:, :, 0, 0], rtol=1e-12)
    np.testing.assert_allclose(found.bounds.transpose(2, 1, 0), expected.noise_ceiling[:, :, 0], rtol=1e-12)
    mine = variances(found, "both", 5, N)
    np.testing.assert_allclose(mine.models, expected.model_var, rtol=1e-9)
    np.testing.assert_allclose(mine.differences[np.triu_indices(3, 1)], expected.diff_var, rtol=1e-9)
    np.testing.assert_allclose(mine.to_bounds, expected.noise_ceil_var, rtol=1e-9)
    assert mine.degrees == expected.dof == 4


@pytest.mark.parametrize("resample", ["subjects", "stimuli"])
def test_bootstraps_of_one_factor_are_rsatoolboxs(resample: str, monkeypatch: pytest.MonkeyPatch) -> None:
    models, data = planted()
    names = {"subjects": ("bootstrap_sample_rdm", "eval_bootstrap_rdm"), "stimuli": ("bootstrap_sample_pattern",) * 2}
    drawn = recorded(monkeypatch, names[resample][0])
    np.random.seed(4)  # noqa: NPY002 - rsatoolbox draws from it
    run = theirs.eval_bootstrap_rdm if resample == "subjects" else theirs.eval_bootstrap_pattern
    expected = run([ModelFixed(str(i), models[i]) for i in range(3)], data, method="corr", N=12)
    used = times([one[1] for one in drawn], 5 if resample == "subjects" else N)
    resamples = Resamples(used, None) if resample == "subjects" else Resamples(None, used)
    found = ours(models, data, "pearson", resamples)
    np.testing.assert_allclose(found.similarities[0], expected.evaluations, rtol=1e-12)
    np.testing.assert_allclose(found.bounds[0].T, expected.noise_ceiling, rtol=1e-12)
    mine = variances(found, resample, 5, N)
    np.testing.assert_allclose(mine.models, expected.model_var, rtol=1e-9)
    np.testing.assert_allclose(mine.differences[np.triu_indices(3, 1)], expected.diff_var, rtol=1e-9)
    assert mine.degrees == expected.dof == (4 if resample == "subjects" else N - 1)


def one_by_one(
    models: RDMs, data: RDMs, measure: str, conditions: np.ndarray, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Similarities and noise ceilings of each resample, its RDMs written out with all their copies."""
    first, second = np.triu_indices(conditions.shape[1], 1)
    similarities, ceilings = [], []
    for counts, drawn in zip(conditions, times, strict=True):
        order = np.repeat(np.arange(len(counts)), counts.astype(int))
        present = order[first] != order[second]
        places, precision = permuted_pairs(order[None])[0, present], PairPrecision(present)

        def measured(a: np.ndarray, b: np.ndarray, precision: PairPrecision = precision) -> np.ndarray:
            return MEASURES[measure](a, b, precision)

        a, b = models.dissimilarities[:, places], data.dissimilarities[:, places]
        similarities.append(measured(a, b))
        ceilings.append(bounds(b, SCALES[measure](b), subjects_of(data), drawn, measured))
    return np.stack(similarities), np.array(ceilings)


@pytest.mark.parametrize("digits", [9, 1])
@pytest.mark.parametrize("sessions", [1, 2])
@pytest.mark.parametrize("measure", MEASURES)
def test_all_at_once_is_one_after_the_other(measure: str, sessions: int, digits: int) -> None:
    models, data = planted(sessions, digits)
    drawn = draw(5, N, "both", samples=20)
    assert drawn.conditions is not None
    assert drawn.subjects is not None
    found = ours(models, data, measure, drawn)
    times = drawn.subjects[:, subjects_of(data).of]
    similarities, ceilings = one_by_one(models, data, measure, drawn.conditions, times)
    expected = (similarities * times[:, None]).sum(axis=2) / times.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.similarities[0], expected, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(found.bounds[0], ceilings, rtol=1e-11)
    np.testing.assert_allclose(found.similarities[2], similarities.mean(axis=2), rtol=1e-11, atol=1e-13)
    ceilings = one_by_one(models, data, measure, drawn.conditions, np.ones_like(times))[1]
    np.testing.assert_allclose(found.bounds[2], ceilings, rtol=1e-11)


@pytest.mark.parametrize("measure", ["pearson", "spearman", "whitened-cosine", "tau-b"])
@pytest.mark.parametrize("resample", ["both", "subjects", "stimuli"])
def test_chunks_change_nothing(measure: str, resample: str, monkeypatch: pytest.MonkeyPatch) -> None:
    models, data = planted()
    resamples = draw(5, N, resample, samples=7)
    whole = ours(models, data, measure, resamples)
    monkeypatch.setattr(engine(measure), "CHUNK_BYTES", 1)
    single = ours(models, data, measure, resamples)
    np.testing.assert_allclose(single.similarities, whole.similarities, rtol=1e-12)
    np.testing.assert_allclose(single.bounds, whole.bounds, rtol=1e-12)


def test_a_resample_without_resampling_is_the_data() -> None:
    models, data = planted()
    once = ours(models, data, "spearman", Resamples(np.ones((1, 5)), np.ones((1, N))))
    value = their_compare(models, data, "spearman").mean(axis=1)
    np.testing.assert_allclose(once.similarities[:, 0], np.tile(value, (3, 1)), rtol=1e-12)


def test_as_many_are_drawn_as_there_are_and_a_seed_fixes_them() -> None:
    one, same, other = (draw(7, 20, "both", samples=500, seed=seed) for seed in (3, 3, 4))
    for name, n in (("subjects", 7), ("conditions", 20)):
        assert (getattr(one, name).sum(axis=1) == n).all()
        np.testing.assert_array_equal(getattr(one, name), getattr(same, name))
        assert (getattr(one, name) != getattr(other, name)).any()
        np.testing.assert_allclose(getattr(one, name).mean(axis=0), 1, atol=0.2)
    assert draw(7, 20, "subjects").conditions is None
    assert draw(7, 20, "stimuli").subjects is None
    with pytest.raises(WrongArgument, match=r"there is no resampling of 'rdm'.*Take one of both, subjects, stimuli"):
        draw(7, 20, "rdm")


def test_what_cannot_be_compared_is_nan() -> None:
    models, data = planted()
    two, all_one = np.zeros(N), np.array([5.0, 0, 0, 0, 0])
    two[:2] = 6
    found = ours(models, data, "cosine", Resamples(np.stack([np.ones(5), all_one]), np.stack([two, np.ones(N)])))
    assert np.isnan(found.similarities[:, 0]).tolist() == [[True] * 3, [False] * 3, [True] * 3]
    assert np.isfinite(found.similarities[:, 1]).all()
    assert np.isnan(found.bounds[:, 1]).tolist() == [[True] * 2, [True] * 2, [False] * 2]


def test_weighted_ranks_are_ranks_of_the_copies() -> None:
    rng = np.random.default_rng(0)
    keys, weights = rng.integers(-4, 4, (30, 15)), rng.integers(0, 4, (30, 15)).astype(float)
    for row, (key, weight, found) in enumerate(zip(keys, weights, centred_ranks(keys, weights), strict=True)):
        copies = np.repeat(np.arange(15), weight.astype(int))
        expected = 2 * rankdata(key[copies]) - (len(copies) + 1)
        np.testing.assert_array_equal(found[copies], expected, err_msg=f"row {row}")


@pytest.mark.parametrize("digits", [9, 1])
def test_ranks_are_scipys(digits: int) -> None:
    values = np.round(np.random.default_rng(0).random((4, 40)), digits)
    np.testing.assert_array_equal(dense_ranks(values), rankdata(values, "dense", axis=1))
    np.testing.assert_array_equal(midranks(values), rankdata(values, axis=1))


def test_pairs_are_there_as_often_as_their_conditions_together() -> None:
    np.testing.assert_array_equal(pair_weights(np.array([[2.0, 0.0, 1.0, 3.0]])), [[0, 2, 6, 0, 0, 3]])


def test_copies_of_a_subject_are_left_out_together() -> None:
    """Two subjects, one drawn twice: each is compared with the other alone, however often it is drawn."""
    models, data = planted()
    data = data[[0, 1]]
    found = evaluate(
        models.dissimilarities,
        data.dissimilarities,
        Subjects(("a", "b"), np.arange(2)),
        "pearson",
        Resamples(np.array([[2.0, 1.0], [1.0, 1.0]]), None),
    )
    np.testing.assert_allclose(found.bounds[0, :, 0], their_compare(data[0], data[1], "corr").item())
