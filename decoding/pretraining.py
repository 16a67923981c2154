"""Pre-training of the character decoder as a language model."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from lightning import LightningModule
from torch import Tensor
from torch.nn.functional import cross_entropy

from .characters import Characters
from .corpus_module import TextCorpus
from .decoder import CharDecoder
from .language_model import DecoderSize, LanguageModel


def character_loss(
    logits: Float[Tensor, "batch character symbol"], ids: Int[Tensor, "batch character"]
) -> Float[Tensor, ""]:
    """Nats per character of `ids` (batch begins with `Characters.BEGIN`; further ones are padding and not counted)."""
    return cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), ignore_index=Characters.BEGIN)


def seed_epoch(module: LightningModule, seed: int) -> None:
    """Make an epoch's noise depend on its number only, so that an interrupted run ends as an uninterrupted one."""
    torch.manual_seed(seed * 100_003 + module.current_epoch)


class CharLanguageModel(LightningModule):
    """A `CharDecoder` without a brain.

    Parameters
    ----------
    size
        Width, layers, heads, latent features and dropout of the transformer.
    learning_rate
        Peak of a one-cycle schedule.
    seed
        Of weights and dropout.
    """

    def __init__(self, size: DecoderSize | None = None, learning_rate: float = 2e-3, seed: int = 0) -> None:
        super().__init__()
        self.size = size or DecoderSize()
        self.learning_rate, self.seed = learning_rate, seed
        self.save_hyperparameters({"size": asdict(self.size), "learning_rate": learning_rate, "seed": seed})
        self.decoder: CharDecoder | None = None

    def configure_model(self) -> None:
        """The alphabet comes from the data, so the network is made once the data are there."""
        if self.decoder is None:
            characters = self._corpus().characters
            assert characters is not None
            torch.manual_seed(self.seed)
            self.decoder = CharDecoder(len(characters), **asdict(self.size))

    def _corpus(self) -> TextCorpus:
        corpus: Any = self.trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it
        assert isinstance(corpus, TextCorpus)
        return corpus

    def on_train_batch_start(self, batch: Tensor, batch_idx: int) -> None:
        # Not at the epoch's start, of which a resumed run's first epoch is not told.
        if batch_idx == 0:
            seed_epoch(self, self.seed)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        loss = self._loss(batch)
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("validation/loss", self._loss(batch), prog_bar=True, batch_size=len(batch))

    def _loss(self, batch: Tensor) -> Tensor:
        assert self.decoder is not None
        return character_loss(self.decoder(batch), batch)

    def configure_optimizers(self) -> Any:
        assert self.decoder is not None
        optimizer = torch.optim.AdamW(
            self.decoder.language_parameters(), lr=self.learning_rate, weight_decay=0.01, fused=True
        )
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.learning_rate, total_steps=steps, pct_start=0.1)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def export(self, folder: Path) -> None:
        """Write the language model that `BrainToText` starts from."""
        corpus = self._corpus()
        assert self.decoder is not None
        assert corpus.characters is not None
        LanguageModel(self.decoder, self.size, corpus.characters, corpus.vectors, corpus.sources, corpus.stories).save(
            folder
        )
