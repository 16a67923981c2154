"""Oracles: planted blobs, one per category; pairings counted by hand; translated copies of a map; the real run."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from plasticode.datasets.errors import WrongArgument
from plasticode.datasets.localizer import STORY, Localizer
from plasticode.datasets.study import Word
from plasticode.decoding.block_scores import block_scores, permuted_pairings
from plasticode.decoding.categories import (
    Block,
    BlockWindows,
    CategorySettings,
    HeldOutBlocks,
    blocks_of,
    cross_validate,
    folds_of,
    patterns,
)
from plasticode.decoding.map_agreement import agreements
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

NAMES = ("cat", "dog", "owl")
GRID = (8, 8, 6)
SMALL = CategorySettings(
    width=4,
    n_places=16,
    n_features=8,
    hidden=8,
    steps=150,
    learning_rate=5e-3,
    gate_rate=0.1,
    beta=0.3,
    smoothness=0.1,
)


def design(order: str = "cat dog owl owl cat dog") -> list[Block]:
    """Blocks of 6 rows every 12 rows."""
    return blocks_of([Word(name, 24.0 * i, 24.0 * i + 12) for i, name in enumerate(order.split())], 2.0)


def planted(blocks: list[Block], signal: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Volumes, mask, and the blobs: a 2 x 2 x 2 blob per category is on from 2 rows after its block's onset."""
    volumes = np.random.default_rng(0).normal(size=(12 * len(blocks) + 6, *GRID)).astype(np.float32)
    mask, blobs = np.ones(GRID, dtype=bool), np.zeros((len(NAMES), *GRID), dtype=bool)
    mask[0] = False
    for i in range(len(NAMES)):
        blobs[i, 2 * i + 1 : 2 * i + 3, 3:5, 2:4] = True
    for block in blocks:
        volumes[block.start + 2 : block.stop + 2, blobs[NAMES.index(block.category)]] += signal
    return np.where(mask, volumes / volumes.std(axis=0), 0).astype(np.float32), mask, blobs.any(axis=0)


@pytest.fixture(scope="module")
def held() -> HeldOutBlocks:
    volumes, mask, _ = planted(design(), signal=3)
    return cross_validate(volumes, mask, design(), BlockWindows(3, 2, 2), SMALL)


def test_a_planted_signal_is_told_apart(held: HeldOutBlocks) -> None:
    top1, percentile = block_scores(held.evidence, held.blocks, held.categories)
    assert (top1.value, percentile.value) == (1, 1)
    assert top1.null.p < 0.05  # one pairing in 36 is as good
    np.testing.assert_allclose(np.exp(held.evidence).sum(axis=1), 1, atol=0.2)


def test_permuted_labels_are_at_chance(held: HeldOutBlocks) -> None:
    for score in block_scores(held.evidence, held.blocks, held.categories):
        assert score.null.mean == pytest.approx(score.chance, abs=0.01)
    renamed = design("cat dog owl cat dog owl")  # the second repetition under wrong names, in training as in truth
    volumes, mask, _ = planted(design(), signal=3)
    wrong = cross_validate(volumes, mask, renamed, BlockWindows(3, 2, 2), SMALL)
    assert block_scores(wrong.evidence, wrong.blocks, wrong.categories)[0].value == 0


def test_the_map_finds_the_blobs(held: HeldOutBlocks) -> None:
    _, mask, blobs = planted(design(), signal=3)
    assert held.rates.shape == (2, *GRID)
    assert (held.rates[:, ~mask] == 0).all()
    assert roc_auc_score(blobs[mask], held.rates.mean(axis=0)[mask]) > 0.9


def test_a_held_out_repetition_changes_nothing_in_training() -> None:
    volumes, mask, _ = planted(design(), signal=3)
    few = CategorySettings(width=4, n_places=8, n_features=4, hidden=4, steps=3)
    windows, blocks = BlockWindows(3, 2, 2), design()
    first = cross_validate(volumes, mask, blocks, windows, few)
    spoiled = volumes.copy()
    spoiled[36:] = 100.0  # the second repetition begins at row 36, and fold 1 holds it out
    second = cross_validate(spoiled, mask, blocks, windows, few)
    np.testing.assert_array_equal(first.rates[1], second.rates[1])
    assert not np.array_equal(first.rates[0], second.rates[0])


def test_training_windows_keep_clear_of_held_out_rows() -> None:
    near, far = Block("cat", 0, 0, 8), Block("cat", 1, 12, 20)
    windows = BlockWindows(rows=4, reach=3, guard=4)
    assert windows.starts(near) == [0, 1, 2, 3, 4]
    assert windows.training_starts(near, [far]) == [0, 1]  # row 0 + 1 + 7 + 4 = 12
    assert windows.training_starts(far, [near]) == [15, 16]  # the last held-out row is 4 + 7 - 1 = 10
    with pytest.raises(WrongArgument, match=r"no window of the cat block at row 0 is 9 rows away.*smaller guard"):
        BlockWindows(4, 3, 9).training_starts(near, [far])
    with pytest.raises(WrongArgument, match=r"windows of 9 rows in a block of 8 \(rows\)\. Choose fewer rows"):
        BlockWindows(9).starts(near)


