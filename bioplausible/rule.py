"""LearningRule: how a network's weights are to change for a batch; the contract of every file in `rules/`.

A rule is bound to a network, infers with it, and leaves a descent direction in every parameter's `.grad`: the training
module (or any torch optimiser) takes the step. A rule keeps what it needs to remember as buffers or parameters of its
own, so that a checkpoint holds it, and nothing on its class, so that two networks never touch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..datasets.errors import WrongArgument
from .network import Network
from .recipe import Remembered

# Added to a rule's seed, so that no stream of random numbers is the one that drew a network's weights.
FEEDBACK, STEPS = 0x5EED_FEED, 0x5EED_57E9


@dataclass(frozen=True)
class RuleFacts:
    """What a rule says of itself; the audit measures what can be measured.

    Parameters
    ----------
    name, paper
        As the field calls it; authors, year and identifier.
    family
        Of the comparison "Towards Biologically Plausible Computing" (Lv et al. 2024, arXiv 2406.16062).
    published
        Criteria C1-C5 that the literature ticks for it (GLOSSARY.md); None where nobody has.
    equals_backprop
        Its update is backprop's exactly, whatever its words.
    reads_batch
        Its update for one sample depends on the other samples: batch size changes it, and two processes, which
        see half a batch each, do not give the update of one.
    online_only
        It changes weights within a pass, sample by sample; labelled so, and exempt from distributed training.
    full_precision
        Its update rests on what mixed precision would lose, a difference of nearly equal passes or the crossing of a
        threshold: it is left off.
    spiking
        It reads spikes, and runs on spiking networks only; other rules do not run there.
    cost
        A step over a backprop step on the same network and batch, by arithmetic.
    """

    name: str
    paper: str
    family: str
    published: frozenset[str] | None = None
    equals_backprop: bool = False
    reads_batch: bool = False
    online_only: bool = False
    full_precision: bool = False
    spiking: bool = False
    cost: str = "1"


@dataclass(frozen=True)
class Pace:
    """How fast to learn: what a rule was tried with, on validation data; a config may say otherwise.

    Parameters
    ----------
    optimiser
        "adam" or "sgd".
    learning_rate, momentum, weight_decay
        Of the optimiser; momentum of sgd only.
    batch_size
        Samples a step.
    """

    optimiser: str = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.0
    weight_decay: float = 0.0
    batch_size: int = 128


class LearningRule(Remembered, nn.Module, ABC):
    """The base of every rule. Subclasses state their `facts`, and a `pace` where the usual one does not suit them."""

    facts: ClassVar[RuleFacts]
    pace: ClassVar[Pace] = Pace()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not isinstance(getattr(cls, "facts", None), RuleFacts):
            raise TypeError(f"{cls.__name__} states no facts: give it `facts = RuleFacts(name=..., paper=..., ...)`")

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.seed = seed
        self._draws = torch.Generator()
        self._share = (0, 1)
        self.begin_step(0)

    def reason_against(self, network: Network) -> str | None:
        """Why the rule, by what is special about it, cannot run on this network, or None where it can."""
        return None

    def refusal(self, network: Network) -> str | None:
        """Why the rule cannot run on this network, for whatever reason, or None where it can."""
        if network.spiking and not self.facts.spiking:
            return "its activities are spikes in time, which have no derivative"
        if self.facts.spiking and not network.spiking:
            return "its neurons do not spike, and the rule reads the times of spikes"
        return self.reason_against(network)

    def bind(self, network: Network) -> None:
        """Check the network and make what the rule keeps for it (feedback weights, traces).

        Raises `WrongArgument` with the reason where the rule cannot run on it.
        """
        reason = self.refusal(network)
        if reason is not None:
            raise WrongArgument(
                f"{self.facts.name} cannot run on this network: {reason}",
                type(network).__name__,
                "See `plasticode rules` for what runs where.",
            )

    def infer(self, network: Network, x: Tensor) -> Tensor:
        """Scores of the classes (batch ... class) as the rule reads them from the network: a forward pass."""
        found: Tensor = network(x)
        return found

    def states(self, network: Network, x: Tensor) -> list[Tensor]:
        """Activities (batch ...) of each population once the rule has inferred without a target, from the input on.

        They are the layers' outputs in a forward pass; the last are the readout's scores. Rules whose inference is
        their own give what it ends in.
        """
        found = []
        for layer in network:
            x = layer(x)
            found.append(x)
        return found

    @abstractmethod
    def assign_gradients(self, network: Network, x: Tensor, target: Tensor) -> Tensor:
        """Add a descent direction to `.grad` of every parameter that the rule trains, and return the loss (a scalar).

        Parameters
        ----------
        x
            Inputs (batch ...).
        target
            Class ids (batch) or, for sequences, (batch time).
        """

    def precision(self, device: str) -> torch.autocast:
        """Where a step is made: what is around it, but full precision for a rule that needs it."""
        asked = torch.is_autocast_enabled(device)
        return torch.autocast(device, enabled=asked and not self.facts.full_precision)

    def after_step(self, network: Network) -> None:
        """What follows the optimiser's step: norms restored, thresholds moved. Nothing for most rules."""

    def begin_step(self, step: int, share: tuple[int, int] = (0, 1)) -> None:
        """Make the random numbers those of this step: a resumed run, and each of several processes, draws the same.

        `share` is (rank, processes); of every draw for a batch a process takes each `processes`-th sample.
        """
        self._draws.manual_seed((STEPS + self.seed * 1_000_003 + step) % 2**63)
        self._share = share

    def normal(self, like: Tensor) -> Tensor:
        """Standard normal numbers in the shape of a batch `like` (batch ...), the same however it is shared out."""
        return self._drawn(torch.randn, like)

    def uniform(self, like: Tensor) -> Tensor:
        """Uniform numbers in [0, 1) in the shape of a batch `like` (batch ...), the same however it is shared out."""
        return self._drawn(torch.rand, like)

    def _drawn(self, draw: Any, like: Tensor) -> Tensor:
        rank, processes = self._share
        whole = draw(len(like) * processes, *like.shape[1:], generator=self._draws, dtype=torch.float32)
        found: Tensor = whole[rank::processes].to(like)
        return found

    def feedback(self, network: Network) -> list[list[Tensor]] | None:
        """Feedback weights for each synapse of each layer, in the shape of the forward ones; None without any."""
        return None

    def parameter_groups(self, network: Network, settings: dict[str, Any]) -> list[dict[str, Any]]:
        """Groups for the optimiser: the network's weights with `settings`, the rule's own without weight decay."""
        own = [parameter for parameter in self.parameters() if parameter.requires_grad]
        groups = [{"params": list(network.parameters()), **settings}]
        return [*groups, {"params": own, **settings, "weight_decay": 0.0}] if own else groups


