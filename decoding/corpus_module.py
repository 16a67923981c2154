"""Text for pre-training as a LightningDataModule: prose, transcripts, and the stories that are trained on."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..datasets.corpus import read_documents
from ..datasets.errors import MissingData, WrongArgument
from ..datasets.prepare import prepare
from ..datasets.study import open_study
from .characters import Characters, fold
from .segmentation import Segmentation
from .window_batches import EpochKeys
from .word_vectors import WordVectors


class TextCorpus(LightningDataModule):
    """Random stretches of folded text, each from a word's beginning on.

    Prose of a script without blanks is parted into the words of the stories that are trained on, or into characters
    where there is no study (see `segmentation`).

    Parameters
    ----------
    paths
        .txt files, folders or tar archives.
    study, root, study_options
        A study whose stories are read too, as transcripts; and further parameters of its reader.
    excluded_stories
        Stories whose text is never read: all that will be scored, and those for validation.
    validation_stories
        Stories on which the loss is watched; they are excluded from training.
    story_share
        Share of the stretches that come from the stories, once there are any.
    length, batch_size, steps_per_epoch
        Characters in a stretch, stretches in a batch, batches in an epoch.
    """

    def __init__(
        self,
        paths: list[str] | None = None,
        study: str | None = None,
        root: str | None = None,
        study_options: dict[str, Any] | None = None,
        excluded_stories: list[str] | None = None,
        validation_stories: list[str] | None = None,
        story_share: float = 0.3,
        length: int = 192,
        batch_size: int = 32,
        steps_per_epoch: int = 50,
        word_features: int = 200,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if min(length, batch_size, steps_per_epoch, word_features) < 1 or not 0 <= story_share <= 1:
            sizes = f"length {length}, batch_size {batch_size}, steps_per_epoch {steps_per_epoch}"
            raise WrongArgument(
                f"{sizes}, word_features {word_features}, story_share {story_share}",
                "data",
                "Give numbers of at least 1 and a share from 0 to 1.",
            )
        self.save_hyperparameters()
        self.paths = [os.path.expandvars(path) for path in paths or []]
        self.study, self.root = study, os.path.expandvars(root or ".")
        self.options = dict(study_options or {})
        self.excluded, self.validation = set(excluded_stories or []), list(validation_stories or [])
        self.story_share, self.length, self.seed = story_share, length, seed
        self.batch_size, self.steps_per_epoch, self.word_features = batch_size, steps_per_epoch, word_features
        self.characters: Characters | None = None

    def setup(self, stage: str | None = None) -> None:
        """Read the texts, and take alphabet and word vectors from those for training."""
        if self.characters is not None:
            return
        documents = read_documents(self.paths)
        stories = self._stories()
        kept = {name: text for name, text in stories.items() if name not in self.validation}
        self.sources = tuple(document.source for document in documents)
        self.stories = tuple(f"{self.study}/{name}" for name in kept)
        transcripts = list(kept.values())
        # In a script without blanks prose must be parted as the transcripts are, or its clauses would pass for words.
        parted = Segmentation.of(transcripts)
        prose = [parted(fold(document.text)) for document in documents]
        if not any(prose) and not any(transcripts):
            raise MissingData("no text to train a language model on", "data.paths", "Name text files or a study.")
        self.characters = Characters.of([*prose, *transcripts])
        self.vectors = WordVectors.fit([*prose, *transcripts], n_features=self.word_features)
        self.parts = [self._ids(texts) for texts in (prose, transcripts)]
        watched = [stories[name] for name in self.validation if name in stories]
        self.watched = self._ids(watched or transcripts or prose)

    def _stories(self) -> dict[str, str]:
        """Folded text of every story that may be read, from the first person who heard it."""
        if self.study is None:
            return {}
        study = open_study(self.study, self.root, self.options)
        texts: dict[str, str] = {}
        for subject in study.subjects():
            new = [story for story in study.stories(subject) if story not in texts and story not in self.excluded]
            for run in prepare(study, subjects=[subject], stories=new) if new else []:
                texts[run.story] = fold(" ".join(word.text for word in run.words))
        return texts

    def _ids(self, texts: list[str]) -> Int[Tensor, " character"]:
        assert self.characters is not None
        return torch.tensor(self.characters.encode(" ".join(texts)), dtype=torch.int16)

    def train_dataloader(self) -> DataLoader[Tensor]:
        sampler = EpochKeys(self.steps_per_epoch)
        return DataLoader(_Stretches(self, self.parts), batch_size=None, sampler=sampler)

    def val_dataloader(self) -> DataLoader[Tensor]:
        return DataLoader(_Stretches(self, [self.watched]), batch_size=None, sampler=[(1, i) for i in range(4)])


class _Stretches(Dataset[Tensor]):
    """A batch of stretches for a key (seed, step): the same key gives the same batch, on resuming too."""

    def __init__(self, corpus: TextCorpus, parts: list[Tensor]) -> None:
        assert corpus.characters is not None
        self.corpus, self.space = corpus, corpus.characters.space
        self.parts = [part for part in parts if len(part) > 1]
        share = corpus.story_share
        self.shares = [1 - share, share] if len(self.parts) == 2 else [1.0]

    def __getitem__(self, key: tuple[int, int]) -> Int[Tensor, "batch character"]:
        rng = np.random.default_rng([self.corpus.seed, *key])
        which = rng.choice(len(self.parts), size=self.corpus.batch_size, p=self.shares)
        return torch.stack([self._stretch(self.parts[part], rng) for part in which]).long()

    def _stretch(self, ids: Tensor, rng: np.random.Generator) -> Tensor:
        length = self.corpus.length
        start = int(rng.integers(max(1, len(ids) - length - 40)))
        spaces = (ids[start : start + 40] == self.space).nonzero()
        start += int(spaces[0]) + 1 if len(spaces) and start else 0
        stretch = ids[start : start + length]
        return torch.nn.functional.pad(stretch, (1, length - len(stretch)), value=Characters.BEGIN)
