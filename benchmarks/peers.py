"""Our rules beside public packages: the same images, network, optimiser, batch size and epochs, one system a call.

    python benchmarks/peers.py --system plasticode-fa --root DIR [--seed 0] [--images N] [--epochs N] [--scored N]

Run it with the interpreter that has the system: ours, or that of an environment with the peer's package (the peers
pull in torchvision, which does not live beside lightning). Prints one line of JSON: right answers on the 10,000 test
images with a 95% interval (Wilson 1927), seconds per epoch, versions. One thread. Compare systems by taking turns.

Feedback alignment, direct and not: MLP 784-1024-512-256-10, tanh, with the same initial weights on both sides, pixels
standardised, cross-entropy, Adam at .001, batches of 128; feedback weights are each system's own.
STDP: 400 neurons, batches of 32, one pass, each system's own neurons, encoding and settings, none chosen for so
few images: ours are the defaults with the `theta_plus` chosen on validation images for a pass of 10,000; bindsnet's are
those of its example `batch_eth_mnist.py`.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import importlib.metadata
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

WIDTHS = (784, 1024, 512, 256, 10)
N_CLASSES, N_NEURONS = 10, 400
THETA_PLUS = 0.1  # of ours, in mV a spike
# Of bindsnet's example; bindsnet has 100 neurons there.
BINDSNET = {"exc": 22.5, "inh": 120.0, "dt": 1.0, "norm": 78.4, "nu": (1e-4, 1e-2), "theta_plus": 0.05}
BATCH, SPIKING_BATCH, SCORED_AT_ONCE = 128, 32, 250
LABELLED_EVERY = 8  # batches after which bindsnet's neurons take their labels anew: 256 images, its example's 250
VERSIONS = ("torch", "numpy", "plasticode", "biotorch", "bindsnet", "torchvision")

Predict = Callable[[Tensor], dict[str, Tensor]]


@dataclass(frozen=True)
class Images:
    """Training and test images as bytes (image, row, column), and their labels (image,)."""

    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor


@dataclass(frozen=True)
class Run:
    """Seconds of each epoch, and the classes told for images: one answer for each way a system has to decide."""

    seconds: list[float]
    predict: Predict


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--system", choices=SYSTEMS, required=True)
    parser.add_argument("--root", type=Path, required=True, help="folder of the four idx .gz files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--images", type=int, help="10,000 by default, 2,000 for STDP")
    parser.add_argument("--epochs", type=int, help="3 by default, 1 for STDP")
    parser.add_argument("--scored", type=int, help="only the first so many test images, where time is short")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    spiking = args.system.endswith("stdp")
    n_images, n_epochs = args.images or (2000 if spiking else 10_000), args.epochs or (1 if spiking else 3)
    images = read(args.root, n_images)
    with contextlib.redirect_stdout(sys.stderr):  # peers print as they go
        run = SYSTEMS[args.system](images, n_epochs, args.seed)
        started = time.perf_counter()
        told = run.predict(images.test[: args.scored])
    found = {
        "system": args.system,
        "seed": args.seed,
        "images": n_images,
        "epochs": n_epochs,
        "scored": len(images.test[: args.scored]),
        "seconds_per_epoch": [round(value, 2) for value in run.seconds],
        "seconds_to_score": round(time.perf_counter() - started, 2),
        "accuracy": {name: share_right(classes, images.test_labels[: args.scored]) for name, classes in told.items()},
        "versions": versions(),
        "threads": torch.get_num_threads(),
    }
    print(json.dumps(found), flush=True)


def read(root: Path, n_images: int) -> Images:
    """The first training images of a fixed shuffle, and all test images."""
    x, labels = (read_idx(root / f"train-{name}.gz") for name in ("images-idx3-ubyte", "labels-idx1-ubyte"))
    order = np.random.default_rng(0).permutation(len(x))[:n_images]
    test, test_labels = (read_idx(root / f"t10k-{name}.gz") for name in ("images-idx3-ubyte", "labels-idx1-ubyte"))
    found = (torch.from_numpy(part) for part in (x[order], labels[order], test, test_labels))
    x, labels, test, test_labels = found
    return Images(x, labels.long(), test, test_labels.long())


def read_idx(path: Path) -> np.ndarray:
    """Bytes in the shape that the file states (LeCun's idx format)."""
    with gzip.open(path) as file:
        content = file.read()
    n_axes = content[3]
    shape = np.frombuffer(content, ">i4", n_axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * n_axes).reshape(shape).copy()


def share_right(told: Tensor, target: Tensor) -> dict[str, float]:
    """Percent right, and the bounds of its 95% interval."""
    n, share, z = len(target), float((told == target).double().mean()), 1.959964
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    percents = {"percent": share, "low": middle - half, "high": middle + half}
    return {name: round(100 * value, 2) for name, value in percents.items()}


def versions() -> dict[str, str]:
    found = {}
    for name in VERSIONS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def standardised(images: Images) -> Callable[[Tensor], Tensor]:
    """Bytes to (image, pixel) with mean 0 and standard deviation 1 over the training images."""
    pixels = images.train.float()
    mean, deviation = pixels.mean(), pixels.std()
    return lambda x: ((x.float() - mean) / deviation).flatten(1)


def batches(x: Tensor, target: Tensor, size: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Whole batches of a shuffle."""
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    for here in order[: len(x) - len(x) % size].split(size):
        yield x[here], target[here]


def initial_weights(seed: int) -> list[Tensor]:
    """Of every layer (output, input): normal, of standard deviation gain / sqrt(inputs), 5/3 before tanh."""
    draws, last = torch.Generator().manual_seed(seed), len(WIDTHS) - 2
    shapes = [(after, before, 5 / 3 if i < last else 1.0) for i, (before, after) in enumerate(pairwise(WIDTHS))]
    return [torch.randn(after, before, generator=draws) * gain / before**0.5 for after, before, gain in shapes]


def fit(
    step: Callable[[Tensor, Tensor], None],
    forward: Callable[[Tensor], Tensor],
    images: Images,
    n_epochs: int,
    seed: int,
) -> Run:
    """Train by `step`, one batch at a time."""
    prepared, seconds = standardised(images), []
    x = prepared(images.train)
    for epoch in range(n_epochs):
        started = time.perf_counter()
        for here in batches(x, images.train_labels, BATCH, 1000 * seed + epoch):
            step(*here)
        seconds.append(time.perf_counter() - started)
    return Run(seconds, lambda shown: {"argmax": forward(prepared(shown)).argmax(1)})


def plasticode_alignment(rule_name: str, images: Images, n_epochs: int, seed: int) -> Run:
    """FeedbackAlignment or DirectFeedbackAlignment on our MLP."""
    from plasticode.bioplausible.architectures import MLP
    from plasticode.bioplausible.training import optimiser_of
    from plasticode.bioplausible.zoo import rule_classes

    network = MLP(WIDTHS)
    for layer, weight in zip(network, initial_weights(seed), strict=True):
        layer.synapses[0].weight.data.copy_(weight)
    kinds = {kind.__name__: kind for kind in rule_classes().values()}
    rule = kinds[rule_name](seed=seed)
    rule.bind(network)
    optimiser, n_steps = optimiser_of(rule.pace, rule, network), 0

    @torch.no_grad()
    def step(x: Tensor, target: Tensor) -> None:
        nonlocal n_steps
        rule.begin_step(n_steps)
        rule.assign_gradients(network, x, target)
        optimiser.step()
        rule.after_step(network)
        optimiser.zero_grad()
        n_steps += 1

    return fit(step, torch.no_grad()(network), images, n_epochs, seed)


def biotorch_alignment(mode: str, images: Images, n_epochs: int, seed: int) -> Run:
    """A torch MLP that biotorch has converted, as its README and its trainer do it."""
    from biotorch.module.biomodule import BioModule

    layers: list[nn.Module] = []
    for weight in initial_weights(seed):
        linear = nn.Linear(weight.shape[1], weight.shape[0])
        with torch.no_grad():
            linear.weight.copy_(weight)
            nn.init.zeros_(linear.bias)
        layers += [linear, nn.Tanh()]
    model = BioModule(nn.Sequential(*layers[:-1]), mode=mode, output_dim=N_CLASSES)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-3, weight_decay=0.0, fused=True)
    loss_function = nn.CrossEntropyLoss()

    def step(x: Tensor, target: Tensor) -> None:
        output = model(x, target, loss_function) if mode == "dfa" else model(x)
        optimiser.zero_grad()
        loss_function(output, target).backward()
        optimiser.step()

    model.train()
    return fit(step, lambda x: torch.no_grad()(model.eval())(x), images, n_epochs, seed)


def plasticode_stdp(images: Images, n_epochs: int, seed: int) -> Run:
    """Stdp, as `benchmarks/stdp.py` trains it."""
    from plasticode.bioplausible.rules.stdp import Stdp
    from plasticode.bioplausible.spiking import SpikingNetwork

    network, rule = SpikingNetwork(N_NEURONS, theta_plus=THETA_PLUS, seed=seed), Stdp(seed=seed)
    rule.bind(network)
    optimiser, seconds, n_steps = torch.optim.SGD(network.parameters(), lr=rule.pace.learning_rate), [], 0
    with torch.no_grad():
        for epoch in range(n_epochs):
            started = time.perf_counter()
            for x, target in batches(images.train, images.train_labels, SPIKING_BATCH, 1000 * seed + epoch):
                rule.begin_step(n_steps)
                rule.assign_gradients(network, x[:, None].float() / 255, target)
                optimiser.step()
                rule.after_step(network)
                optimiser.zero_grad()
                n_steps += 1
            seconds.append(time.perf_counter() - started)

    @torch.no_grad()
    def predict(shown: Tensor) -> dict[str, Tensor]:
        scores = [rule.infer(network, part[:, None].float() / 255) for part in shown.split(SCORED_AT_ONCE)]
        return {"all activity": torch.cat(scores).argmax(1)}

    return Run(seconds, predict)


class Bindsnet:
    """bindsnet's DiehlAndCook2015 with what its example sets: presentations of 100 ms, up to 128 Hz."""

    duration, intensity = 100, 128.0

    def __init__(self) -> None:
        self.declared = declare_torchvision_operators()
        from bindsnet.evaluation import all_activity, assign_labels, proportion_weighting
        from bindsnet.models import DiehlAndCook2015
        from bindsnet.network.monitors import Monitor

        self.assign, self.by_activity, self.by_shares = assign_labels, all_activity, proportion_weighting
        shape = {"n_neurons": N_NEURONS, "inpt_shape": (1, 28, 28), "batch_size": SPIKING_BATCH}
        self.network = DiehlAndCook2015(784, **shape, **BINDSNET)
        self.monitor = Monitor(self.network.layers["Ae"], state_vars=["s"], time=self.duration)
        self.network.add_monitor(self.monitor, name="Ae")
        self.labels, self.shares, self.rates = -torch.ones(N_NEURONS), None, torch.zeros(N_NEURONS, N_CLASSES)

    def spikes(self, x: Tensor) -> Tensor:
        """Of the excitatory neurons (image, time, neuron)."""
        from bindsnet.encoding import poisson

        shown = poisson(x[:, None].float() / 255 * self.intensity, time=self.duration, dt=1.0)
        self.network.run(inputs={"X": shown}, time=self.duration)
        found: Tensor = self.monitor.get("s").permute(1, 0, 2).clone()
        self.network.reset_state_variables()
        return found

    def take_labels(self, spikes: list[Tensor], targets: list[Tensor]) -> None:
        self.labels, self.shares, self.rates = self.assign(
            spikes=torch.cat(spikes), labels=torch.cat(targets), n_labels=N_CLASSES, rates=self.rates
        )

    def predict(self, shown: Tensor) -> dict[str, Tensor]:
        self.network.train(mode=False)
        told = [self.decided(self.spikes(part)) for part in shown.split(SCORED_AT_ONCE)]
        return {name: torch.cat([part[name] for part in told]) for name in told[0]}

    def decided(self, spikes: Tensor) -> dict[str, Tensor]:
        """Classes, by both ways that its example decides."""
        return {
            "all activity": self.by_activity(spikes, self.labels, N_CLASSES),
            "proportions": self.by_shares(spikes, self.labels, self.shares, N_CLASSES),
        }


def bindsnet_stdp(images: Images, n_epochs: int, seed: int) -> Run:
    """Training and labelling as in bindsnet's examples: labels from the responses to each stretch of images."""
    peer, seconds = Bindsnet(), []
    for epoch in range(n_epochs):
        spikes: list[Tensor] = []
        targets: list[Tensor] = []
        started = time.perf_counter()
        for x, target in batches(images.train, images.train_labels, SPIKING_BATCH, 1000 * seed + epoch):
            spikes.append(peer.spikes(x))
            targets.append(target)
            if len(spikes) == LABELLED_EVERY:
                peer.take_labels(spikes, targets)
                spikes, targets = [], []
        if spikes:
            peer.take_labels(spikes, targets)
        seconds.append(time.perf_counter() - started)
    return Run(seconds, peer.predict)


def declare_torchvision_operators() -> torch.library.Library:
    """Let `import torchvision` pass beside a CPU build of torch.

    The package index's wheel is compiled for CUDA; bindsnet imports it for its data sets and calls none of
    it here. The declarations end with the library that is returned.
    """
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


SYSTEMS: dict[str, Callable[[Images, int, int], Run]] = {
    "plasticode-fa": lambda *run: plasticode_alignment("FeedbackAlignment", *run),
    "plasticode-dfa": lambda *run: plasticode_alignment("DirectFeedbackAlignment", *run),
    "plasticode-stdp": plasticode_stdp,
    "biotorch-fa": lambda *run: biotorch_alignment("fa", *run),
    "biotorch-dfa": lambda *run: biotorch_alignment("dfa", *run),
    "bindsnet-stdp": bindsnet_stdp,
}

if __name__ == "__main__":
    main()
