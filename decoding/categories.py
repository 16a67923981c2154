"""Which category of images was seen: the volume encoder behind gated voxels, for a run of blocks.

A block is a stretch in which stimuli of one category follow each other; every category comes once per repetition. The
network sees windows of a block: some rows with the rows of the haemodynamic reach after them. Each voxel passes its
gate (`VoxelBottleneck`), the volumes the `VolumeEncoder`, the mean feature of the window a linear readout. Loss:
cross-entropy + beta * mean rate of the voxels in nats. The gates start equal everywhere and learn from this loss
alone, so their rates are a map of the voxels that tell the categories apart.

Validity. One repetition is held out whole, and the network is trained on the blocks of the others. Rows of a training
window keep `guard` rows away from every row that a held-out block is scored on, because the blood flow of one block
reaches into the next. What sees the whole run is the cleaning of the voxels (drift, z-score), which knows no labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ..datasets.errors import WrongArgument
from ..datasets.study import Word
from .bottleneck import BetaSchedule, VoxelBottleneck
from .encoder import VolumeEncoder


@dataclass(frozen=True, slots=True)
class Block:
    """Rows start..stop during which `category` was shown for the `repetition`-th time (from 0)."""

    category: str
    repetition: int
    start: int
    stop: int


def blocks_of(words: Sequence[Word], repetition_time: float) -> list[Block]:
    """Blocks in the order of onset; a word's text is the category, its onset and offset are in s."""
    seen: dict[str, int] = {}
    blocks = []
    for word in sorted(words, key=lambda word: word.onset):
        repetition = seen.get(word.text, 0)
        seen[word.text] = repetition + 1
        first, last = (round(time / repetition_time) for time in (word.onset, word.offset))
        blocks.append(Block(word.text, repetition, first, max(last, first + 1)))
    return blocks


@dataclass(frozen=True)
class BlockWindows:
    """Which windows a block gives, all in rows.

    Parameters
    ----------
    rows
        Rows of stimulation in a window; windows start at every row of the block at which this many are left.
    reach
        Rows after them that carry the haemodynamic response.
    guard
        Rows between a training window and the nearest row of a held-out block's windows.
    """

    rows: int = 4
    reach: int = 3
    guard: int = 4

    @property
    def length(self) -> int:
        return self.rows + self.reach

    def starts(self, block: Block) -> list[int]:
        """First rows of the block's windows; `WrongArgument` for a block shorter than a window."""
        starts = list(range(block.start, block.stop - self.rows + 1))
        if not starts:
            raise WrongArgument(
                f"windows of {self.rows} rows in a block of {block.stop - block.start}", "rows", "Choose fewer rows."
            )
        return starts

    def training_starts(self, block: Block, held_out: Sequence[Block]) -> list[int]:
        """The block's windows that stay clear of the held-out blocks; `WrongArgument` where none is left."""
        taken = [(self.starts(other)[0], self.starts(other)[-1] + self.length) for other in held_out]
        starts = [
            start
            for start in self.starts(block)
            if all(start + self.length + self.guard <= first or stop + self.guard <= start for first, stop in taken)
        ]
        if not starts:
            raise WrongArgument(
                f"no window of the {block.category} block at row {block.start} is {self.guard} rows away from a "
                "held-out block",
                "guard",
                "Choose a smaller guard or shorter windows.",
            )
        return starts


def patterns(responses: Float32[np.ndarray, "time channel"]) -> Float32[np.ndarray, "time channel"]:
    """Every row relative to its own mean and spread over the voxels, then every voxel z-scored over the run.

    What rises and falls everywhere at once tells no category; the correlation of patterns (Haxby et al. 2001) takes
    it out in the same way. The z-score keeps the voxels' variance at 1, which the rate of a gate is computed for.
    """
    spread = responses.std(axis=1, keepdims=True)
    relative = (responses - responses.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1)
    deviation = relative.std(axis=0)
    scored: Float32[np.ndarray, "time channel"] = (relative - relative.mean(axis=0)) / np.where(
        deviation > 1e-6, deviation, 1
    )
    return scored.astype(np.float32)


