"""Labelled images as a LightningDataModule: standardised by the training images, cut into batches by epoch and key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from ..datasets.errors import WrongArgument
from ..datasets.labelled_images import LabelledImages, open_images
from .parted_data import PartedData

LARGEST = 500  # images of a batch that only looks


class Images(PartedData):
    """Training, validation and test images.

    Parameters
    ----------
    dataset, root
        Name of an image collection and its folder.
    batch_size
        Images a step, over all processes together; the rule's own by default.
    validation
        Images kept back from training, the last of a fixed shuffle, equally many of each class as chance has it.
    train_images
        Training images to use; all by default.
    flip
        Mirror half of the training images (not for digits).
    shift
        Move training images by up to this many pixels, filled with the edge.
    seed
        Of the split, and of order and augmentation.
    """

    def __init__(
        self,
        dataset: str,
        root: str,
        batch_size: int | None = None,
        validation: int = 5000,
        train_images: int | None = None,
        flip: bool = False,
        shift: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size)
        self.dataset, self.root, self.seed = dataset, root, seed
        self.validation, self.train_images = validation, train_images
        self.flip, self.shift = flip, shift
        self.save_hyperparameters()

    def setup(self, stage: str) -> None:
        if self.parts:
            return
        collection = open_images(self.dataset, self.root)
        train = collection.load("train")
        order = torch.randperm(len(train.labels), generator=torch.Generator().manual_seed(self.seed))
        if not 0 < self.validation < len(order):
            raise WrongArgument(f"validation {self.validation}", "data", f"Keep back 1 to {len(order) - 1} images.")
        kept = order[: -self.validation][: self.train_images]
        self.mean, self.deviation = _standard(train, kept)
        self.classes, self.notes, self.content = list(train.classes), list(train.notes), train.content_hash
        flip, shift = self.flip, self.shift
        self.parts["train"] = ImageBatches(train, kept, self.mean, self.deviation, flip, shift, self.seed)
        self.parts["validation"] = ImageBatches(train, order[-self.validation :], self.mean, self.deviation)
        if stage in {"test", "predict"}:
            test = collection.load("test")
            self.parts["test"] = ImageBatches(test, torch.arange(len(test.labels)), self.mean, self.deviation)

    def facts(self) -> dict[str, Any]:
        """What inference needs to know of the data."""
        return {
            "dataset": self.dataset,
            "root": str(self.root),
            "content": self.content,
            "notes": self.notes,
            "classes": self.classes,
            "mean": self.mean.flatten().tolist(),
            "deviation": self.deviation.flatten().tolist(),
            "train_images": len(self.parts["train"].index),
            "validation_images": self.validation,
        }

    def shuffled(self, batch_size: int, rank: int, processes: int) -> ShuffledBatches:
        """Keys of an epoch's training batches."""
        return ShuffledBatches(len(self.parts["train"].index), batch_size, self.seed, rank, processes)

    def in_order(self, part: str) -> list[Key]:
        """Keys of batches that go through a part once."""
        chunks = torch.split(torch.arange(len(self.parts[part].index)), LARGEST)
        return [(chunk, None) for chunk in chunks]


Key = tuple[Tensor, int | None]  # places of the images, and the seed of their augmentation (None for none)


class ImageBatches(Dataset[tuple[Tensor, Tensor]]):
    """Images of a part, asked for a batch at a time; they stay bytes until then."""

    def __init__(
        self,
        images: LabelledImages,
        index: Int[Tensor, " image"],
        mean: Float[Tensor, "channel 1 1"],
        deviation: Float[Tensor, "channel 1 1"],
        flip: bool = False,
        shift: int = 0,
        seed: int = 0,
    ) -> None:
        self.images, self.index = torch.from_numpy(images.images)[index], index
        self.labels = torch.from_numpy(images.labels)[index]
        self.mean, self.deviation, self.flip, self.shift, self.seed = mean, deviation, flip, shift, seed

    def __getitem__(self, key: Key) -> tuple[Float[Tensor, "batch channel height width"], Int[Tensor, " batch"]]:
        places, draw = key
        x = (self.images[places].float() / 255 - self.mean) / self.deviation
        if draw is not None and (self.flip or self.shift):
            x = self._augmented(x, torch.Generator().manual_seed(draw))
        return x, self.labels[places]

    def _augmented(self, x: Tensor, draws: torch.Generator) -> Tensor:
        n, _, height, width = x.shape
        if self.flip:
            mirrored = torch.rand(n, generator=draws) < 0.5
            x = torch.where(mirrored[:, None, None, None], x.flip(-1), x)
        if self.shift:
            moves = torch.randint(-self.shift, self.shift + 1, (2, n, 1), generator=draws)
            rows = (torch.arange(height) + moves[0]).clamp(0, height - 1)
            columns = (torch.arange(width) + moves[1]).clamp(0, width - 1)
            x = x[torch.arange(n)[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
        return x.contiguous()


class ShuffledBatches(Sampler[Key]):
    """Keys of an epoch's batches; they depend on seed and epoch only, so a resumed run sees the same ones.

    Of every batch a process takes each `processes`-th image; the remainder that fills no batch waits for another epoch.
    """

    def __init__(self, n_images: int, batch_size: int, seed: int, rank: int = 0, processes: int = 1) -> None:
        if batch_size % processes:
            raise WrongArgument(f"batch size {batch_size}", "data", f"Give a multiple of the {processes} processes.")
        if batch_size > n_images:
            raise WrongArgument(f"batch size {batch_size}", "data", f"There are {n_images} training images.")
        self.n_images, self.batch_size, self.seed, self.rank, self.processes = (
            n_images,
            batch_size,
            seed,
            rank,
            processes,
        )
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning tells the epoch before each."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.n_images // self.batch_size

    def __iter__(self) -> Iterator[Key]:
        draws = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        order = torch.randperm(self.n_images, generator=draws)
        for batch in order[: len(self) * self.batch_size].view(len(self), self.batch_size):
            yield batch[self.rank :: self.processes], int(torch.randint(2**31, (), generator=draws))


def _standard(images: LabelledImages, index: Int[Tensor, " image"]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel over the training images, in units of the whole range."""
    chosen = torch.from_numpy(images.images)[index].double() / 255
    mean, deviation = chosen.mean((0, 2, 3)), chosen.std((0, 2, 3))
    return mean.float()[:, None, None], deviation.float().clamp(min=1e-6)[:, None, None]
