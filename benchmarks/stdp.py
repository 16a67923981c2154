"""How well, and how fast, does a spiking network learn digits by STDP?

    python benchmarks/stdp.py --root DIR --folder DIR [--rule Stdp] [--images 10000] [--split validation|test]

One pass over the first training images of a fixed shuffle; its last 5,000 are the validation part, on which settings
are chosen, and the test images are for settings that are settled. Prints accuracy with a 95% interval (Wilson 1927),
seconds and settings. Every so often the state goes to the folder, and the same command takes it up there.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from plasticode.bioplausible.rule import LearningRule
from plasticode.bioplausible.rules.reward_modulated_stdp import RewardModulatedStdp
from plasticode.bioplausible.rules.stdp import Stdp
from plasticode.bioplausible.spiking import SpikingNetwork
from plasticode.datasets.labelled_images import open_images
from plasticode.datasets.whole_file import whole_file
from safetensors.torch import load_file, save_file
from scipy.stats import binomtest
from torch import Tensor, nn

RULES = {"Stdp": Stdp, "RewardModulatedStdp": RewardModulatedStdp}
KEPT_BACK = 5000  # training images for validation
SAVED_EVERY = 50  # batches
CHUNK = 500  # images scored at once


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rule", choices=RULES, default="Stdp")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--split", choices=("validation", "test"), default="validation")
    parser.add_argument("--network", type=json.loads, default={}, help="settings of SpikingNetwork, as JSON")
    parser.add_argument("--settings", type=json.loads, default={}, help="settings of the rule, as JSON")
    args = parser.parse_args()
    network, rule = SpikingNetwork(**args.network), RULES[args.rule](**args.settings)
    rule.bind(network)
    x, target = load(args.root, "train")
    order = torch.randperm(len(target), generator=torch.Generator().manual_seed(0))
    used = order[:-KEPT_BACK][: args.images]
    seconds = train(network, rule, x[used], target[used], args.batch_size, args.folder)
    if args.split == "test":
        x, target = load(args.root, "test")
    else:
        x, target = x[order[-KEPT_BACK:]], target[order[-KEPT_BACK:]]
    started = time.perf_counter()
    n_right = right(network, rule, x, target)
    interval = binomtest(n_right, len(target)).proportion_ci(method="wilson")
    share = f"{100 * n_right / len(target):.2f}% ({100 * interval.low:.2f} to {100 * interval.high:.2f})"
    settings = f"{len(network.votes.labels)} neurons, {vars(args)}, {torch.get_num_threads()} threads"
    print(f"{args.split}: {share} of {len(target)} right; {settings}")
    print(f"training {seconds:.0f} s, scoring {time.perf_counter() - started:.0f} s")


def load(root: Path, split: str) -> tuple[Tensor, Tensor]:
    found = open_images("mnist", root).load(split)
    return torch.from_numpy(found.images), torch.from_numpy(found.labels)


@torch.no_grad()
def train(
    network: SpikingNetwork, rule: LearningRule, x: Tensor, target: Tensor, batch_size: int, folder: Path
) -> float:
    """Seconds that training has taken, earlier starts included."""
    optimiser = torch.optim.SGD(network.parameters(), lr=rule.pace.learning_rate)
    parts = nn.ModuleDict({"network": network, "rule": rule})
    first, earlier = resume(parts, folder)
    started, n_batches = time.perf_counter(), len(x) // batch_size
    for step in range(first, n_batches):
        here = slice(step * batch_size, (step + 1) * batch_size)
        rule.begin_step(step)
        loss = rule.assign_gradients(network, x[here].float() / 255, target[here])
        optimiser.step()
        rule.after_step(network)
        optimiser.zero_grad()
        if (step + 1) % SAVED_EVERY == 0 or step + 1 == n_batches:
            seconds = earlier + time.perf_counter() - started
            save(parts, folder, step + 1, seconds)
            print(f"batch {step + 1} of {n_batches}: loss {loss:.2f}, {seconds:.0f} s", flush=True)
    return earlier + time.perf_counter() - started


def save(parts: nn.Module, folder: Path, step: int, seconds: float) -> None:
    place = {"step": torch.tensor(step), "seconds": torch.tensor(seconds)}
    with whole_file(folder / "state.safetensors") as draft:
        save_file({**parts.state_dict(), **place}, draft)


def resume(parts: nn.Module, folder: Path) -> tuple[int, float]:
    """Batches done and seconds taken by an earlier start."""
    if not (folder / "state.safetensors").is_file():
        return 0, 0.0
    state = load_file(folder / "state.safetensors")
    step, seconds = int(state.pop("step")), float(state.pop("seconds"))
    parts.load_state_dict(state)
    return step, seconds


@torch.no_grad()
def right(network: SpikingNetwork, rule: LearningRule, x: Tensor, target: Tensor) -> int:
    """Images whose best score is the target's."""
    scored = [rule.infer(network, part.float() / 255) for part in x.split(CHUNK)]
    return int((torch.cat(scored).argmax(1) == target).sum())


if __name__ == "__main__":
    main()
