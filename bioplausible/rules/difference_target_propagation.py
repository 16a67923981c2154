"""Difference target propagation: each layer is told what it should have said, by an inverse of the layer above.

Lee, Zhang, Fischer & Bengio 2015, arXiv 1412.7525. With h_l = f_l(h_{l-1}) and inverses g_l (see `inverse.py`):
    first target          t_{L-1} = h_{L-1} - eta dL/dh_{L-1}       through the readout, as in the paper
                          t_L     = h_L - eta dL/dh_L               pure: `through_readout=False`
    from layer to layer   t_{l-1} = h_{l-1} + g_l(t_l) - g_l(h_l)   or, plain, t_{l-1} = g_l(t_l): `difference=False`
    hidden weights        descend 1/2 |h_l - t_l|^2, by layer l alone; the readout descends the loss itself
    inverses              descend 1/2 |g_l(f_l(h_{l-1} + eps)) - (h_{l-1} + eps)|^2, eps normal of sd `noise`
In the paper's variant the penultimate layer's target is a step of backprop through the readout's own weights: they are
transported, that once, and a network of one hidden layer is trained by backprop. The pure variant transports none.
Local: an update of W_l reads h_{l-1}, h_l and t_l; targets come down through g alone. g reads its own two ends.
Without the difference an inverse's own error is in every target, whether there is anything to mend or not.
Deviations: forward weights and inverses change at once, the paper's inverses first; an inverse has the transposed form
of its layer, for convolutions too, which the paper has none of; dL/dh is each sample's own, not its share of the mean.
`learned_inverse=False` keeps the inverses random, which the difference bears: what is left is a random way back.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...datasets.errors import WrongArgument
from ..inverse import carry_down, downwards, make_inverses, reason_against_inverses
from ..layer import add_gradient
from ..network import Network
from ..rule import LearningRule, RuleFacts, feedback_draws


class DifferenceTargetPropagation(LearningRule):
    """Targets that come down through inverses.

    Parameters
    ----------
    learned_inverse
        False keeps the random inverses that it starts with.
    difference
        False is plain target propagation.
    through_readout
        True takes the penultimate layer's target from the gradient through the readout, as the paper does; False sends
        the output's target through an inverse of the readout.
    step
        eta, the first target's distance in the loss's derivative.
    noise
        Standard deviation of eps.

    Raises `WrongArgument` where step is not positive or noise is negative.
    """

    facts = RuleFacts(
        name="difference target propagation",
        paper="Lee, Zhang, Fischer & Bengio 2015, arXiv 1412.7525",
        family="target propagation",
        full_precision=True,  # both targets of a layer differ by less than bf16 resolves
        cost="(7 - 5 s) / (3 - s), s: the first layer's share of a forward pass; (4 - 2 s) / (3 - s) with fixed g",
    )

    def __init__(
        self,
        learned_inverse: bool = True,
        difference: bool = True,
        through_readout: bool = True,
        step: float = 0.03,
        noise: float = 0.1,
        seed: int = 0,
    ) -> None:
        super().__init__(seed)
        if step <= 0 or noise < 0:
            raise WrongArgument(
                f"step {step} and noise {noise}", self.facts.name, "Give a step above 0 and a noise of 0 or more."
            )
        self.learned_inverse, self.difference, self.through_readout = learned_inverse, difference, through_readout
        self.step, self.noise = step, noise
        self.inverses = nn.ModuleDict()

    def inverted(self, network: Network) -> range:
        """Places of the layers that targets come down through."""
        return range(1, len(network) - self.through_readout)

    def reason_against(self, network: Network) -> str | None:
        return reason_against_inverses(network, self.inverted(network))

    def bind(self, network: Network) -> None:
        super().bind(network)
        draws = feedback_draws(self.seed)
        self.inverses = make_inverses(network, self.inverted(network), draws, self.learned_inverse)

    @torch.no_grad()
    def assign_gradients(self, network: Network, x: Tensor, target: Tensor) -> Tensor:
        traces, n = network.record(x, returns=self.through_readout), target.numel()
        outputs = [trace.y for trace in traces]
        top = network.objective.error(outputs[-1], target)
        below = traces[-1].pull_back(top, to_input=self.through_readout)
        first = outputs[-1] - self.step * n * top if below is None else outputs[-2] - self.step * n * below
        for trace, goal in zip(traces, self.targets(network, outputs, first), strict=False):
            trace.pull_back((trace.y - goal) / n, to_input=False)
        if self.learned_inverse:
            self.learn_inverses(network, outputs, n)
        return network.objective.loss(outputs[-1], target)

    def targets(self, network: Network, outputs: list[Tensor], first: Tensor) -> list[Tensor]:
        """Targets of the hidden layers, from the bottom on.

        Parameters
        ----------
        outputs
            h of every layer (batch ...).
        first
            The target that the others come from: the penultimate layer's, or the output's in the pure variant.
        """
        return carry_down(network, self.inverses, outputs, first, self.difference)[: len(network) - 1]

    def learn_inverses(self, network: Network, outputs: list[Tensor], n: int) -> None:
        """Add to the inverses' `.grad` what reconstructing hidden layers under noise asks, mean of n samples."""
        noisy = {i: outputs[i - 1] + self.noise * self.normal(outputs[i - 1]) for i in self.inverted(network)}
        above = {i: network.layers[i](h) for i, h in noisy.items()}
        for place, layer, below, inverse in downwards(network, self.inverses):
            with torch.enable_grad():
                error = inverse(above[place], layer, below, noisy[place]) - noisy[place]
                loss = 0.5 * error.square().sum() / n
            weights = list(inverse.parameters())
            for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
                add_gradient(weight, gradient)
