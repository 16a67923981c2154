"""Training of the brain model: distortion + beta * rate, in nats.

loss = character cross-entropy + contrastive_weight * InfoNCE + count_weight * Poisson loss of the text rate
       + beta_voxels * rate per voxel + beta_latent * rate per row of the latent.
InfoNCE (van den Oord et al. 2018, arXiv 1807.03748) pulls each window's latent to the embedding of its text, against
the other windows of the batch, in both directions (Radford et al. 2021, arXiv 2103.00020).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from lightning import LightningModule
from torch import Tensor
from torch.nn.functional import cross_entropy, poisson_nll_loss

from .bottleneck import BetaSchedule, Posterior, mean_inside
from .identification import top_pairs
from .network import BrainToTextNetwork, NetworkSize
from .pretraining import character_loss, seed_epoch
from .story_module import StoryWindows
from .voxel_map import save_map, voxel_map
from .window_batches import Batch


@dataclass(frozen=True)
class Objective:
    """Weights of the terms. `decoded_windows` of a batch are also written, which costs most of a step."""

    contrastive_weight: float = 1.0
    count_weight: float = 0.3
    character_weight: float = 1.0
    beta_voxels: float = 0.5
    beta_latent: float = 1e-3
    decoded_windows: int = 16


@dataclass(frozen=True)
class Pace:
    """Peak learning rates: of encoder and embedding, of the voxel gates, of the decoder's new and pre-trained parts."""

    encoder: float = 1e-3
    gates: float = 5e-2
    cross_attention: float = 1e-3
    language_model: float = 1e-4
    weight_decay: float = 0.05
    warm_up: float = 0.1


