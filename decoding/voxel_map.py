"""The map of responsive voxels: nats per voxel that the gates let through, as a NIfTI image."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool
from sklearn.metrics import roc_auc_score

from ..datasets.brain_map import BrainMap
from ..datasets.study import VoxelMask
from .network import BrainToTextNetwork


def voxel_map(network: BrainToTextNetwork, mask: VoxelMask, subject: str | None = None) -> BrainMap | None:
    """Nats per voxel inside a mask, of one person who was trained on, or of the group (for anybody else).

    None for a network without a bottleneck on its voxels.
    """
    if network.voxels is None:
        return None
    people = network.facts.subjects
    index = people.index(subject) if subject in people else -1
    with torch.no_grad():
        rate = network.voxels.rate(torch.tensor([index]))[0].double().numpy()
    return BrainMap(np.where(mask.volume, rate, 0.0), np.asarray(mask.affine, dtype=np.float64))


def save_map(image: BrainMap, path: Path) -> None:
    """Write a .nii.gz whole or not at all."""
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    image.image().to_filename(temporary)
    os.replace(temporary, path)


def area_under_curve(image: BrainMap, truth: Bool[np.ndarray, "x y z"], mask: VoxelMask) -> float:
    """Probability that a planted voxel has a higher rate than another voxel of the mask; chance .5."""
    inside = mask.volume
    return float(roc_auc_score(truth[inside], image.volume[inside]))


def auc_interval(image: BrainMap, truth: Bool[np.ndarray, "x y z"], mask: VoxelMask) -> tuple[float, float]:
    """95% interval of the AUC (Hanley & McNeil 1982, Radiology 143:29), which takes voxels as independent."""
    a, inside = area_under_curve(image, truth, mask), mask.volume
    positive, negative = float(truth[inside].sum()), float((~truth[inside]).sum())
    q1, q2 = a / (2 - a), 2 * a**2 / (1 + a)
    variance = (a * (1 - a) + (positive - 1) * (q1 - a**2) + (negative - 1) * (q2 - a**2)) / (positive * negative)
    half = 1.96 * math.sqrt(variance)
    return max(0.0, a - half), min(1.0, a + half)
