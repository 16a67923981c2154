"""Sign symmetry: feedback weights share the signs of the forward ones, and nothing of their sizes.

Liao, Leibo & Poggio 2016, arXiv 1510.05067; Moskovitz, Litwin-Kumar & Abbott 2018, arXiv 1812.06488.
e_{l-1} = B_l^T (phi'(a_l) e_l), dW_l = (phi'(a_l) e_l) x_l^T, with B = s M sign(W), s the standard deviation of the
initial W, so that errors neither explode nor vanish (a weight of exactly zero counts as positive). Three magnitudes M:
    uSF   1
    brSF  |standard normal|, redrawn each batch
    frSF  |standard normal|, drawn once
Local: pre- and post-synaptic activity and error. Not local: one bit of each forward weight, read whenever an error
returns. The readout's change is the exact gradient.
Deviations: magnitudes are half-normal (Liao: uniform), the distribution of our initial weights' sizes; no batch
normalisation and no batch-Manhattan update are added.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ...datasets.errors import WrongArgument
from ..chained_error import chain_errors, returns_errors
from ..layer import Layer
from ..network import Network
from ..rule import LearningRule, RuleFacts, feedback_draws

Draw = Callable[[Tensor, torch.Generator], Tensor]


def _ones(weight: Tensor, draws: torch.Generator) -> Tensor:
    return torch.ones((), dtype=weight.dtype, device=weight.device)


def _half_normal(weight: Tensor, draws: torch.Generator) -> Tensor:
    return torch.randn(weight.shape, generator=draws).abs().to(weight)


MAGNITUDES: dict[str, tuple[Draw, bool]] = {
    # how they are drawn, and whether each batch draws them anew
    "uSF": (_ones, False),
    "brSF": (_half_normal, True),
    "frSF": (_half_normal, False),
}


class SignSymmetry(LearningRule):
    """Feedback by the signs of the forward weights.

    Parameters
    ----------
    variant
        "uSF", "brSF" or "frSF": magnitudes uniform, redrawn for each batch, or random and fixed.

    Raises `WrongArgument` for another variant.
    """

    facts = RuleFacts(
        name="sign symmetry",
        paper="Liao, Leibo & Poggio 2016, arXiv 1510.05067; Moskovitz et al. 2018, arXiv 1812.06488",
        family="feedback alignment",
        cost="1",
    )

    def __init__(self, variant: str = "frSF", seed: int = 0) -> None:
        super().__init__(seed)
        if variant not in MAGNITUDES:
            raise WrongArgument(f"no sign symmetry {variant!r}", "variant", f"One of: {', '.join(MAGNITUDES)}.")
        self._draw, self._redraws = MAGNITUDES[variant]

    def bind(self, network: Network) -> None:
        super().bind(network)
        draws = feedback_draws(self.seed)
        for i, layer in enumerate(network):
            for j, synapse in enumerate(layer.synapses):
                weight = synapse.weight.detach()
                self.register_buffer(f"scale_{i}_{j}", weight.std())
                self.register_buffer(f"size_{i}_{j}", weight.std() * self._draw(weight, draws))

    def feedback(self, network: Network) -> list[list[Tensor]]:
        return [self._of_layer(i, layer) for i, layer in enumerate(network)]

    def assign_gradients(self, network: Network, x: Tensor, target: Tensor) -> Tensor:
        used = returns_errors(network)
        if self._redraws:
            self._redraw([layer if needed else None for layer, needed in zip(network, used, strict=True)])
        feedback = [self._of_layer(i, layer) if used[i] else [] for i, layer in enumerate(network)]
        return chain_errors(network, x, target, feedback)

    def _of_layer(self, i: int, layer: Layer) -> list[Tensor]:
        # One pass over the weights, where a product with their signs takes two.
        return [
            torch.copysign(self.get_buffer(f"size_{i}_{j}"), synapse.weight.detach())
            for j, synapse in enumerate(layer.synapses)
        ]

    def _redraw(self, layers: list[Layer | None]) -> None:
        # Not `self.normal`: weights, unlike samples, are not shared out, and every process must draw the same ones.
        for i, layer in enumerate(layers):
            for j, synapse in enumerate(layer.synapses if layer else []):
                magnitude = self._draw(synapse.weight, self._draws)
                torch.mul(magnitude, self.get_buffer(f"scale_{i}_{j}"), out=self.get_buffer(f"size_{i}_{j}"))