class BrainToText(LightningModule):
    """Encoder, bottlenecks and decoder, trained together.

    Parameters
    ----------
    size
        Sizes of the network and where its bottlenecks are.
    objective, pace
        Weights of the loss's terms and learning rates.
    seed
        Of weights and noise.
    """

    def __init__(
        self,
        size: NetworkSize | None = None,
        objective: Objective | None = None,
        pace: Pace | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.size, self.objective, self.pace = size or NetworkSize(), objective or Objective(), pace or Pace()
        self.seed = seed
        parts = {"size": asdict(self.size), "objective": asdict(self.objective), "pace": asdict(self.pace)}
        self.save_hyperparameters(parts | {"seed": seed})
        self.beta_voxels = BetaSchedule(self.objective.beta_voxels)
        self.beta_latent = BetaSchedule(self.objective.beta_latent)
        self.network: BrainToTextNetwork | None = None

    def configure_model(self) -> None:
        """Shapes, alphabet and pre-trained decoder come from the data, so the network is made once they are there."""
        if self.network is None:
            stories = self._stories()
            torch.manual_seed(self.seed)
            model = stories.language_model
            self.network = BrainToTextNetwork(stories.facts, self.size, model.decoder, model.size.n_latent)

    def _stories(self) -> StoryWindows:
        stories: Any = self.trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it
        assert isinstance(stories, StoryWindows)
        return stories

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        # Not at the epoch's start, of which a resumed run's first epoch is not told.
        if batch_idx == 0:
            seed_epoch(self, self.seed)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        terms = self._terms(batch, self.objective.decoded_windows)
        progress = self.global_step / max(1, self.trainer.estimated_stepping_batches)
        betas = {"rate_voxels": self.beta_voxels(progress), "rate_latent": self.beta_latent(progress)}
        loss = self._distortion(terms) + sum(beta * terms[name] for name, beta in betas.items() if name in terms)
        self.log_dict({f"train/{name}": value for name, value in terms.items()})
        self.log("train/beta", betas["rate_latent"])
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        terms = self._terms(batch, len(batch.subject))
        size = len(batch.subject)
        self.log_dict({f"validation/{name}": value for name, value in terms.items()}, batch_size=size)
        self.log("validation/loss", self._distortion(terms), prog_bar=True, batch_size=size)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Identification only: text is scored free-running, by `plasticode evaluate`."""
        terms = self._terms(batch, 1)
        self.log("test/latent_top1", terms["top1"], batch_size=len(batch.subject))

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Latents (batch time feature) and expected words and characters per row (batch time 2)."""
        latent = self.posterior(batch).mean
        return {"latent": latent, "expected_counts": self._network().expected_counts(latent)}

    def export(self, folder: Path) -> None:
        """Write the trained model, and the maps of responsive voxels: the group's, and each trained person's."""
        stories, network = self._stories(), self._network()
        stories.trained(network).save(folder)
        if stories.unfold is None:
            return
        for subject in (None, *self._mapped()):
            image = voxel_map(network, stories.unfold.union, subject)
            if image is not None:
                save_map(image, folder / f"voxel_map{f'_{subject}' if subject else ''}.nii.gz")

    def _mapped(self) -> tuple[str, ...]:
        """Whose recordings these are, all on the grid of the maps."""
        return self._network().facts.subjects

    def _distortion(self, terms: dict[str, Tensor]) -> Tensor:
        weights = {"character": self.objective.character_weight, "contrastive": self.objective.contrastive_weight}
        weights["counts"] = self.objective.count_weight
        return torch.stack([weight * terms[name] for name, weight in weights.items()]).sum()

    def _terms(self, batch: Batch, decoded: int) -> dict[str, Tensor]:
        """Every term of the loss in nats, and the share of windows identified among the batch's."""
        network = self._network()
        posterior = self.posterior(batch)
        latent = posterior.sample() if self.training and self.size.on_latent else posterior.mean
        logits = network.logits(latent, network.text(batch.features))
        chosen = torch.arange(len(latent), device=latent.device)
        if decoded < len(latent):
            chosen = torch.randperm(len(latent), device=latent.device)[:decoded]
        ids = batch.characters[chosen]
        memory = network.memory(latent[chosen])
        terms = {
            "character": character_loss(network.decoder(ids, memory), ids),
            "contrastive": info_nce(logits),
            "counts": poisson_nll_loss(network.expected_counts(latent), batch.counts, log_input=False),
            "rate_latent": posterior.rate().mean(),
            "top1": torch.as_tensor(top_pairs(logits.detach().double().cpu().numpy(), 1).diagonal().mean()),
        }
        return terms | self._voxel_rate(batch)

    def posterior(self, batch: Batch) -> Posterior:
        """Posterior of a batch's windows, unfolded to volumes on the device where there is a mask."""
        unfold = self._stories().unfold
        responses = batch.responses if unfold is None else unfold(batch.responses, batch.mask)
        return self._network().posterior(responses, batch.subject)

    def _voxel_rate(self, batch: Batch) -> dict[str, Tensor]:
        voxels, unfold = self._network().voxels, self._stories().unfold
        if voxels is None or unfold is None:
            return {}
        return {"rate_voxels": mean_inside(voxels.rate(batch.subject), unfold.masks_of(batch.mask))}

    def _network(self) -> BrainToTextNetwork:
        assert self.network is not None
        return self.network

    def configure_optimizers(self) -> Any:
        groups = [group for group in self._groups() if group["params"]]
        optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            [group["lr"] for group in groups],
            total_steps=int(self.trainer.estimated_stepping_batches),
            pct_start=self.pace.warm_up,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _groups(self) -> Iterator[dict[str, Any]]:
        network, pace = self._network(), self.pace
        gates = list(network.voxels.parameters()) if network.voxels is not None else []
        language, brain = network.decoder.language_parameters(), network.decoder.brain_parameters()
        special = {id(parameter) for parameter in [*gates, *language, *brain]}
        rest = [parameter for parameter in network.parameters() if id(parameter) not in special]
        yield {"params": rest, "lr": pace.encoder, "weight_decay": pace.weight_decay}
        yield {"params": gates, "lr": pace.gates, "weight_decay": 0.0}
        yield {"params": brain, "lr": pace.cross_attention, "weight_decay": 0.01}
        yield {"params": language, "lr": pace.language_model, "weight_decay": 0.01}


def info_nce(logits: Float[Tensor, "row column"]) -> Float[Tensor, ""]:
    """Mean nats of finding the right column for each row, and the right row for each column."""
    right = torch.arange(len(logits), device=logits.device)
    return 0.5 * (cross_entropy(logits, right) + cross_entropy(logits.T, right))
