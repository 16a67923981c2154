"""Oracles: nilearn's NiftiMasker, an array, and the file on disk."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from nilearn.maskers import NiftiMasker
from nilearn.masking import compute_epi_mask
from plasticode.datasets import bold, nifti
from plasticode.datasets.bold import CleanedBold, Cleaning
from plasticode.datasets.column_blocks import ColumnBlocks, scratch_folder
from plasticode.datasets.errors import BrokenData
from plasticode.datasets.nifti import epi_mask, open_bold
from plasticode.datasets.study import Responses, VoxelMask


def cleaned(path: Path, volume: np.ndarray, cleaning: Cleaning) -> np.ndarray:
    image = open_bold(path)
    return CleanedBold(image, VoxelMask(volume, image.affine), cleaning)[0 : image.n_volumes]


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 3 volumes and blocks of 7 voxels, so that neither divides the image evenly."""
    monkeypatch.setattr(nifti, "CHUNK_BYTES", 3 * 8 * 12 * 12 * 10)
    monkeypatch.setattr(bold, "ColumnBlocks", lambda *shape: ColumnBlocks(*shape, block_bytes=7 * 4 * shape[0]))


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("n_confounds", [0, 4])
def test_cleaning_in_blocks_equals_niftimasker(tree: Any, suffix: str, n_confounds: int) -> None:
    path = tree.raw(suffix=suffix)
    confounds = np.random.default_rng(3).normal(size=(40, n_confounds)) if n_confounds else None
    mask = nib.Nifti1Image(tree.brain().astype(np.uint8), nib.load(path).affine)
    masker = NiftiMasker(mask, detrend=True, high_pass=0.01, t_r=2.0, standardize="zscore_sample")
    expected = masker.fit_transform(path, confounds=confounds)
    np.testing.assert_allclose(cleaned(path, tree.brain(), Cleaning(2.0, 0.01, confounds)), expected, atol=1e-4)


def test_rows_are_in_the_order_of_the_voxel_mask(tree: Any) -> None:
    path, brain = tree.raw(), tree.brain()
    whole = cleaned(path, brain, Cleaning(2.0))
    one = np.zeros_like(brain)
    one[4, 5, 6] = True
    voxel = VoxelMask(brain, np.eye(4)).unfold(whole)[:, 4, 5, 6]
    np.testing.assert_allclose(voxel, cleaned(path, one, Cleaning(2.0))[:, 0], atol=1e-6)


def test_constant_and_straight_voxels_become_zero(tree: Any) -> None:
    data = tree.bold().astype(np.float32)
    data[4, 4, 4], data[5, 5, 5] = 1234.5, 700 + 3 * np.arange(40)
    rows = cleaned(tree.raw(data=data), tree.brain(), Cleaning(2.0, high_pass=None))
    still = VoxelMask(tree.brain(), np.eye(4)).unfold(rows)
    assert not still[:, 4, 4, 4].any()
    assert not still[:, 5, 5, 5].any()
    assert (rows.std(axis=0, ddof=1) > 0.99).sum() == tree.brain().sum() - 2


def test_scaled_integers_are_read_as_their_real_values(tree: Any) -> None:
    path = tree.raw(data=tree.bold().astype(np.float64))
    image = nib.load(path)
    image.header.set_data_dtype(np.int16)  # nibabel chooses slope and intercept
    other = path.with_name("sub-01_task-scaled_bold.nii.gz")
    nib.save(nib.Nifti1Image(image.get_fdata(), None, image.header), other)
    assert nib.load(other).dataobj.slope != 1
    one, two = (cleaned(file, tree.brain(), Cleaning(2.0)) for file in (path, other))
    np.testing.assert_allclose(one, two, atol=2e-2)


def test_rows_that_are_not_kept_are_zero_and_do_not_touch_the_others(tree: Any) -> None:
    data = tree.bold()
    kept = np.arange(2, 40)
    quiet = cleaned(tree.raw(data=data), tree.brain(), Cleaning(2.0, kept=kept))
    data[..., :2] += 5000
    loud = cleaned(tree.raw(data=data), tree.brain(), Cleaning(2.0, kept=kept))
    np.testing.assert_allclose(loud, quiet, atol=1e-4)
    assert not loud[:2].any()
    np.testing.assert_allclose(loud[2:].std(axis=0, ddof=1), 1, atol=1e-4)


