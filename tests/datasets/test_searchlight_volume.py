"""Oracles: nibabel's own arrays, a map written and read again, and NaN outside the mask, which must not matter."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from plasticode.datasets.brain_map import read_map
from plasticode.datasets.errors import BrokenData
from plasticode.datasets.searchlight_volume import read_rows, write_maps
from plasticode.datasets.study import VoxelMask

SHAPE = (4, 5, 3)
AFFINE = np.diag([2.0, 3.0, 4.0, 1.0])


def save(values: np.ndarray, path: Path) -> Path:
    nib.save(nib.Nifti1Image(values, AFFINE), path)
    return path


def test_voxels_outside_the_mask_are_never_read_into_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    inside, volumes = rng.random(SHAPE) < 0.5, rng.standard_normal((*SHAPE, 7)).astype(np.float32)
    volumes[~inside] = np.nan
    rows, mask = read_rows(
        save(volumes, tmp_path / "betas.nii.gz"), save(inside.astype(np.uint8), tmp_path / "mask.nii.gz")
    )
    np.testing.assert_array_equal(rows, volumes[inside].T)
    np.testing.assert_array_equal(mask.volume, inside)


def test_a_voxel_of_the_mask_that_is_not_finite_is_named(tmp_path: Path) -> None:
    volumes = np.zeros((*SHAPE, 2), np.float32)
    volumes[1, 2, 0, 1] = np.inf
    with pytest.raises(BrokenData, match=r"1 voxels of the mask are not finite, first \(1, 2, 0\)"):
        read_rows(save(volumes, tmp_path / "b.nii"), save(np.ones(SHAPE, np.uint8), tmp_path / "m.nii"))


def test_maps_come_back_on_their_grid_and_untested_voxels_are_not_significant(tmp_path: Path) -> None:
    mask = VoxelMask(np.random.default_rng(1).random(SHAPE) < 0.5, AFFINE)
    value = np.linspace(0, 1, mask.n_voxels)
    value[3] = np.nan
    written = write_maps({"value": value, "p_max": value / 2}, mask, tmp_path / "maps")
    image = nib.load(written["value"])
    np.testing.assert_array_equal(image.affine, AFFINE)
    np.testing.assert_array_equal(image.get_fdata()[mask.volume], value.astype(np.float32))
    assert np.isnan(image.get_fdata()[~mask.volume]).all()
    p = read_map(written["p_max"]).volume
    assert (p[~mask.volume] == 1).all()
    assert p[mask.volume][3] == 1


def test_a_map_of_another_mask_is_refused(tmp_path: Path) -> None:
    mask = VoxelMask(np.ones(SHAPE, bool), AFFINE)
    with pytest.raises(BrokenData, match=r"map value has shape \(3,\), the mask 60 voxels"):
        write_maps({"value": np.zeros(3)}, mask, tmp_path)
