"""STDP: a synapse grows when its input fires before its neuron does, and shrinks when it fires after.

Diehl & Cook 2015, doi:10.3389/fncom.2015.00099, with traces x that jump by 1 at a spike and fade over 20 ms:
    at a postsynaptic spike    dw = potentiation (x_pre - target) (1 - w)^mu
    at a presynaptic spike     dw = -depression x_post w^mu
then each neuron's weights are scaled back to their sum (78.4 for 784 inputs), its threshold has grown by .05 mV for
every spike, and it carries the label of the class that moved it most. Labels are the only use of the target.
Local: a weight reads its own two spike trains and itself; the scaling reads the weights of the same neuron; which
neuron fires is settled by inhibition within the population.
Deviations: weights and thresholds change between batches, not between spikes: increments are summed over the batch
(not averaged), each as if its image had come alone. -dw is left in `.grad`, so the optimiser must be plain SGD; its
learning rate scales the increments. The network's own deviations are in `spiking.py`.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor

from ..layer import add_gradient
from ..network import Network
from ..rule import LearningRule, Pace, RuleFacts
from ..spike_pairs import anticausal, causal, pair_sums
from ..spike_record import SpikeRecord
from ..spiking import SpikingNetwork


class Stdp(LearningRule):
    """Unsupervised; for a `SpikingNetwork`.

    Parameters
    ----------
    potentiation, depression
        Change of a weight (of 0 to 1) at a post- and at a presynaptic spike.
    target
        Presynaptic trace below which a postsynaptic spike weakens.
    mu
        How strongly changes fade towards the bounds; 0 for not at all.
    trace
        Time constant of the traces, in ms.
    """

    facts = RuleFacts(
        name="STDP",
        paper="Diehl & Cook 2015, doi:10.3389/fncom.2015.00099",
        family="STDP",
        full_precision=True,
        spiking=True,
        cost="T (1 + 2 k / n) / 2, T time steps, k spikes of n neurons a sample, beside one layer's backprop",
    )
    pace = Pace("sgd", learning_rate=1.0, batch_size=32)

    def __init__(
        self,
        potentiation: float = 1e-3,
        depression: float = 1e-5,
        target: float = 0.0,
        mu: float = 0.0,
        trace: float = 20.0,
        seed: int = 0,
    ) -> None:
        super().__init__(seed)
        self.potentiation, self.depression, self.target, self.mu, self.trace = (
            potentiation,
            depression,
            target,
            mu,
            trace,
        )

    def bind(self, network: Network) -> None:
        super().bind(network)
        assert isinstance(network, SpikingNetwork)
        weight = network.layer.synapse.weight
        self.record = SpikeRecord(len(network.votes.shown), len(weight)).to(weight)

    def states(self, network: Network, x: Tensor) -> list[Tensor]:
        """Spike counts of the neurons (batch neuron) in a presentation, and the scores."""
        assert isinstance(network, SpikingNetwork)
        counts = network.scored(x, lambda spikes: spikes.sum(1))
        return [counts, counts @ network.votes.weights.to(counts)]

    def assign_gradients(self, network: Network, x: Tensor, target: Tensor) -> Tensor:
        assert isinstance(network, SpikingNetwork)
        uniform = self.uniform(network.input.blank(x))
        pre, post = network.present(x, uniform)
        # Processes' gradients are averaged, and the batch's increments are to be summed.
        add_gradient(network.layer.synapse.weight, -self._share[1] * self.increment(network, pre, post))
        self.record.note(post.sum(1), target)
        return network.objective.loss(network.votes(post), target)

    def increment(self, network: SpikingNetwork, pre: Tensor, post: Tensor) -> Tensor:
        """Change of the weights (neuron feature), summed over spikes (batch time ...)."""
        w, per_step = network.layer.synapse.weight.detach(), network.step / self.trace
        after = pair_sums(pre, post, partial(causal, per_step=per_step)) - self.target * post.sum((0, 1))[:, None]
        found = self.potentiation * after * (1 - w).clamp_min(0) ** self.mu
        if self.depression:
            before = pair_sums(pre, post, partial(anticausal, per_step=per_step))
            found -= self.depression * before * w**self.mu
        return found

    def after_step(self, network: Network) -> None:
        assert isinstance(network, SpikingNetwork)
        network.restore_weights()
        responses, shown = self.record.take()
        network.adapt(responses, shown)
        network.votes.watch(responses, shown)
