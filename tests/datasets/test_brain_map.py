"""Maps read back from NIfTI, and whether their coordinates can be those of the MNI152 template."""

import nibabel
import numpy as np
import pytest
from plasticode.datasets.brain_map import MNI_CENTRE, BrainMap, read_map
from plasticode.datasets.errors import BrokenData


def brain(shift=(-72.0, -102.0, -60.0)):
    affine = np.diag([6.0, 6.0, 6.0, 1.0])
    affine[:3, 3] = shift
    return BrainMap(np.ones((25, 28, 24)), affine)


def test_a_written_map_is_read_back(tmp_path):
    volume = np.random.default_rng(0).random((4, 5, 6)).astype(np.float32)
    volume[0, 0, 0] = np.nan
    nibabel.Nifti1Image(volume, np.eye(4)).to_filename(tmp_path / "map.nii.gz")
    read = read_map(tmp_path / "map.nii.gz")
    np.testing.assert_array_equal(read.volume, np.nan_to_num(volume))
    np.testing.assert_array_equal(read.affine, np.eye(4))


def test_several_volumes_are_no_map(tmp_path):
    nibabel.Nifti1Image(np.zeros((2, 2, 2, 3), np.float32), np.eye(4)).to_filename(tmp_path / "map.nii")
    with pytest.raises(BrokenData, match=r"shape \(2, 2, 2, 3\).*Give one volume"):
        read_map(tmp_path / "map.nii")


@pytest.mark.parametrize("shift", [(0.0, 0.0, 0.0), (-72.0, -102.0, 60.0)])
def test_a_map_outside_the_template_does_not_look_like_mni(shift):
    assert brain().looks_like_mni
    assert not brain(shift).looks_like_mni


def test_a_map_of_unit_voxels_is_too_small_for_a_brain():
    assert not BrainMap(np.ones((24, 24, 24)), np.eye(4)).looks_like_mni


def test_centring_moves_the_middle_and_nothing_else():
    centred = brain((0.0, 0.0, 0.0)).centred()
    low, high = centred.box
    np.testing.assert_allclose((low + high) / 2, MNI_CENTRE)
    np.testing.assert_array_equal(centred.affine[:3, :3], brain().affine[:3, :3])
