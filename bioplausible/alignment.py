"""Angles, in degrees: of a rule's update to backprop's, and of feedback weights to forward weights.

0 is agreement, 90 none (what two random directions in many dimensions have), 180 opposition. An update within 90
degrees of the gradient descends the loss for small enough steps (Lillicrap et al. 2016, Nature Communications 7:13276).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from .network import Network
from .rule import LearningRule


def angle(a: Float[Tensor, "*shape"], b: Float[Tensor, "*shape"]) -> float:
    """Angle of two tensors taken as vectors, in degrees; nan where one of them is zero.

    By the half-angle's tangent (Kahan 2006, "How futile are mindless assessments of roundoff", section 12), which
    stays exact near 0 and 180 where the arc cosine loses half its digits.
    """
    u, v = a.detach().double().flatten(), b.detach().double().flatten()
    if not (u.any() and v.any()):
        return math.nan
    u, v = u / u.norm(), v / v.norm()
    return math.degrees(2 * torch.atan2((u - v).norm(), (u + v).norm()).item())


def angle_to_backprop(rule: LearningRule, network: Network, x: Tensor, target: Tensor) -> dict[int, float]:
    """Angle of the rule's update of each layer to the gradient of the objective, on one batch.

    Rule and network are copied first, and stay as they are, random state included. Layers that the rule gives no
    update, or whose gradient is zero, are left out.

    Parameters
    ----------
    rule
        Bound to the network.
    x, target
        Inputs (batch ...) and class ids (batch ...); the same ones at every look, so that looks compare.
    """
    rule, network = copy.deepcopy((rule, network))
    gradients = _gradients(network, x, target)
    network.zero_grad()
    rule.assign_gradients(network, x, target)
    found = {}
    for i, layer in enumerate(network):
        trained = [parameter for parameter in layer.parameters() if parameter.grad is not None]
        found[i] = _joint_angle(
            [parameter.grad for parameter in trained if parameter.grad is not None],
            [gradients[parameter] for parameter in trained],
        )
    return {i: degrees for i, degrees in found.items() if not math.isnan(degrees)}


def feedback_angle(network: Network, feedback: Sequence[Sequence[Tensor]]) -> dict[int, float]:
    """Angle of each layer's feedback weights to its forward weights, where errors pass them.

    A plain first layer is left out: nothing returns through it, and nothing pulls its feedback towards its weights.

    Parameters
    ----------
    feedback
        A weight in the forward weight's shape for each synapse of each layer (`LearningRule.feedback`).
    """
    found = {
        i: _joint_angle(weights, [synapse.weight for synapse in layer.synapses])
        for i, (layer, weights) in enumerate(zip(network, feedback, strict=True))
        if i > 0 or not layer.plain
    }
    return {i: degrees for i, degrees in found.items() if not math.isnan(degrees)}


def _gradients(network: Network, x: Tensor, target: Tensor) -> dict[Tensor, Tensor]:
    """The gradient of the objective by torch's autograd, for each parameter; zero where none arrives."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    with torch.enable_grad():
        loss = network.objective.loss(network(x), target)
    found = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
    return dict(zip(parameters, found, strict=True))


def _joint_angle(a: Iterable[Tensor], b: Iterable[Tensor]) -> float:
    """Angle of two lists of tensors, each taken as one vector; nan for empty ones."""
    u, v = [value.flatten() for value in a], [value.flatten() for value in b]
    return angle(torch.cat(u), torch.cat(v)) if u else math.nan