@dataclass(frozen=True)
class CategorySettings:
    """The network's sizes and its training. `gate_rate` and `learning_rate` are Adam's, for gates and weights.

    `smoothness` weighs the mean squared difference between the gate logits of neighbouring voxels: with one training
    block per category the bottleneck's own smoothing leaves the map noisier (docs/RESULTS.md).
    """

    width: int = 16
    n_places: int = 128
    n_features: int = 64
    hidden: int = 64
    dropout: float = 0.2
    steps: int = 200
    learning_rate: float = 1e-3
    gate_rate: float = 0.05
    weight_decay: float = 0.5
    beta: float = 3.0
    smoothness: float = 2.0


class CategoryNetwork(nn.Module):
    """Gated volumes of a window to the logits of the categories."""

    def __init__(self, grid: tuple[int, int, int], reach: int, n_categories: int, settings: CategorySettings) -> None:
        super().__init__()
        self.voxels = VoxelBottleneck(grid, n_subjects=0)
        self.encoder = VolumeEncoder(
            grid,
            reach,
            settings.n_features,
            settings.width,
            settings.n_places,
            settings.hidden,
            settings.dropout,
        )
        self.readout = nn.Linear(settings.n_features, n_categories)

    def forward(self, volumes: Float[Tensor, "batch rows x y z"]) -> Float[Tensor, "batch category"]:
        everybody = torch.full((len(volumes),), -1)
        logits: Tensor = self.readout(self.encoder(self.voxels(volumes, everybody)).mean(dim=1))
        return logits

    def rate(self) -> Float[Tensor, "x y z"]:
        """Nats per voxel and row that the gates let through."""
        return self.voxels.rate(torch.tensor([-1]))[0]


def train(
    volumes: Float[Tensor, "time x y z"],
    inside: Bool[Tensor, "x y z"],
    starts: Sequence[Sequence[int]],
    windows: BlockWindows,
    settings: CategorySettings,
    seed: int,
) -> CategoryNetwork:
    """Train on windows of known category.

    Parameters
    ----------
    volumes, inside
        z-scored responses of a run, 0 outside the mask, and the mask.
    starts
        For every category the first rows of its windows; a step draws one of each.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = CategoryNetwork(_grid(inside), windows.reach, len(starts), settings)
        gates = list(network.voxels.parameters())
        weights = [*network.encoder.parameters(), *network.readout.parameters()]
        optimiser = torch.optim.AdamW(
            [
                {"params": gates, "lr": settings.gate_rate, "weight_decay": 0.0},
                {"params": weights, "lr": settings.learning_rate, "weight_decay": settings.weight_decay},
            ]
        )
        beta, truth, random = BetaSchedule(settings.beta), torch.arange(len(starts)), np.random.default_rng(seed)
        for step in range(settings.steps):
            batch = _cut(volumes, [int(random.choice(choice)) for choice in starts], windows.length)
            loss = cross_entropy(network(batch), truth)
            loss = loss + beta(step / settings.steps) * network.rate()[inside].mean()
            loss = loss + settings.smoothness * _roughness(network.voxels.group, inside)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch's own
            optimiser.step()
    return network.eval()


@dataclass(frozen=True, eq=False)
class HeldOutBlocks:
    """What cross-validation gives: evidence for every category on every block, and the gates' maps.

    `evidence` [i, j] is the mean log-probability of category j over the windows of block i and over the seeds, by
    networks that were not trained on the block's repetition. `rates` (fold, x, y, z) are nats per voxel, means over
    the seeds; fold r holds out repetition r.
    """

    blocks: tuple[Block, ...]
    categories: tuple[str, ...]
    evidence: Float64[np.ndarray, "block category"]
    rates: Float64[np.ndarray, "fold x y z"]

    @property
    def truth(self) -> Int[np.ndarray, " block"]:
        """Index of every block's category."""
        return np.array([self.categories.index(block.category) for block in self.blocks])


