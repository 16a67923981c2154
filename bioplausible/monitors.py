"""What is watched while a rule trains: angles to backprop, angles of feedback, weight norms, dead units."""

from __future__ import annotations

import torch
from torch import Tensor

from .alignment import angle_to_backprop, feedback_angle
from .network import Network
from .rule import LearningRule

PROBE = 0  # the step whose random numbers a look uses: always the same


def monitor(rule: LearningRule, network: Network, x: Tensor, target: Tensor) -> dict[str, float]:
    """Values by name, `monitor/<what>/<layer>`, layers from 1; rule and network may be changed, so give copies."""
    norms = {f"weight_norm/{i}": layer.synapses[0].weight.norm().item() for i, layer in enumerate(network, 1)}
    dead = {f"dead_units/{i}": share for i, share in enumerate(dead_units(network, x), 1)}
    feedback = rule.feedback(network)
    angles = {} if feedback is None else feedback_angle(network, feedback)
    rule.begin_step(PROBE)
    found = {**norms, **dead, **{f"feedback_angle/{i + 1}": v for i, v in angles.items()}}
    if not network.spiking:  # spikes have no derivative to compare with
        found |= {f"angle_to_backprop/{i + 1}": v for i, v in angle_to_backprop(rule, network, x, target).items()}
    return {f"monitor/{name}": value for name, value in found.items()}


def dead_units(network: Network, x: Tensor) -> list[float]:
    """Share of each layer's units (or channels) whose output is the same for every sample (and place)."""
    shares = []
    with torch.no_grad():
        for layer in network:
            x = layer(x)
            by_unit = x.movedim(1, -1).flatten(0, -2) if x.ndim == 4 else x.flatten(0, -2)
            shares.append((by_unit.amax(0) == by_unit.amin(0)).float().mean().item())
    return shares
