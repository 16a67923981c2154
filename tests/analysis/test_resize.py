"""Oracles: Pillow's antialiased bilinear filter and its grey, and images that no scaling changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from plasticode.analysis.resize import luminance, resized, shown
from plasticode.datasets.errors import WrongArgument


def stimuli(n_channels: int = 3, height: int = 40, width: int = 31) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (4, n_channels, height, width), np.uint8)


@pytest.mark.parametrize("size", [(16, 16), (7, 20), (64, 50)])
def test_scaling_is_pillows(size: tuple[int, int]) -> None:
    values = stimuli(1)
    found = resized(torch.from_numpy(values).float(), *size)
    for image, mine in zip(values, found, strict=True):
        theirs = Image.fromarray(image[0].astype(np.float32)).resize(size[::-1], Image.Resampling.BILINEAR)
        np.testing.assert_allclose(mine[0], np.asarray(theirs), atol=1e-3)


def test_grey_is_pillows_to_its_rounding() -> None:
    values = stimuli()
    found = luminance(torch.from_numpy(values).float())
    for image, mine in zip(values, found, strict=True):
        theirs = np.asarray(Image.fromarray(image.transpose(1, 2, 0)).convert("L"), dtype=float)
        np.testing.assert_allclose(mine[0], theirs, atol=1.0)


def test_bytes_become_numbers_of_0_to_1_and_the_size_that_is_wanted() -> None:
    white = np.full((2, 3, 30, 30), 255, np.uint8)
    assert shown(white, (1, 8, 9)).shape == (2, 1, 8, 9)
    torch.testing.assert_close(shown(white, (1, 8, 9), resolution=4), torch.ones(2, 1, 8, 9))
    assert torch.equal(shown(white, None), torch.ones(2, 3, 30, 30))
    assert torch.equal(shown(white[:, :1], (3, 30, 30)), torch.ones(2, 3, 30, 30))


def test_what_is_finer_than_the_resolution_is_lost_and_what_is_coarser_stays() -> None:
    chequers = np.indices((32, 32)).sum(0) % 2 * 255
    halves = np.where(np.arange(32) < 16, 0, 255) + np.zeros((32, 1), int)
    x = np.stack([chequers, halves]).astype(np.uint8)[:, None]
    fine, coarse = shown(x, (1, 32, 32), resolution=8)
    assert fine[:, 4:-4, 4:-4].std() < 0.02  # of .5 before
    assert coarse.std() > 0.45
    assert shown(x, (1, 32, 32))[0].std() == pytest.approx(0.5, abs=0.01)


def test_stimuli_that_are_no_images_pass_as_they_are() -> None:
    sounds = np.random.default_rng(0).normal(size=(3, 100))
    assert torch.equal(shown(sounds, None), torch.from_numpy(sounds))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((stimuli(), (2, 8, 8), None), "3 channels where 2 are read"),
        ((stimuli(2), (1, 8, 8), None), "2 channels"),
        ((stimuli(), (1, 8, 8), 0), "resolution 0"),
        ((stimuli().astype(float), (1, 8, 8), None), r"stimuli of type float64 and shape \(4, 3, 40, 31\)"),
        ((stimuli()[:, 0], None, 8), r"stimuli of type uint8 and shape \(4, 40, 31\)"),
    ],
)
def test_what_cannot_be_shown_is_refused(given: tuple[Any, ...], message: str) -> None:
    with pytest.raises(WrongArgument, match=message):
        shown(*given)


def test_other_channels_than_grey_and_colour_have_no_luminance() -> None:
    with pytest.raises(WrongArgument, match="4 channels"):
        luminance(torch.zeros(1, 4, 8, 8))
