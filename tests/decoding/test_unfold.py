"""Oracle: `VoxelMask.unfold`, run by run."""

import numpy as np
import pytest
import torch
from plasticode.datasets.errors import BrokenData
from plasticode.datasets.study import VoxelMask
from plasticode.decoding.unfold import Unfold


@pytest.fixture
def runs(tiny):
    masks = [tiny.mask(drop=3), tiny.mask(drop=9, seed=1), tiny.mask(drop=3)]
    return [
        tiny.run(story=story, mask=mask, n_rows=6, seed=i)
        for i, (story, mask) in enumerate(zip("abc", masks, strict=True))
    ]


def test_runs_with_different_masks_unfold_in_one_batch_as_their_own_masks_do(runs):
    unfold = Unfold(runs)
    rows = np.zeros((3, 6, unfold.n_channels), np.float32)
    for row, run in zip(rows, runs, strict=True):
        row[:, : run.responses.n_channels] = run.responses[:]
    found = unfold(torch.from_numpy(rows), torch.tensor([unfold.mask_of[run.key] for run in runs]))
    for volume, run in zip(found.numpy(), runs, strict=True):
        np.testing.assert_array_equal(volume, run.responses.mask.unfold(run.responses[:]))


def test_a_batch_as_wide_as_its_own_mask_needs_no_padding(runs):
    unfold, run = Unfold(runs), runs[1]
    found = unfold(torch.from_numpy(run.responses[:])[None], torch.tensor([unfold.mask_of[run.key]]))
    np.testing.assert_array_equal(found[0].numpy(), run.responses.mask.unfold(run.responses[:]))


def test_equal_masks_are_kept_once(runs):
    unfold = Unfold(runs)
    assert len(unfold.masks) == 2
    assert unfold.mask_of[runs[0].key] == unfold.mask_of[runs[2].key] != unfold.mask_of[runs[1].key]


def test_the_masks_of_a_batch_are_true_inside(runs):
    unfold = Unfold(runs)
    inside = unfold.masks_of(torch.tensor([1, 0])).numpy()
    np.testing.assert_array_equal(inside, [runs[1].responses.mask.volume, runs[0].responses.mask.volume])


def test_unfolding_is_differentiable_and_sends_every_gradient_back_to_its_channel(runs):
    unfold = Unfold(runs)
    rows = torch.randn(1, 2, unfold.n_channels, requires_grad=True)
    unfold(rows, torch.tensor([1])).sum().backward()
    assert int(rows.grad[0, 0].sum()) == runs[1].responses.n_channels


@pytest.mark.parametrize("change", ["shape", "affine"])
def test_different_grids_are_an_error(tiny, runs, change):
    mask = tiny.mask(shape=(4, 4, 5)) if change == "shape" else tiny.mask()
    if change == "affine":
        mask = VoxelMask(mask.volume, mask.affine + np.eye(4)[:, [3, 0, 1, 2]])
    with pytest.raises(BrokenData, match=r"grid .* of the other recordings \(arrays/S1/d\)"):
        Unfold([*runs, tiny.run(story="d", mask=mask)])


def test_runs_without_a_mask_among_others_are_an_error(tiny, runs):
    with pytest.raises(BrokenData, match=r"no mask but others do \(arrays/S1/d\)"):
        Unfold([*runs, tiny.run(story="d")])
