"""Characters of a text as a LightningDataModule: windows, and at every place what comes next."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from torch.utils.data import Dataset

from ..datasets.character_text import PARTS, CharacterText, read_character_text
from ..datasets.errors import WrongArgument
from .image_module import ShuffledBatches
from .parted_data import PartedData

LARGEST = 64  # windows of a batch that only looks


class TextWindows(PartedData):
    """Training, validation and test windows of a text that is split by position.

    Parameters
    ----------
    paths
        .txt files, folders or tar archives.
    length
        Characters of a window.
    batch_size
        Windows a step, over all processes together; the rule's own by default.
    shares
        Of train, validation and test, which follow each other in the text.
    train_characters
        Characters to train on, the last ones before validation; all by default.
    seed
        Of the order of the windows.

    Raises `WrongArgument` for a part that is shorter than a window.
    """

    def __init__(
        self,
        paths: list[str],
        length: int = 128,
        batch_size: int | None = None,
        shares: tuple[float, float, float] = (0.9, 0.05, 0.05),
        train_characters: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size)
        self.paths = [os.path.expandvars(path) for path in paths]
        self.length, self.seed = length, seed
        self.shares, self.train_characters = shares, train_characters
        self.save_hyperparameters()

    def setup(self, stage: str) -> None:
        if self.parts:
            return
        self.text = read_character_text(self.paths, self.shares)
        self._refuse_strange_symbols()
        for name in PARTS:
            ids = torch.from_numpy(self.text.part(name))
            if name == "train" and self.train_characters is not None:
                ids = ids[-self.train_characters :]
            if not 0 < self.length < len(ids):
                raise WrongArgument(
                    f"windows of {self.length} characters", "data", f"The {name} text has {len(ids)}: name fewer."
                )
            self.parts[name] = Windows(ids, self.length)

    def _refuse_strange_symbols(self) -> None:
        """Raise for an alphabet that is larger than the network's, which would fail far from here."""
        if self.trainer is None:
            return
        network: Any = self.trainer.lightning_module.network
        known, alphabet = network.shapes()[-1][-1], self.text.alphabet
        if len(alphabet) > known:
            raise WrongArgument(
                f"the text has {len(alphabet)} characters, the network {known}",
                "network",
                f"Set n_symbols={len(alphabet)}.",
            )

    def facts(self) -> dict[str, Any]:
        """What inference needs to know of the data; character i of `classes` has id i."""
        text: CharacterText = self.text
        return {
            "dataset": "text",
            "content": text.content_hash,
            "classes": list(text.alphabet),
            "length": self.length,
            "shares": list(self.shares),
            **{f"{name}_characters": len(part.ids) for name, part in self.parts.items()},
        }

    def shuffled(self, batch_size: int, rank: int, processes: int) -> ShuffledWindows:
        """Starts of an epoch's training windows, batch by batch."""
        return ShuffledWindows(len(self.parts["train"].ids), self.length, batch_size, self.seed, rank, processes)

    def in_order(self, part: str) -> list[Int[Tensor, " batch"]]:
        """Starts of windows side by side; at the end fewer characters than a window are left over."""
        last, step = len(self.parts[part].ids) - self.length, LARGEST * self.length
        return [torch.arange(first, min(first + step, last), self.length) for first in range(0, last, step)]


class Windows(Dataset[tuple[Tensor, Tensor]]):
    """Windows of a text, asked for a batch at a time by where they start."""

    def __init__(self, ids: Int[Tensor, " character"], length: int) -> None:
        self.ids, self.length = ids, length

    def __getitem__(self, starts: Int[Tensor, " batch"]) -> tuple[Int[Tensor, "batch time"], Int[Tensor, "batch time"]]:
        found = self.ids[starts[:, None] + torch.arange(self.length + 1)]
        return found[:, :-1], found[:, 1:]


class ShuffledWindows:
    """Starts of an epoch's windows, batch by batch: side by side from a new offset each epoch, in a new order.

    They depend on seed and epoch only, so a resumed run sees the same ones. Of every batch a process takes each
    `processes`-th window; what fills no batch waits for another epoch.
    """

    def __init__(
        self, n_characters: int, length: int, batch_size: int, seed: int, rank: int = 0, processes: int = 1
    ) -> None:
        n_windows = max(1, (n_characters - length) // length)  # wherever in the first window's place they begin
        if batch_size > n_windows:
            raise WrongArgument(f"batch size {batch_size}", "data", f"There are {n_windows} training windows.")
        self.batches = ShuffledBatches(n_windows, batch_size, seed, rank, processes)
        self.spare, self.length = n_characters - 1 - n_windows * length, length

    def set_epoch(self, epoch: int) -> None:
        """Lightning tells the epoch before each."""
        self.batches.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Int[Tensor, " batch"]]:
        # Other numbers than those of the order, which start from a seed of that form.
        draws = torch.Generator().manual_seed((self.batches.seed * 100_003 + self.batches.epoch) ^ 0x0FF5E7)
        offset = int(torch.randint(self.spare + 1, (), generator=draws))
        for places, _ in self.batches:
            yield offset + places * self.length
