"""L-DRL: target propagation whose way back learns to have the transposed derivative of the way forward.

Ernoult, Normandin, Moudgil et al. 2022, arXiv 2201.13415. Targets and forward weights as in difference target
propagation (Lee et al. 2015), from the output's own target on; g learns otherwise. xi, eta: normal, of sd `noise`.
    t_L = h_L - eta_L dL/dh_L,   t_{l-1} = h_{l-1} + g_l(t_l) - g_l(h_l),   W_l descends 1/2 |h_l - t_l|^2
    g_l descends   [-xi . (g_l(f_l(h_{l-1} + xi)) - g_l(h_l)) + 1/2 |g_l(h_l + eta) - g_l(h_l)|^2] / noise^2
whose mean is, for small noise, -tr(J_g J_f) + 1/2 |J_g|^2: least where J_g = J_f^T. There, for a small step eta_L,
h - t is backprop's error times eta_L; with an inverse it would be Gauss-Newton's.
Local: g reads its own two ends and its noise; W_l reads h_{l-1}, h_l and t_l. No weight is transported.
Deviations: the paper takes 20 to 55 steps of g a batch; here `samples` noise draws are averaged into one, beside the
one step of the forward weights, since a rule leaves steps to the optimiser. g_l = phi_{l-1}(V^T h + c), see
`inverse.py`: its derivative can be J_f^T exactly in linear layers alone. The readout descends the loss itself.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...datasets.errors import WrongArgument
from ..inverse import carry_down, downwards, make_inverses, reason_against_inverses
from ..layer import add_gradient
from ..network import Network
from ..rule import LearningRule, RuleFacts, feedback_draws


class LocalDifferenceReconstruction(LearningRule):
    """Targets that come down through what has learned to be backprop's way.

    Parameters
    ----------
    step
        eta_L, the output target's distance in the loss's derivative.
    noise
        Standard deviation of xi and eta.
    samples
        Noise draws a batch.

    Raises `WrongArgument` for values that are not positive.
    """

    facts = RuleFacts(
        name="local difference reconstruction",
        paper="Ernoult et al. 2022, arXiv 2201.13415",
        family="target propagation",
        full_precision=True,  # both targets of a layer differ by less than bf16 resolves
        cost="(2 s + (6 + 5 k) (1 - s)) / (3 - s), s: the first layer's share of a forward pass, k: samples",
    )

    def __init__(self, step: float = 0.1, noise: float = 0.1, samples: int = 1, seed: int = 0) -> None:
        super().__init__(seed)
        if step <= 0 or noise <= 0 or samples < 1:
            raise WrongArgument(
                "step, noise and samples must be positive", self.facts.name, "Leave them out if in doubt."
            )
        self.step, self.noise, self.samples = step, noise, samples
        self.inverses = nn.ModuleDict()

    def reason_against(self, network: Network) -> str | None:
        return reason_against_inverses(network, range(1, len(network)))

    def bind(self, network: Network) -> None:
        super().bind(network)
        self.inverses = make_inverses(network, range(1, len(network)), feedback_draws(self.seed), learned=True)

    @torch.no_grad()
    def assign_gradients(self, network: Network, x: Tensor, target: Tensor) -> Tensor:
        traces, n = network.record(x, returns=False), target.numel()
        outputs = [trace.y for trace in traces]
        top = network.objective.error(outputs[-1], target)
        traces[-1].pull_back(top, to_input=False)
        goals = carry_down(network, self.inverses, outputs, outputs[-1] - self.step * n * top)
        for trace, goal in zip(traces[:-1], goals, strict=False):
            trace.pull_back((trace.y - goal) / n, to_input=False)
        for _ in range(self.samples):
            self.learn_inverses(network, outputs, n * self.samples)
        return network.objective.loss(outputs[-1], target)

    def learn_inverses(self, network: Network, outputs: list[Tensor], n: int) -> None:
        """Add to the inverses' `.grad` what one noise draw asks, over n."""
        places = range(1, len(network))
        xi = {i: self.noise * self.normal(outputs[i - 1]) for i in places}
        eta = {i: self.noise * self.normal(outputs[i]) for i in places}
        above = {i: network.layers[i](outputs[i - 1] + xi[i]) for i in places}
        for i, layer, below, inverse in downwards(network, self.inverses):
            x, y = outputs[i - 1], outputs[i]
            with torch.enable_grad():
                rest = inverse(y, layer, below, x)
                answered = inverse(above[i], layer, below, x) - rest
                shaken = inverse(y + eta[i], layer, below, x) - rest
                loss = (0.5 * shaken.square().sum() - (xi[i] * answered).sum()) / (self.noise**2 * n)
            weights = list(inverse.parameters())
            for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
                add_gradient(weight, gradient)
