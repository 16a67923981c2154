"""Reward-modulated STDP: pairs of spikes leave an eligibility, and the reward decides what becomes of it.

Florian 2007, doi:10.1162/neco.2007.19.6.1468; Mozafari et al. 2019, doi:10.1016/j.patcog.2019.05.015.
    de/dt = -e / tau_e + potentiation x_pre (at a postsynaptic spike) - depression x_post (at a presynaptic spike)
    dw = r e    at the end of the presentation, traces x fading over 20 ms
Every neuron belongs to a class from the start, equally many to each. The network decides for the class of the first
spike (Mozafari) or of most spikes a neuron. r is (share of wrong decisions) for a right one, -(share of right ones) for
a wrong one, both over recent images (Mozafari's guard against overfitting), and 0 where no neuron fired.
Local: eligibility reads a synapse's own two spike trains. Not local: one number for all synapses, the reward, which
is all that the rule sees of the target. Weight sums and thresholds as for STDP.
Deviations: weights change between batches, increments summed over the batch; all neurons that fired learn (Florian;
in Mozafari's network the first alone does); traces fade by time instead of counting the order of spikes; -dw is left
in `.grad`, so the optimiser must be plain SGD. The network's own deviations are in `spiking.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...datasets.errors import WrongArgument
from ..layer import add_gradient
from ..network import Network
from ..rule import LearningRule, Pace, RuleFacts
from ..spike_pairs import anticausal, causal, pair_sums
from ..spike_record import SpikeRecord, over_processes
from ..spiking import SpikingNetwork, Votes


def first_spike(votes: Votes, spikes: Float[Tensor, "batch time neuron"]) -> Float[Tensor, "batch class"]:
    """Votes of the neuron that fired first, and of no other; none where all are silent."""
    first = spikes.any(-1).int().argmax(1)
    found: Tensor = votes(spikes[torch.arange(len(spikes)), first, :][:, None])
    return found


def count(votes: Votes, spikes: Float[Tensor, "batch time neuron"]) -> Float[Tensor, "batch class"]:
    """Mean spikes of each class's neurons."""
    found: Tensor = votes(spikes)
    return found


DECISIONS: dict[str, Callable[[Votes, Tensor], Tensor]] = {"first_spike": first_spike, "count": count}


class RewardModulatedStdp(LearningRule):
    """Learns from right and wrong; for a `SpikingNetwork`, whose neurons' labels it fixes.

    Parameters
    ----------
    decision
        "first_spike" or "count".
    potentiation, depression
        Eligibility left by a pair with the pre- or with the postsynaptic spike first.
    trace, eligibility
        Time constants of the traces and of the eligibility, in ms.
    memory
        Images over which the share of right decisions is remembered.

    Raises `WrongArgument` for another decision.
    """

    facts = RuleFacts(
        name="reward-modulated STDP",
        paper="Florian 2007, doi:10.1162/neco.2007.19.6.1468; Mozafari et al. 2019, doi:10.1016/j.patcog.2019.05.015",
        family="STDP",
        full_precision=True,
        spiking=True,
        cost="T (1 + k / n) / 2, T time steps, k spikes of n neurons a sample, beside one layer's backprop",
    )
    pace = Pace("sgd", learning_rate=1.0, batch_size=32)
    right: Tensor
    outcomes: Tensor

    def __init__(
        self,
        decision: str = "count",
        potentiation: float = 0.02,
        depression: float = 2e-4,
        trace: float = 20.0,
        eligibility: float = 500.0,
        memory: float = 100.0,
        seed: int = 0,
    ) -> None:
        super().__init__(seed)
        if decision not in DECISIONS:
            raise WrongArgument(f"no decision {decision!r}", "decision", f"One of: {', '.join(DECISIONS)}.")
        self.decide, self.potentiation, self.depression = DECISIONS[decision], potentiation, depression
        self.trace, self.eligibility, self.memory = trace, eligibility, memory
        self.register_buffer("right", torch.tensor(0.1))
        self.register_buffer("outcomes", torch.zeros(2))

    def bind(self, network: Network) -> None:
        super().bind(network)
        assert isinstance(network, SpikingNetwork)
        weight, n_classes = network.layer.synapse.weight, len(network.votes.shown)
        network.votes.labels.copy_(torch.arange(len(weight)) % n_classes)
        self.record = SpikeRecord(n_classes, len(weight)).to(weight)

    def infer(self, network: Network, x: Tensor) -> Tensor:
        """Scores of the classes (batch class), by which the rule also decides in training."""
        assert isinstance(network, SpikingNetwork)
        return network.scored(x, partial(self.decide, network.votes))

    def states(self, network: Network, x: Tensor) -> list[Tensor]:
        """Spike counts of the neurons (batch neuron) in a presentation, and the scores."""
        assert isinstance(network, SpikingNetwork)
        counts, votes = len(network.layer.synapse.weight), network.votes
        found = network.scored(x, lambda spikes: torch.cat([spikes.sum(1), self.decide(votes, spikes)], 1))
        return [found[:, :counts], found[:, counts:]]

    def assign_gradients(self, network: Network, x: Tensor, target: Tensor) -> Tensor:
        assert isinstance(network, SpikingNetwork)
        pre, post = network.present(x, self.uniform(network.input.blank(x)))
        scores = self.decide(network.votes, post)
        change = self.increment(network, pre, post, self.reward(scores, target))
        # Processes' gradients are averaged, and the batch's increments are to be summed.
        add_gradient(network.layer.synapse.weight, -self._share[1] * change)
        self.record.note(post.sum(1), target)
        self.outcomes += torch.stack([_right(scores, target).sum(), scores.new_tensor(len(x))])
        return network.objective.loss(scores, target)

    def reward(self, scores: Float[Tensor, "batch class"], target: Int[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """What each decision earns: 1 - right, -right, or 0 for none, with `right` the recent share of right ones."""
        earned = torch.where(_right(scores, target) > 0, 1 - self.right, -self.right)
        return earned.to(scores) * (scores.amax(1) > 0)

    def increment(
        self, network: SpikingNetwork, pre: Tensor, post: Tensor, reward: Float[Tensor, " batch"]
    ) -> Float[Tensor, "neuron feature"]:
        """Reward times eligibility, summed over the batch."""
        if not post.any():
            return torch.zeros_like(network.layer.synapse.weight)
        return pair_sums(pre, post, partial(self._eligible, step=network.step, n_steps=post.shape[1]), reward)

    def _eligible(self, post: Tensor, pre: Tensor, step: float, n_steps: int) -> Tensor:
        """What is left at the end of the presentation of what a pair left when its second spike came."""
        per_step = step / self.trace
        pair = self.potentiation * causal(post, pre, per_step) - self.depression * anticausal(post, pre, per_step)
        return pair * torch.exp(-step / self.eligibility * (n_steps - torch.maximum(post, pre)))

    def after_step(self, network: Network) -> None:
        assert isinstance(network, SpikingNetwork)
        network.restore_weights()
        network.adapt(*self.record.take())
        n_right, n_all = over_processes(self.outcomes).tolist()
        self.right += (1 - math.exp(-n_all / self.memory)) * (n_right / max(n_all, 1) - self.right)
        self.outcomes.zero_()


def _right(scores: Float[Tensor, "batch class"], target: Int[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    """1 for a decision that is right, 0 for one that is wrong or not made."""
    return ((scores.argmax(1) == target) & (scores.amax(1) > 0)).to(scores)
