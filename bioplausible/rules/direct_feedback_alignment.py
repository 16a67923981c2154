"""Direct feedback alignment: the output's error reaches every layer at once, through one fixed random matrix each.

Nokland 2016, arXiv 1609.01596. dW_l = (phi'(a_l) B_l e) x_l^T with e = dL/dy_L at the output and B_l drawn once.
Local: a layer's own activities. Not local: e, broadcast to all. No error passes from layer to layer, so layers can be
updated in any order, or at once. The readout's change is the exact gradient.
Deviations: B_l is normal with standard deviation 1 / sqrt(units), that of a readout from the layer, which keeps the
error's norm. It ends at the layer's output, after pooling. Where the readout speaks at several times, B_l is shared
over times (as for transformers in Launay et al. 2020, arXiv 2006.12878). Inside a block of several synapses errors
return through fixed random weights, as in feedback alignment.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..layer import Feedback
from ..network import Network
from ..rule import LearningRule, RuleFacts, feedback_draws, feedback_like, keep_feedback


class DirectFeedbackAlignment(LearningRule):
    """Fixed random feedback from the output straight to each layer."""

    facts = RuleFacts(
        name="direct feedback alignment",
        paper="Nokland 2016, arXiv 1609.01596",
        family="feedback alignment",
        cost="2 / (3 - s), s: the first layer's share of a forward pass",
    )

    def reason_against(self, network: Network) -> str | None:
        *hidden, (*places, _) = network.shapes()
        for i, shape in enumerate(hidden):
            if shape[: len(places)] != tuple(places):
                return f"layer {i + 1} has output {shape}, which does not keep the readout's places {tuple(places)}"
        return None

    def bind(self, network: Network) -> None:
        super().bind(network)
        draws = feedback_draws(self.seed)
        *hidden, (*places, n_classes) = network.shapes()
        like = next(network.parameters())
        for i, shape in enumerate(hidden):
            units = math.prod(shape[len(places) :])
            direct = torch.randn(n_classes, units, generator=draws) / math.sqrt(units)
            self.register_buffer(f"direct_{i}", direct.to(like))
        drawn = feedback_like(network, draws)
        keep_feedback(self, [[] if layer.plain else own for layer, own in zip(network, drawn, strict=True)])

    def assign_gradients(self, network: Network, x: Tensor, target: Tensor) -> Tensor:
        *hidden, readout = network.record(x, self._inside_blocks(network))
        error = network.objective.error(readout.y, target)
        readout.pull_back(error, to_input=False)
        for i, trace in enumerate(hidden):
            arrived = error @ self.get_buffer(f"direct_{i}").to(error)
            trace.pull_back(arrived.reshape(trace.y.shape), to_input=False)
        return network.objective.loss(readout.y, target)

    def _inside_blocks(self, network: Network) -> list[Feedback | None]:
        return [
            None if layer.plain else [self.get_buffer(f"feedback_{i}_{j}") for j in range(len(layer.synapses))]
            for i, layer in enumerate(network)
        ]
