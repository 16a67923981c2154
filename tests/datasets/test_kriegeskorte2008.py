"""Oracles: figures known of these RDMs, by scipy on the real file; arrays that the test wrote; refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plasticode.datasets.errors import BrokenData, MissingData
from plasticode.datasets.kriegeskorte2008 import FILE, Kriegeskorte2008
from scipy.spatial.distance import squareform
from scipy.stats import spearmanr

PEOPLE = ("BE", "KO", "SN", "TI")


@pytest.fixture
def study(real_data: Path) -> Kriegeskorte2008:
    return Kriegeskorte2008(real_data / "rsa_92images")


def rho(a: Any, b: Any) -> float:
    return float(spearmanr(np.ravel(a), np.ravel(b))[0])


def test_it_of_other_people_and_of_monkeys_is_alike(study: Kriegeskorte2008) -> None:
    cichy = study.mean_rdm("IT").dissimilarities
    assert rho(cichy, study.mean_rdm("human IT").dissimilarities) == pytest.approx(0.56, abs=0.005)
    assert rho(cichy, study.rdms("monkey IT").dissimilarities) == pytest.approx(0.49, abs=0.005)


def test_animacy_is_in_it_and_not_in_early_visual_cortex(study: Kriegeskorte2008) -> None:
    models = study.model_rdms()
    animacy = models.subset("name", "animacy").dissimilarities
    mean = {region: rho(animacy, study.mean_rdm(region).dissimilarities) for region in ("IT", "EVC")}
    assert mean == {"IT": pytest.approx(0.47, abs=0.005), "EVC": pytest.approx(0.06, abs=0.005)}
    # The same person by person, which is what a noise ceiling of persons is for: much less.
    each = {
        region: np.mean([rho(animacy, one) for one in study.rdms(region).dissimilarities]) for region in ("IT", "EVC")
    }
    assert each == {"IT": pytest.approx(0.255, abs=0.001), "EVC": pytest.approx(0.020, abs=0.001)}


@pytest.mark.parametrize(("region", "lower", "upper"), [("IT", 0.45, 0.54), ("EVC", 0.24, 0.39)])
def test_the_noise_ceilings_are_the_published_ones(
    study: Kriegeskorte2008, region: str, lower: float, upper: float
) -> None:
    each = study.rdms(region).dissimilarities
    others = [np.delete(each, place, axis=0).mean(axis=0) for place in range(len(each))]
    left_out = np.mean([rho(one, rest) for one, rest in zip(each, others, strict=True)])
    assert left_out == pytest.approx(lower, abs=0.01)
    assert np.mean([rho(one, each.mean(axis=0)) for one in each]) == pytest.approx(upper, abs=0.01)


def test_the_animacy_model_says_which_images_are_of_animals(study: Kriegeskorte2008) -> None:
    animate = study.stimuli().descriptors["animate"]
    assert animate.sum() == 48
    animacy = study.model_rdms().subset("name", "animacy").get_matrices()[0]
    np.testing.assert_array_equal(animacy, animate[:, None] != animate[None, :])


def test_images_and_rdms_are_in_the_same_order(study: Kriegeskorte2008) -> None:
    grey_ground = np.abs(study.stimuli().images.astype(int) - 128).max(axis=1) <= 3
    silhouettes = 1 - np.corrcoef(~grey_ground.reshape(92, -1))[np.triu_indices(92, 1)]
    published = study.model_rdms().subset("name", "Silhouette").dissimilarities
    assert rho(silhouettes, published) > 0.99
    assert rho(silhouettes, study.mean_rdm("EVC").dissimilarities) == pytest.approx(0.52, abs=0.01)


def test_the_images_are_those_of_the_file_with_colours_first(study: Kriegeskorte2008) -> None:
    stimuli = study.stimuli()
    raw = np.load(study.root / FILE, allow_pickle=False)["images"]
    np.testing.assert_array_equal(stimuli.images[17, 2], raw[17, :, :, 2])
    assert (stimuli.ids[0], stimuli.ids[-1]) == ("image_01", "image_92")
    assert (stimuli.images[:, :, 0, 0] == 128).all()  # on a grey ground
    assert set(stimuli.descriptors) == {"category", "animate", "human", "face", "natural"}


def test_sessions_are_told_apart_and_averaged_unless_asked_for(study: Kriegeskorte2008) -> None:
    each, mean = study.rdms("human IT", averaged=False), study.rdms("human IT")
    assert (each.n_rdm, mean.n_rdm, study.sessions) == (8, 4, ("1", "2"))
    assert each.rdm_descriptors["subject"] == [f"kriegeskorte2008-{who}" for who in PEOPLE for _ in "12"]
    assert each.rdm_descriptors["session"] == ["1", "2"] * 4
    np.testing.assert_allclose(mean.dissimilarities, each.dissimilarities.reshape(4, 2, -1).mean(1), rtol=1e-6)
    published = np.load(study.root / FILE, allow_pickle=False)["rdm_hIT"]
    np.testing.assert_allclose(study.mean_rdm("human IT").get_matrices()[0], published, atol=1e-6)


def test_a_label_is_one_person_in_whatever_region(study: Kriegeskorte2008) -> None:
    by_region = {region: study.rdms(region).rdm_descriptors["subject"] for region in study.regions}
    assert by_region["IT"] == by_region["EVC"]
    assert len(study.subjects) == 4 + 1 + 15 + 16
    assert set(study.subjects) == set().union(*by_region.values())


def written(root: Path, **changes: Any) -> Kriegeskorte2008:
    """A file in the layout, of random RDMs."""
    random = np.random.default_rng(0)

    def rdms(*lead: int) -> np.ndarray:
        flat = random.uniform(0.1, 1, (int(np.prod(lead)), 92 * 91 // 2))
        return np.array([squareform(one) for one in flat], np.float32).reshape(*lead, 92, 92)

    names = np.array([[f"hIT | {who} | Session: {session}" for session in (1, 2)] for who in PEOPLE])
    arrays = {
        "images": np.zeros((92, 175, 175, 3), np.uint8),
        "category": np.array(["face"] * 92),
        **{f"is_{flag}": np.zeros(92, np.uint8) for flag in ("animal", "human", "face", "natural")},
        "rdm_hIT_subject_session": rdms(4, 2),
        "rdm_hIT_names": names,
        "rdm_mIT": rdms(1)[0],
        "rdm_cichy_EVC": rdms(15),
        "rdm_cichy_IT": rdms(15),
        "rdm_behaviour": rdms(16),
        "rdm_models": rdms(2),
        "model_names": np.array(["animacy", "monkeyIT"]),
    }
    np.savez(root / FILE, **(arrays | changes))
    return Kriegeskorte2008(root)


def test_a_file_in_the_layout_is_read_without_a_real_one(tmp_path: Path) -> None:
    study = written(tmp_path)
    assert study.rdms("behaviour").dissimilarity_measure == "judgement"
    assert study.rdms("EVC").dissimilarity_measure == "correlation"
    assert study.rdms("IT").n_cond == len(study.stimuli()) == 92
    assert study.model_rdms().rdm_descriptors["name"] == ["animacy"]  # monkey IT is a region


def test_what_is_not_in_the_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BrokenData, match=r"images are float64 \(92, 3, 175, 175\)"):
        written(tmp_path, images=np.zeros((92, 175, 175, 3))).stimuli()
    with pytest.raises(BrokenData, match="not one person a row, one session a column"):
        written(tmp_path, rdm_hIT_names=np.array([["BE", "BE"]] * 4)).rdms("human IT")
    leading = {"cichy_EVC": (15,), "cichy_IT": (15,), "behaviour": (16,), "models": (2,), "hIT_subject_session": (4, 2)}
    smaller = {f"rdm_{name}": np.zeros((*lead, 91, 91)) for name, lead in (leading | {"mIT": ()}).items()}
    with pytest.raises(BrokenData, match=r"RDMs of monkey IT have shape \(1, 1, 91, 91\)"):
        written(tmp_path, **smaller).rdms("monkey IT")
    with pytest.raises(BrokenData, match=r"not a readable \.npz archive"):
        written(tmp_path, model_names=np.array(["animacy", None], dtype=object)).model_rdms()


def test_an_unknown_region_and_patterns_say_what_there_is(tmp_path: Path) -> None:
    study = written(tmp_path)
    with pytest.raises(MissingData, match=r"no region 'V1' in study kriegeskorte2008.*human IT, monkey IT, EVC, IT"):
        study.rdms("V1")
    with pytest.raises(MissingData, match="has RDMs and no patterns of responses"):
        study.patterns(study.subjects[0], "IT")