def test_folds_hold_out_one_block_of_every_category() -> None:
    categories, folds = folds_of(design())
    assert categories == NAMES
    assert folds == [([3, 4, 5], [0, 1, 2]), ([0, 1, 2], [3, 4, 5])]
    with pytest.raises(WrongArgument, match=r"categories have 1, 2 blocks .*same number of blocks, two or more"):
        folds_of(design("cat dog dog"))


def test_the_seed_decides_the_network_and_leaves_torch_alone() -> None:
    volumes, mask, _ = planted(design(), signal=1)
    few = CategorySettings(width=4, n_places=8, n_features=4, hidden=4, steps=2)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    runs = [cross_validate(volumes, mask, design(), BlockWindows(3, 2, 2), few, [seed]) for seed in (0, 0, 1)]
    assert torch.equal(torch.rand(3), expected)
    np.testing.assert_array_equal(runs[0].evidence, runs[1].evidence)
    assert not np.array_equal(runs[0].evidence, runs[2].evidence)


def test_patterns_know_nothing_of_what_all_voxels_share() -> None:
    rng = np.random.default_rng(1)
    responses = rng.normal(size=(20, 50)).astype(np.float32)
    shared = rng.normal(size=(20, 1)).astype(np.float32)
    np.testing.assert_allclose(patterns(2 * responses + shared), patterns(responses), atol=1e-4)
    np.testing.assert_allclose(patterns(responses).std(axis=0), 1, atol=1e-5)


def test_the_null_of_permuted_pairings_equals_counting() -> None:
    """One hit is certain in each of two repetitions of three blocks: matches of a random permutation are 0, 1 or 3."""
    draws = permuted_pairings([np.eye(3), np.eye(3)], 20_000, seed=0) * 6
    share = {k: np.mean(np.isclose(draws, k)) for k in (0, 1, 2, 3, 4, 6)}
    expected = {0: 4 / 36, 1: 12 / 36, 2: 9 / 36, 3: 4 / 36, 4: 6 / 36, 6: 1 / 36}
    for k, probability in expected.items():
        assert share[k] == pytest.approx(probability, abs=0.015)


def smooth_maps() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng, mask = np.random.default_rng(2), np.ones((9, 8, 7), dtype=bool)
    mask[:2, :2] = False
    return rng.random(mask.shape), rng.random(mask.shape), mask


def test_the_agreement_of_maps_equals_its_definition() -> None:
    first, second, mask = smooth_maps()
    second = second + first
    found = {agreement.measure: agreement.value for agreement in agreements(first, second, mask, 2)}
    a, b = first[mask], second[mask]
    n = round(0.05 * a.size)
    both = set(np.argsort(-a)[:n]) & set(np.argsort(-b)[:n])
    assert found["pearson"] == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert found["spearman"] == pytest.approx(spearmanr(a, b)[0])
    assert found["top_overlap"] == pytest.approx(len(both) / n)


def test_a_map_agrees_with_itself_and_not_with_noise() -> None:
    first, second, mask = smooth_maps()
    for agreement in agreements(first, first, mask, 2):
        assert agreement.value == pytest.approx(1)
        assert agreement.null.p < 0.01
        assert agreement.null.mean == pytest.approx(agreement.chance, abs=0.05)
    assert all(agreement.null.p > 0.01 for agreement in agreements(first, second, mask, 2))


def test_values_outside_the_mask_do_not_count() -> None:
    first, second, mask = smooth_maps()
    changed = np.where(mask, first, 1e3)
    assert agreements(changed, second, mask, 2) == agreements(first, second, mask, 2)
    with pytest.raises(WrongArgument, match="no translation by 50 voxels"):
        agreements(first, second, mask, 50)


@pytest.mark.skipif("PLASTICODE_DATA" not in os.environ, reason="PLASTICODE_DATA names no folder of real recordings")
def test_the_real_run_leaves_windows_for_every_block() -> None:
    run = Localizer(Path(os.environ["PLASTICODE_DATA"]) / "bold4d_studyforrest_localizer").run("02", STORY)
    blocks = blocks_of(run.words, run.repetition_time)
    categories, folds = folds_of(blocks)
    assert (len(blocks), len(categories), len(folds)) == (12, 6, 2)
    for training, held_out in folds:
        left = [blocks[i] for i in held_out]
        assert all(BlockWindows().training_starts(blocks[i], left) for i in training)