def test_a_compressed_image_is_read_forwards_by_one_handle(tree: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    image = open_bold(tree.raw())
    monkeypatch.setattr(nifti, "CHUNK_BYTES", 1)
    places: dict[gzip.GzipFile, list[int]] = {}
    plain = gzip.GzipFile.seek

    def seek(self: gzip.GzipFile, offset: int, whence: int = 0) -> int:
        places.setdefault(self, []).append(offset)
        return plain(self, offset, whence)

    monkeypatch.setattr(gzip.GzipFile, "seek", seek)
    assert len(list(image.chunks())) == 40
    (offsets,) = [offsets for offsets in places.values() if len(offsets) > 2]
    assert len(offsets) >= 40
    assert offsets == sorted(offsets)


def test_the_epi_mask_is_that_of_nilearn(tree: Any) -> None:
    path = tree.raw()
    expected = compute_epi_mask(nib.load(path)).get_fdata() > 0
    assert expected.any()
    np.testing.assert_array_equal(epi_mask(path).volume, expected)


@pytest.mark.parametrize("value", [0, 7])
def test_an_image_of_one_value_has_no_brain(tree: Any, value: int) -> None:
    with pytest.raises(BrokenData, match=r"the brain mask is empty .*give a mask"):
        epi_mask(tree.raw(data=np.full((12, 12, 10, 5), value, np.int16)))


def test_volumes_that_are_not_finite_are_named(tree: Any) -> None:
    data = tree.bold().astype(np.float32)
    data[5, 5, 5, [3, 4, 5, 20]] = np.nan
    data[0, 0, 0, 7] = np.nan  # outside the mask: no harm
    with pytest.raises(BrokenData, match=r"not finite in volume\(s\) 3-5, 20 \(.*alice_bold.nii.gz\). Repair or drop"):
        cleaned(tree.raw(data=data), tree.brain(), Cleaning(2.0))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_truncated_image_is_said_to_be_truncated(tree: Any, suffix: str) -> None:
    path = tree.raw(suffix=suffix)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BrokenData, match=r"truncated.*alice_bold.nii.*Copy or download"):
        cleaned(path, tree.brain(), Cleaning(2.0))


@pytest.mark.parametrize("content", [b"", b"not an image" * 100])
def test_a_file_that_is_no_image_is_refused(tree: Any, content: bytes) -> None:
    path = tree.raw()
    path.write_bytes(content)
    with pytest.raises(BrokenData, match="not a readable NIfTI image"):
        open_bold(path)


def test_a_recording_too_short_for_the_filter_is_refused(tree: Any) -> None:
    with pytest.raises(BrokenData, match=r"a recording of 10 volumes cannot be cleaned.*choose no high-pass"):
        cleaned(tree.raw(data=tree.bold(10)), tree.brain(), Cleaning(2.0))


def test_column_blocks_equal_the_array() -> None:
    values = np.random.default_rng(0).normal(size=(11, 23)).astype(np.float32)
    blocks = ColumnBlocks(11, 23, block_bytes=4 * 11 * 5)
    for start in range(0, 11, 4):
        blocks.write_rows(start, values[start : start + 4])
    assert blocks.n_blocks == 5
    np.testing.assert_array_equal(blocks[2:9], values[2:9])
    np.testing.assert_array_equal(blocks.read_block(4), values[:, 20:])
    blocks.write_block(1, -values[:, 5:10])
    np.testing.assert_array_equal(blocks[0:11][:, 5:10], -values[:, 5:10])
    np.testing.assert_array_equal(Responses(blocks).padded(9, 13)[:2, :5], values[9:, :5])


def test_the_scratch_file_has_no_name_and_lies_in_the_scratch_folder(tree: Any, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    with scratch_folder(scratch):
        cleaned(tree.raw(), tree.brain(), Cleaning(2.0))
    assert scratch.is_dir()
    assert not list(scratch.iterdir())
