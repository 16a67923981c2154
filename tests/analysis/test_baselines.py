"""Oracles: scipy's Sobel, gratings of known direction and wavelength, numpy, and what is published of the 92 images."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plasticode.analysis.activations import activations
from plasticode.analysis.baseline_rdms import baseline_rdms, image_baselines
from plasticode.analysis.baselines import ImageBaseline, MeanColour, Pixels, category_rdms
from plasticode.analysis.edge_energy import EdgeEnergy
from plasticode.analysis.feature_source import FeatureSource
from plasticode.analysis.gabor_energy import WAVELENGTH, GaborEnergy, quadrature_pairs
from plasticode.datasets.errors import BrokenData, WrongArgument
from scipy import ndimage
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

IDS = list("abcdef")


def images(n_channels: int = 3, size: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (len(IDS), n_channels, size, size), np.uint8)


def features(source: ImageBaseline, given: np.ndarray) -> np.ndarray:
    (values,) = activations(source, given, IDS).layers.values()
    return values


def grating(wavelength: float, angle: float, phase: float = 0.0, size: int = 128) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    return 0.5 + 0.5 * np.cos(2 * np.pi / wavelength * (x * np.cos(angle) + y * np.sin(angle)) + phase)


def energies(*pictures: np.ndarray, **settings: Any) -> list[torch.Tensor]:
    return GaborEnergy(**settings).energies(torch.from_numpy(np.stack(pictures)).float()[:, None])


def test_edge_energy_is_the_length_of_scipys_sobel_gradient() -> None:
    given = images(1)
    expected = [
        np.hypot(ndimage.sobel(image, 0, mode="nearest"), ndimage.sobel(image, 1, mode="nearest"))
        for image in given[:, 0] / 255
    ]
    found = features(EdgeEnergy(), given)
    np.testing.assert_allclose(found, np.stack(expected).reshape(len(IDS), -1), rtol=1e-4, atol=1e-5)


def test_pixels_and_their_mean_are_numpys() -> None:
    given = images()
    np.testing.assert_allclose(features(Pixels(), given), given.reshape(len(IDS), -1) / 255, rtol=1e-6)
    np.testing.assert_allclose(features(MeanColour(), given), given.mean((2, 3)) / 255, rtol=1e-5)


@pytest.mark.parametrize("orientation", range(8))
@pytest.mark.parametrize("scale", range(3))
def test_a_grating_moves_the_cells_of_its_direction_and_scale_most(orientation: int, scale: int) -> None:
    found = energies(grating(WAVELENGTH * 2**scale, orientation * math.pi / 8), n_scales=3)
    means = torch.stack([energy[0, :, 3:-3, 3:-3].mean((1, 2)) for energy in found])
    assert divmod(int(means.argmax()), 8) == (scale, orientation)


def test_energy_does_not_tell_the_phase_of_a_grating() -> None:
    phases = np.linspace(0, np.pi, 7)
    found = energies(*(grating(WAVELENGTH, 0.0, phase) for phase in phases))[0][:, 0, 5:-5, 5:-5]
    assert (found.std(0) / found.mean(0)).max() < 0.02
    raw = torch.from_numpy(np.stack([grating(WAVELENGTH, 0.0, phase) for phase in phases])).float()[:, None]
    even = torch.nn.functional.conv2d(raw, quadrature_pairs(8)[:1])
    assert even.std(0).mean() > 0.5 * even.abs().mean()  # which one of the two phases alone does


def test_filters_have_length_one_and_see_nothing_of_a_uniform_image() -> None:
    filters = quadrature_pairs(6)
    assert filters.shape == (12, 1, 13, 13)
    torch.testing.assert_close(filters.flatten(1).norm(dim=1), torch.ones(12))
    assert filters.sum((1, 2, 3)).abs().max() < 1e-5
    uniform = np.full((1, 128, 128), 0.7)
    assert all(energy.abs().max() < 1e-5 for energy in energies(*uniform))


def test_a_turned_image_turns_its_orientations() -> None:
    picture = np.random.default_rng(3).random((128, 128))
    upright, turned = (energies(image)[0][0, :, 4:-4, 4:-4] for image in (picture, np.rot90(picture).copy()))
    found, expected = turned.mean((1, 2)), upright.mean((1, 2)).roll(4)
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0)
    assert (found - upright.mean((1, 2))).abs().max() > 0.001


def test_a_category_model_separates_what_has_another_label() -> None:
    found = category_rdms(IDS, {"animacy": [1, 1, 1, 0, 0, 0], "kind": ["a", "a", "b", "b", "c", "c"]})
    assert found.rdm_descriptors["name"] == ["animacy", "kind"]
    assert found.pattern_descriptors["stimulus"] == IDS
    matrices = found.get_matrices()
    np.testing.assert_array_equal(matrices[0], np.kron([[0, 1], [1, 0]], np.ones((3, 3))))
    np.testing.assert_array_equal(matrices[1], np.kron(1 - np.eye(3), np.ones((2, 2))))


def test_all_baselines_stand_in_one_set_of_model_rdms() -> None:
    given = images()
    found = baseline_rdms(given, IDS, {"animacy": [1, 1, 1, 0, 0, 0]})
    assert found.rdm_descriptors["network"] == ["pixels", "mean colour", "edge energy", "Gabor energy", "animacy"]
    assert found.rdm_descriptors["name"][1:] == [
        "mean colour 64 px",
        "edge energy 64 px",
        "Gabor energy 128 px",
        "animacy",
    ]
    assert found.rdm_descriptors["baseline"] == [True] * 5
    assert found.rdm_descriptors["dissimilarity"][0] == "correlation"
    flat = given.reshape(len(IDS), -1).astype(float)
    np.testing.assert_allclose(found.dissimilarities[0], pdist(flat, "correlation"), rtol=1e-4)
    means = pdist(given.mean((2, 3)) / 255, "sqeuclidean")
    np.testing.assert_allclose(found.dissimilarities[1], means / 3, rtol=1e-3)
    order = np.random.default_rng(1).permutation(len(IDS))
    moved = baseline_rdms(given[order], [IDS[i] for i in order])
    np.testing.assert_allclose(moved.get_matrices(), found.get_matrices()[:4][:, order][:, :, order], rtol=1e-4)


@pytest.mark.parametrize("source", image_baselines(), ids=lambda source: source.name)
def test_baselines_are_sources_of_features_for_grey_and_colour_images_of_any_size(source: ImageBaseline) -> None:
    assert isinstance(source, FeatureSource)
    assert features(source, images(1, 90)).shape == features(source, images(3, 200)).shape
    assert type(source)(size=100).fingerprint() != source.fingerprint()
    assert source.descriptors()["baseline"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Pixels(size=4), "size 4"),
        (lambda: GaborEnergy(size=32), "8 orientations and 4 scales of 32 pixels"),
        (lambda: GaborEnergy(n_orientations=0), "0 orientations"),
        (lambda: category_rdms(IDS, {"animacy": [1, 0]}), "2 labels for 6 stimuli"),
        (lambda: category_rdms(IDS, {"animacy": [1] * 6}), "labels are all the same or all different"),
        (lambda: category_rdms(IDS, {"animacy": IDS}), "labels are all the same or all different"),
    ],
)
def test_baselines_without_structure_are_refused(make: Any, message: str) -> None:
    with pytest.raises(WrongArgument, match=message):
        make()


def test_a_uniform_image_has_no_edges_to_correlate() -> None:
    given = images()
    given[2] = 90
    with pytest.raises(BrokenData, match="'c'"):
        baseline_rdms(given, IDS, sources=[EdgeEnergy()])


def test_published_similarities_of_the_92_images_are_met(real_data: Path) -> None:
    """SOURCE.md: edges with EVC .38, IT .21; animacy .06, .47: of the mean RDM of the 15 subjects, by Spearman."""
    with np.load(real_data / "rsa_92images" / "rsa_92images.npz") as read:
        pictures, animate = read["images"].transpose(0, 3, 1, 2), read["is_animal"].tolist()
        pairs = np.triu_indices(92, 1)
        brain = {region: read[f"rdm_cichy_{region}"][:, *pairs] for region in ("EVC", "IT")}
    ids = [f"image {i}" for i in range(92)]
    sources = [EdgeEnergy(), GaborEnergy(), Pixels()]
    found = baseline_rdms(np.ascontiguousarray(pictures), ids, {"animacy": animate}, sources=sources)
    with_mean = {r: [spearmanr(v, x.mean(0)).statistic for v in found.dissimilarities] for r, x in brain.items()}
    assert with_mean["EVC"] == pytest.approx([0.381, 0.407, 0.080, 0.056], abs=0.002)
    assert with_mean["IT"] == pytest.approx([0.218, 0.216, 0.112, 0.467], abs=0.002)
    single = {
        r: [spearmanr(found.dissimilarities[i], x).statistic for x in brain[r]] for r, i in (("EVC", 0), ("IT", 3))
    }
    assert np.mean(single["EVC"]) == pytest.approx(0.160, abs=0.002)
    assert np.mean(single["IT"]) == pytest.approx(0.255, abs=0.002)
