"""Oracles: the gates themselves, pairs counted one by one, and nibabel."""

import nibabel
import numpy as np
import pytest
import torch
from plasticode.datasets.brain_map import BrainMap
from plasticode.decoding.bottleneck import voxel_rate
from plasticode.decoding.voxel_map import area_under_curve, auc_interval, pairs_between, save_map, voxel_map
from scipy.ndimage import gaussian_filter
from sklearn.metrics import roc_auc_score

GRID = (4, 4, 4)


@pytest.fixture
def network(tiny):
    network = tiny.network(GRID, subjects=("S1", "S2"))
    torch.manual_seed(0)
    torch.nn.init.normal_(network.voxels.group)
    torch.nn.init.normal_(network.voxels.deviation)
    return network


@pytest.mark.parametrize("subject", ["S1", "S2", "S9", None])
def test_the_map_is_the_rate_inside_the_mask_and_0_outside(tiny, network, subject):
    mask, deviation = tiny.mask(drop=10), {"S1": 0, "S2": 1}
    network.voxels.kernel = torch.ones(1)  # the gates' smoothing is tested elsewhere
    logit = network.voxels.group.detach().clone()
    if subject in deviation:
        logit += network.voxels.deviation[deviation[subject]].detach()
    image = voxel_map(network, mask, subject)
    expected = voxel_rate(torch.sigmoid(logit)).numpy()
    np.testing.assert_allclose(image.volume[mask.volume], expected[mask.volume], rtol=1e-5)
    np.testing.assert_array_equal(image.volume[~mask.volume], 0)
    np.testing.assert_array_equal(image.affine, mask.affine)


def test_a_network_without_gates_has_no_map(tiny):
    assert voxel_map(tiny.network(), tiny.mask()) is None


def test_a_saved_map_is_read_back_by_nibabel_and_leaves_nothing_else(tiny, network, tmp_path):
    image = voxel_map(network, tiny.mask())
    save_map(image, tmp_path / "voxel_map.nii.gz")
    read = nibabel.load(tmp_path / "voxel_map.nii.gz")
    np.testing.assert_allclose(read.get_fdata(), image.volume, rtol=1e-6)
    np.testing.assert_allclose(read.affine, image.affine)
    assert [path.name for path in tmp_path.iterdir()] == ["voxel_map.nii.gz"]


def test_the_area_under_the_curve_is_the_share_of_pairs_in_order_inside_the_mask(tiny):
    rng, mask = np.random.default_rng(0), tiny.mask(drop=20)
    truth, values = rng.random(GRID) < 0.3, rng.integers(0, 5, GRID).astype(float)
    positive, negative = values[mask.volume & truth], values[mask.volume & ~truth]
    pairs = (positive[:, None] > negative).mean() + 0.5 * (positive[:, None] == negative).mean()
    assert area_under_curve(BrainMap(values, np.eye(4)), truth, mask) == pytest.approx(pairs)


def test_the_area_of_a_draw_of_cubes_is_that_of_its_voxels_by_weight():
    rng = np.random.default_rng(2)
    values, planted, cube = rng.integers(0, 9, 300), rng.random(300) < 0.2, rng.integers(0, 7, 300)
    won, pairs = pairs_between(values.astype(float), planted, cube)
    for times in rng.multinomial(7, np.full(7, 1 / 7), size=5):
        expected = roc_auc_score(planted, values, sample_weight=times[cube])
        assert times @ won @ times / (times @ pairs @ times) == pytest.approx(expected)


def test_the_interval_holds_the_area_and_covers_the_truth_of_smooth_maps_nearly_as_often_as_it_says(tiny):
    """Neighbours taken as independent would cover two in three."""
    shape, rng = (18, 22, 18), np.random.default_rng(1)
    mask, blobs = tiny.mask(drop=0, shape=shape), rng.uniform(2, 16, (12, 3))
    place = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    truth = (np.linalg.norm(place[..., None, :] - blobs, axis=-1) < 1.8).any(axis=-1)
    expected, hits = 0.7602, 0  # of two unit Gaussians one standard deviation apart: Phi(1 / sqrt 2)
    for _ in range(60):
        noise = gaussian_filter(rng.normal(size=shape), 0.64, mode="wrap")
        image = BrainMap(noise / noise.std() + truth, np.eye(4))
        low, high = auc_interval(image, truth, mask)
        assert 0 <= low <= area_under_curve(image, truth, mask) <= high <= 1
        hits += low <= expected <= high
    assert 46 <= hits <= 59


def test_too_few_cubes_for_a_bootstrap_give_no_interval(tiny):
    truth = np.arange(64).reshape(GRID) % 4 == 0
    assert np.isnan(auc_interval(BrainMap(truth * 1.0, np.eye(4)), truth, tiny.mask())).all()


def test_an_interval_is_the_same_twice(tiny):
    rng, mask = np.random.default_rng(3), tiny.mask(shape=(13, 13, 13))
    truth = rng.random((13, 13, 13)) < 0.1
    image = BrainMap(rng.normal(size=truth.shape), np.eye(4))
    assert auc_interval(image, truth, mask) == auc_interval(image, truth, mask)
