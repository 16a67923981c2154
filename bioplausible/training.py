"""Training by any learning rule: the rule leaves gradients, this module does everything else the same way for all.

One step: the rule's random numbers are set to the step's; it adds its descent direction to `.grad`; over processes the
gradients are averaged; they are clipped where asked; the optimiser steps; the rule's `after_step` follows.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from lightning import LightningModule
from scipy.stats import binomtest
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from ..datasets.errors import WrongArgument
from .monitors import monitor
from .network import Network
from .rule import LearningRule, Pace
from .trained import TrainedNetwork

Batch = tuple[Tensor, Tensor]


class RuleTraining(LightningModule):
    """A network trained by a learning rule.

    Parameters
    ----------
    rule, network
        The rule is bound to the network here. Raises `WrongArgument` with its reason where it cannot run on it.
    pace
        Optimiser and learning rate; the rule's own by default.
    cosine
        The learning rate falls to zero along a half cosine; False keeps it.
    clip
        Largest norm of all gradients together; none by default.
    accumulate
        Batches whose gradients are averaged before a step.
    compiled
        Layers' passes are compiled by torch.compile (a minute at the start; worth it on a GPU).
    channels_last
        Images and convolutions are laid out with their channels last: the same numbers up to rounding, faster on most
        processors and GPUs, most of all in bf16.
    monitored
        Epochs between two looks at angles, weights and dead units (`monitors.monitor`); 0 for none.
    """

    watched = ("validation/accuracy", "max")  # what chooses the checkpoint

    def __init__(
        self,
        rule: LearningRule,
        network: Network,
        pace: Pace | None = None,
        cosine: bool = True,
        clip: float | None = None,
        accumulate: int = 1,
        compiled: bool = False,
        channels_last: bool = False,
        monitored: int = 1,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.rule, self.network, self.pace = rule, network, pace or rule.pace
        self.cosine, self.clip, self.accumulate, self.monitored = cosine, clip, accumulate, monitored
        self.rule.bind(network)
        self.layout = torch.channels_last if channels_last else torch.preserve_format
        if channels_last:
            self.to(memory_format=torch.channels_last)
        if compiled:
            network.compile_layers()
        self.batches: Tensor
        self.register_buffer("batches", torch.zeros((), dtype=torch.long))
        # Rule and network as recipes: a checkpoint can be rebuilt, and read without pickle.
        self.save_hyperparameters({"rule": rule.recipe, "network": network.recipe})

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        x, target = self._laid_out(batch[0]), batch[1]
        self.rule.begin_step(int(self.batches), (self.global_rank, self.trainer.world_size))
        with torch.no_grad(), self.rule.precision(x.device.type):
            loss = self.rule.assign_gradients(self.network, x, target)
        self.batches += 1
        self.log("train/loss", loss, prog_bar=True, batch_size=len(x))
        waiting = batch_idx % self.accumulate + 1
        # The batches that are left at an epoch's end make a smaller step of their own.
        if waiting == self.accumulate or batch_idx + 1 == self.trainer.num_training_batches:
            self._step(waiting)

    def _step(self, accumulated: int) -> None:
        optimiser = self.optimizers()
        assert not isinstance(optimiser, list)
        groups = optimiser.param_groups
        parameters = [parameter for group in groups for parameter in group["params"] if parameter.grad is not None]
        average(parameters, accumulated)
        if self.clip is not None:
            nn.utils.clip_grad_norm_(parameters, self.clip)
        optimiser.step()
        self.rule.after_step(self.network)
        optimiser.zero_grad()
        schedule = self.lr_schedulers()
        if schedule is not None:
            schedule.step()  # type: ignore[union-attr]  # one schedule, by the step

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._scores("validation", batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._tested.append(self._scores("test", batch))

    def on_test_epoch_start(self) -> None:
        self._tested: list[Tensor] = []

    def on_test_epoch_end(self) -> None:
        """The accuracy's 95% interval, and what guessing gives."""
        low, high = accuracy_interval(torch.cat(self._tested))
        chance = 1 / self.network.shapes()[-1][-1]
        self.log_dict({"test/accuracy_low": low, "test/accuracy_high": high, "test/chance": chance})

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Scores of the classes (batch ... class)."""
        return {"scores": self.rule.infer(self.network, batch[0])}

    def _laid_out(self, x: Tensor) -> Tensor:
        return x.to(memory_format=self.layout) if x.ndim == 4 else x

    def _scores(self, part: str, batch: Batch) -> Tensor:
        """Log loss and accuracy; returns which were right, in the shape of the targets."""
        x, target = self._laid_out(batch[0]), batch[1]
        with torch.no_grad():
            scores = self.rule.infer(self.network, x)
            loss = self.network.objective.loss(scores, target)
        right = (scores.argmax(-1) == target).float()
        metrics = {f"{part}/accuracy": right.mean(), f"{part}/loss": loss}
        self.log_dict(metrics, prog_bar=True, batch_size=len(x), sync_dist=True)
        return right

    def on_train_epoch_start(self) -> None:
        if self.monitored and self.current_epoch % self.monitored == 0 and self.trainer.is_global_zero:
            # On copies: some rules change themselves when they look.
            found = monitor(*copy.deepcopy((self.rule, self.network)), *self._probe())
            for logger in self.loggers:
                logger.log_metrics(found, step=self.global_step)

    def _probe(self) -> Batch:
        """The first validation samples: the same ones in every epoch."""
        loader = self.trainer.datamodule.val_dataloader()  # type: ignore[attr-defined]  # Lightning sets it
        x, target = next(iter(loader))
        return x[:128].to(self.device), target[:128].to(self.device)

    def configure_optimizers(self) -> Any:
        optimiser = optimiser_of(self.pace, self.rule, self.network)
        if not self.cosine:
            return optimiser
        epochs, batches = self.trainer.max_epochs or 1, int(self.trainer.estimated_stepping_batches)
        steps = max(1, epochs * -(-(batches // epochs) // self.accumulate))
        return [optimiser], [torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)]

    def export(self, folder: Path) -> None:
        """Write what inference needs: weights, recipes, and how the data were standardised."""
        facts: dict[str, Any] = self.trainer.datamodule.facts()  # type: ignore[attr-defined]  # Lightning sets it
        TrainedNetwork(self.network, self.rule, facts).save(folder)


def optimiser_of(pace: Pace, rule: LearningRule, network: Network) -> Optimizer:
    """The optimiser that a pace names, over the groups that the rule wishes for.

    Raises `WrongArgument` for a name that is neither "adam" nor "sgd".
    """
    groups = rule.parameter_groups(network, {"lr": pace.learning_rate, "weight_decay": pace.weight_decay})
    if pace.optimiser == "adam":
        # With decay apart from the scaling, weights and learned feedback shrink alike (Kolen-Pollack rests on it).
        return AdamW(groups, lr=pace.learning_rate, fused=True)
    if pace.optimiser == "sgd":
        return SGD(groups, lr=pace.learning_rate, momentum=pace.momentum, fused=True)
    raise WrongArgument(f"no optimiser {pace.optimiser!r}", "pace", "One of: adam, sgd.")


def accuracy_interval(right: Tensor) -> tuple[float, float]:
    """95% interval of a share of right answers (0 or 1, (sample) or (sample character)).

    Wilson 1927 for one answer a sample. The characters of one text depend on each other: there the samples are what
    varies, by the normal approximation of their mean.
    """
    if right.ndim == 1:
        found = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
        return float(found.low), float(found.high)
    by_sample = right.double().flatten(1).mean(1)
    half = 1.96 * float(by_sample.std()) / len(by_sample) ** 0.5
    return float(by_sample.mean()) - half, float(by_sample.mean()) + half


def average(parameters: list[nn.Parameter], accumulated: int = 1) -> None:
    """Gradients summed over batches become their mean; over processes, too, where there are several."""
    for parameter in parameters:
        assert parameter.grad is not None
        if accumulated > 1:
            parameter.grad /= accumulated
        if dist.is_initialized() and dist.get_world_size() > 1:
            dist.all_reduce(parameter.grad)
            parameter.grad /= dist.get_world_size()
