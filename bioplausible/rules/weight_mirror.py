"""Weight mirror: between batches, noise sent forward teaches the feedback weights what the forward ones are.

Akrout, Wilson, Humphreys, Lillicrap & Tweed 2019, arXiv 1904.05391.
Engaged: e_{l-1} = B_l^T (phi'(a_l) e_l), dW_l = (phi'(a_l) e_l) x_l^T.
Mirror: presynaptic noise xi, white and of unit variance, drives y = W xi, bias blocked, and
    dB = y xi^T - d B,    so E[dB] = W - d B, and B tends to W / d.
Local: each update reads its synapse's own pre- and postsynaptic activity (error) alone; no weight is carried over.
It costs a second phase. The readout's change is the exact gradient.
Deviations: one mirror phase after each engaged one, on the same weights; y is taken before the nonlinearity, where the
expectation is exact; -dB goes to B's `.grad`, so the network's optimiser steps B; in convolutions a tap's products are
divided by how often it meets the input rather than the padding, without which border taps would learn too small.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..chained_error import chain_errors
from ..layer import add_gradient
from ..learned_feedback import keep_learned_feedback, learned_feedback, learning_pairs
from ..network import Network
from ..rule import LearningRule, RuleFacts, feedback_draws, feedback_like
from ..synapse import Synapse
from ..synapse_inputs import synapse_inputs


class WeightMirror(LearningRule):
    """Feedback learned from noise.

    Parameters
    ----------
    decay
        d of the feedback weights; at 1 they tend to the forward weights themselves.
    samples_a_pattern
        One noise pattern for so many samples of the batch: more is cheaper, and noisier.
    """

    facts = RuleFacts(
        name="weight mirror",
        paper="Akrout et al. 2019, arXiv 1904.05391",
        family="feedback alignment",
        cost="1 + 2 (1 - s) / ((3 - s) p), s: the first layer's share of a forward pass, p: samples a pattern",
    )

    def __init__(self, decay: float = 1.0, samples_a_pattern: int = 1, seed: int = 0) -> None:
        super().__init__(seed)
        self.decay, self.samples_a_pattern = decay, samples_a_pattern
        self._shapes: dict[str, tuple[int, ...]] = {}

    def bind(self, network: Network) -> None:
        super().bind(network)
        keep_learned_feedback(self, network, feedback_like(network, feedback_draws(self.seed)))
        inputs = synapse_inputs(network)
        for name, synapse, feedback in learning_pairs(self, network):
            blank = inputs[synapse]
            if not blank.is_floating_point():
                feedback.requires_grad_(False)  # symbols: no error returns, and noise is none
                continue
            self._shapes[name] = tuple(blank.shape[1:])
            self.register_buffer(f"meetings_{name}", _meetings(synapse, blank), persistent=False)

    def feedback(self, network: Network) -> list[list[Tensor]]:
        return learned_feedback(self, network)

    def assign_gradients(self, network: Network, x: Tensor, target: Tensor) -> Tensor:
        loss = chain_errors(network, x, target, self.feedback(network))
        n_patterns = -(-len(x) // self.samples_a_pattern)
        for name, synapse, feedback in learning_pairs(self, network):
            noise = self.normal(synapse.weight.new_empty(n_patterns, *self._shapes[name]))
            mirrored = _joint(synapse, noise) / (n_patterns * self.get_buffer(f"meetings_{name}"))
            add_gradient(feedback, self.decay * feedback.detach() - mirrored)
        return loss


def _joint(synapse: Synapse, noise: Tensor) -> Tensor:
    """y xi^T for y = W xi, summed over patterns (and places)."""
    with torch.enable_grad():
        weight = synapse.weight.detach().requires_grad_()
        y = synapse.drive(noise, weight, None)
    return torch.autograd.grad(y, weight, y.detach())[0]


def _meetings(synapse: Synapse, blank: Tensor) -> Tensor:
    """How many products of a pattern each tap's sum has (1, 1, ...): all units share their taps' number."""
    ones = torch.ones_like(blank)
    y = synapse.drive(ones, synapse.weight.detach(), None)
    return synapse.correlate(ones, torch.ones_like(y))[0][:1, :1].clamp_min(1)