def feedback_draws(seed: int) -> torch.Generator:
    """Random numbers for feedback weights, apart from those of a network made with the same seed.

    With the network's own numbers, drawn in the same shapes, feedback would be the forward weights themselves.
    """
    return torch.Generator().manual_seed(FEEDBACK + seed)


def feedback_like(network: Network, generator: torch.Generator) -> list[list[Tensor]]:
    """Random feedback weights at the scale of the forward ones, for each synapse of each layer.

    Drawn anew with each weight's own standard deviation, so they are independent of it.
    """
    return [
        [
            torch.randn(synapse.weight.shape, generator=generator).to(synapse.weight) * synapse.weight.detach().std()
            for synapse in layer.synapses
        ]
        for layer in network
    ]


def keep_feedback(rule: nn.Module, feedback: Sequence[Sequence[Tensor]]) -> None:
    """Register feedback weights as buffers of the rule: they are in the checkpoint, and never decay."""
    for i, weights in enumerate(feedback):
        for j, weight in enumerate(weights):
            rule.register_buffer(f"feedback_{i}_{j}", weight)


def kept_feedback(rule: nn.Module, network: Network) -> list[list[Tensor]]:
    """The weights that `keep_feedback` registered, for each synapse of each layer."""
    return [[getattr(rule, f"feedback_{i}_{j}") for j in range(len(layer.synapses))] for i, layer in enumerate(network)]
