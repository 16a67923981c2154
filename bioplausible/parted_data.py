"""Training, validation and test data that are asked for a batch at a time, by keys that an epoch's number fixes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset


class PartedData(LightningDataModule, ABC):
    """The base of the zoo's data modules; subclasses fill `parts` (train, validation, test) in `setup`.

    Parameters
    ----------
    batch_size
        Samples a step, over all processes together; the rule's own by default.
    """

    def __init__(self, batch_size: int | None) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.parts: dict[str, Any] = {}

    @abstractmethod
    def shuffled(self, batch_size: int, rank: int, processes: int) -> Iterable[Any]:
        """Keys of an epoch's training batches, or of a process's share of them; `set_epoch` is told the epoch."""

    @abstractmethod
    def in_order(self, part: str) -> Iterable[Any]:
        """Keys of batches that go through a part once."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What inference needs to know of the data."""

    def train_dataloader(self) -> DataLoader[Any]:
        trainer: Any = self.trainer
        size = self.batch_size or trainer.lightning_module.pace.batch_size
        return _loader(self.parts["train"], self.shuffled(size, trainer.global_rank, trainer.world_size))

    def val_dataloader(self) -> DataLoader[Any]:
        return _loader(self.parts["validation"], self.in_order("validation"))

    def test_dataloader(self) -> DataLoader[Any]:
        return _loader(self.parts["test"], self.in_order("test"))

    def predict_dataloader(self) -> DataLoader[Any]:
        return self.test_dataloader()


def _loader(part: Dataset[Any], keys: Iterable[Any]) -> DataLoader[Any]:
    return DataLoader(part, batch_size=None, sampler=keys)