def cross_validate(
    volumes: Float32[np.ndarray, "time x y z"],
    mask: Bool[np.ndarray, "x y z"],
    blocks: Sequence[Block],
    windows: BlockWindows,
    settings: CategorySettings,
    seeds: Sequence[int] = (0,),
) -> HeldOutBlocks:
    """Hold out every repetition in turn. Raises `WrongArgument` for fewer than two repetitions of a category."""
    categories, folds = folds_of(blocks)
    box = _box(mask)
    cut, inside = torch.from_numpy(volumes[(slice(None), *box)].copy()), torch.from_numpy(mask[box].copy())
    evidence = np.zeros((len(blocks), len(categories)))
    rates = np.zeros((len(folds), *mask.shape))
    for fold, (training, held_out) in enumerate(folds):
        left = [blocks[i] for i in held_out]
        starts = _starts_by_category([blocks[i] for i in training], left, categories, windows)
        for seed in seeds:
            network = train(cut, inside, starts, windows, settings, seed)
            evidence[held_out] += _evidence(network, cut, left, windows) / len(seeds)
            rates[(fold, *box)] += np.where(inside, network.rate().detach().double(), 0.0) / len(seeds)
    return HeldOutBlocks(tuple(blocks), categories, evidence, rates)


def folds_of(blocks: Sequence[Block]) -> tuple[tuple[str, ...], list[tuple[list[int], list[int]]]]:
    """The categories, and per repetition (indices to train on, indices held out)."""
    categories = tuple(sorted({block.category for block in blocks}))
    counts = {sum(block.category == category for block in blocks) for category in categories}
    if len(counts) != 1 or min(counts) < 2:
        raise WrongArgument(
            f"categories have {', '.join(map(str, sorted(counts))) or 'no'} blocks",
            "blocks",
            "Give every category the same number of blocks, two or more.",
        )
    everything = range(len(blocks))
    return categories, [
        ([i for i in everything if blocks[i].repetition != r], [i for i in everything if blocks[i].repetition == r])
        for r in range(counts.pop())
    ]


def _starts_by_category(
    training: Sequence[Block], held_out: Sequence[Block], categories: Sequence[str], windows: BlockWindows
) -> list[list[int]]:
    return [
        [s for block in training if block.category == name for s in windows.training_starts(block, held_out)]
        for name in categories
    ]


def _evidence(
    network: CategoryNetwork, volumes: Float[Tensor, "time x y z"], blocks: Sequence[Block], windows: BlockWindows
) -> Float64[np.ndarray, "block category"]:
    with torch.no_grad():
        scores = [
            network(_cut(volumes, windows.starts(block), windows.length)).log_softmax(dim=1).mean(dim=0)
            for block in blocks
        ]
    return torch.stack(scores).double().numpy()


def _cut(volumes: Float[Tensor, "time x y z"], starts: Sequence[int], length: int) -> Float[Tensor, "batch rows x y z"]:
    """Rows of each window; rows past the end of the recording are 0, the mean of z-scored responses."""
    rows = torch.tensor(starts)[:, None] + torch.arange(length)
    known = (rows < len(volumes)).to(volumes.dtype)[..., None, None, None]
    return volumes[rows.clamp(max=len(volumes) - 1)] * known


def _roughness(gates: Float[Tensor, "x y z"], inside: Bool[Tensor, "x y z"]) -> Float[Tensor, ""]:
    """Mean squared difference between neighbours along the three axes, both inside the mask."""
    total, pairs = gates.new_zeros(()), 0
    for axis in range(3):
        n = gates.shape[axis] - 1
        both = inside.narrow(axis, 0, n) & inside.narrow(axis, 1, n)
        step = gates.narrow(axis, 1, n) - gates.narrow(axis, 0, n)
        total, pairs = total + (step[both] ** 2).sum(), pairs + int(both.sum())
    return total / max(pairs, 1)


def _box(mask: Bool[np.ndarray, "x y z"]) -> tuple[slice, slice, slice]:
    """The smallest box around the mask: convolutions over the air around a head cost as much as over the head."""
    places = np.argwhere(mask)
    x, y, z = (slice(int(low), int(high) + 1) for low, high in zip(places.min(0), places.max(0), strict=True))
    return x, y, z


def _grid(inside: Bool[Tensor, "x y z"]) -> tuple[int, int, int]:
    x, y, z = inside.shape
    return x, y, z
