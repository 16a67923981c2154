"""Step time of every rule over backprop's, beside the ratio that arithmetic allows, on the same network and batch.

    python benchmarks/rules_cost.py [--network mlp cnn] [--batch 128] [--repeats 15] [--rules Backprop ...] [--out FILE]

All rules take their steps in turn in one process, so a busy neighbour slows them alike; the median of each rule's
ratios to the backprop step of the same round is the result, with the interval of its quartiles. "arithmetic" is the
ratio of floating point operations that torch counts in one step. "autograd" is plain PyTorch on the same network.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from plasticode.bioplausible.architectures import CNN, MLP
from plasticode.bioplausible.audit import count_flops
from plasticode.bioplausible.network import Network
from plasticode.bioplausible.rule import LearningRule
from plasticode.bioplausible.rules.node_perturbation import NodePerturbation
from plasticode.bioplausible.training import optimiser_of
from plasticode.bioplausible.zoo import rule_classes
from torch import Tensor

NETWORKS: dict[str, Callable[[], Network]] = {
    "mlp": lambda: MLP((784, 1024, 512, 256, 10), example=(1, 28, 28)),
    "cnn": lambda: CNN((3, 32, 32), (64, 128, 64), (3, 3, 3), ("max", "max", "average"), 256),
}


# By default it decorrelates every layer's inputs, which the two forward passes of the paper do not.
VARIANTS: dict[str, Callable[[], LearningRule]] = {
    "NodePerturbation, inputs as they are": lambda: NodePerturbation(decorrelation=0.0),
}


def steps_of(
    names: list[str] | None, network: Network, x: Tensor, target: Tensor
) -> dict[str, tuple[Callable[[], None], int]]:
    """For every rule that runs on the network: a function that takes one step, and its operations."""
    found = {}
    made = {kind.__name__: kind for kind in rule_classes().values()} | VARIANTS
    for name, make in made.items():
        rule, own = make(), copy.deepcopy(network)
        if (names and name not in names) or rule.refusal(own) is not None:
            continue
        rule.bind(own)
        found[name] = (_step(rule, own, x, target), count_flops(rule, own, x, target))
    return found


def _step(rule: LearningRule, network: Network, x: Tensor, target: Tensor) -> Callable[[], None]:
    optimiser = optimiser_of(rule.pace, rule, network)

    def step() -> None:
        rule.begin_step(1)
        with torch.no_grad():
            rule.assign_gradients(network, x, target)
        optimiser.step()
        rule.after_step(network)
        optimiser.zero_grad()

    return step


def plain_step(network: Network, x: Tensor, target: Tensor) -> Callable[[], None]:
    """The same network by autograd, without layers' traces."""
    own = copy.deepcopy(network)
    optimiser = torch.optim.Adam(own.parameters(), lr=1e-3, fused=True)

    def step() -> None:
        own.objective.loss(own(x), target).backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


def timed(steps: dict[str, Callable[[], None]], repeats: int) -> dict[str, np.ndarray]:
    """Seconds of every step in every round; each round begins elsewhere."""
    names, seconds = list(steps), {name: [] for name in steps}
    for step in steps.values():
        step()
    for turn in range(repeats):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            start = time.perf_counter()
            steps[name]()
            seconds[name].append(time.perf_counter() - start)
    return {name: np.array(values) for name, values in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--rules", nargs="+")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows = []
    for name in args.network:
        torch.manual_seed(0)
        network = NETWORKS[name]()
        x, target = torch.randn(args.batch, *network.example), torch.randint(10, (args.batch,))
        found = steps_of(args.rules and [*args.rules, "Backprop"], network, x, target)
        steps = {rule: step for rule, (step, _) in found.items()} | {"autograd": plain_step(network, x, target)}
        seconds = timed(steps, args.repeats)
        print(
            f"{name}, batch {args.batch}, {torch.get_num_threads()} thread(s): "
            f"backprop {np.median(seconds['Backprop']) * 1e3:.1f} ms"
        )
        for rule in steps:
            ratio = seconds[rule] / seconds["Backprop"]
            low, middle, high = np.quantile(ratio, [0.25, 0.5, 0.75])
            arithmetic = found[rule][1] / found["Backprop"][1] if rule in found else 1.0
            rows.append(
                {"network": name, "rule": rule, "ratio": middle, "low": low, "high": high, "arithmetic": arithmetic}
            )
            print(
                f"  {rule:40} {middle:7.2f} [{low:.2f}, {high:.2f}]  "
                f"arithmetic {arithmetic:6.2f}  {middle / arithmetic:5.2f}"
            )
    if args.out:
        args.out.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
