"""Relaxation: populations in a chain that settle under drive from below and from above, through the same weights.

    s_l = rho_l(P_l(W_l s_{l-1}) + gain (P_{l+1} W_{l+1})^T s_{l+1})
where P is what carries values without weights (flattening, pooling); its choice of maxima is that of the drive from
below, both ways. These are the stationary points of the energy
    E = sum_l gain^l (G_l(s_l) - s_l . P_l(W_l s_{l-1})),   G_l' = rho_l^-1
whose derivative by W_l is -gain^l s_l s_{l-1}^T. With weights of their own for the way down there is no energy.
Populations at even places move first, then those at odd places, given the others: between neighbours the energy then
falls with every move (without max pooling), and the oscillations of period two that simultaneous moves can fall into do
not arise.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .layer import Feedback, Layer, Trace
from .network import Network

Activation = Callable[[Tensor], Tensor]
Top = Callable[[Tensor, Tensor], Tensor]  # the top population's new state, of its drive from below and its state


class Populations:
    """States of a chain of layers for a batch, at first those of a feed-forward pass.

    Parameters
    ----------
    layers
        Plain ones; their synapses and pooling are used, and `activations` in place of their nonlinearities.
    x
        Input (batch ...), held.
    gain
        Of the drive from above.
    feedback
        Weights for the way down, for each layer; the layers' own by default.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        activations: Sequence[Activation],
        x: Tensor,
        gain: float,
        feedback: Sequence[Feedback | None] | None = None,
    ) -> None:
        self.links = [without_nonlinearity(layer) for layer in layers]
        self.activations, self.gain = activations, gain
        self.feedback = feedback or [None] * len(layers)
        self.traces: list[Trace] = []
        self.states: list[Tensor] = []
        for link, activation, weights in zip(self.links, activations, self.feedback, strict=True):
            self.traces.append(link.record(x, weights, returns=bool(self.traces)))
            x = activation(self.traces[-1].y)
            self.states.append(x)

    def copy(self) -> Populations:
        """The same states, free to settle elsewhere."""
        other = copy.copy(self)
        other.traces, other.states = list(self.traces), list(self.states)
        return other

    def settle(self, sweeps: int, top: Top | None = None) -> Tensor:
        """Move every population `sweeps` times; returns the largest change of a unit in the last sweep (a scalar)."""
        before = self.states
        for _ in range(sweeps):
            before = list(self.states)
            for place in [*range(0, len(self.states), 2), *range(1, len(self.states), 2)]:
                self._move(place, top)
        changes = [(new - old).abs().amax() for new, old in zip(self.states, before, strict=True)]
        return torch.stack(changes).amax()

    def correlate(self, scale: float) -> None:
        """Add scale * gain^(l - n) d(s_l . P_l(W_l s_{l-1})) / dW_l to the weights' gradients, n being the top."""
        n = len(self.states) - 1
        for place, (trace, state) in enumerate(zip(self.traces, self.states, strict=True)):
            trace.pull_back(scale * self.gain ** (place - n) * state, to_input=False, keep=True)

    def _move(self, place: int, top: Top | None) -> None:
        drive = self.traces[place].y
        if place + 1 == len(self.states):
            self.states[place] = top(drive, self.states[place]) if top else self.activations[place](drive)
            return
        above = self.traces[place + 1].pull_back(self.states[place + 1], to_weights=False, keep=True)
        assert above is not None
        state = self.activations[place](drive + self.gain * above)
        self.states[place] = state
        self.traces[place + 1] = self.links[place + 1].record(state, self.feedback[place + 1])


def without_nonlinearity(layer: Layer) -> Layer:
    """The layer's drive alone; synapse and pooling are shared with it, and so is its kind (the audit's too)."""
    link = copy.copy(layer)
    link._modules = {**layer._modules, "nonlinearity": torch.nn.Identity()}
    return link


def reason_against_relaxing(network: Network) -> str | None:
    """Why a network cannot be relaxed, or None."""
    for i, layer in enumerate(network):
        if not layer.plain:
            return f"layer {i + 1} is a block of several synapses, and the energy has one synapse between populations"
    if not isinstance(network.layers[-1].nonlinearity, torch.nn.Identity):
        return "its readout has a nonlinearity, and the objective is the output's only one here"
    return None
