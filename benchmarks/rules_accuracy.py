"""Accuracy of every rule on the same network, data and epochs, beside backprop and a random-features floor.

    python benchmarks/rules_accuracy.py --data mnist --root DIR [--quick] [--seeds 3] [--rules ...] [--table]

Every rule x seed is a run folder under --runs, trained by `plasticode fit` with the config of the data set, and one
line in --out once it is tested: last epoch, and best epoch by validation. What is finished is not done again, what
was interrupted goes on; --rules and --seeds fan the work out over machines that share the folder. --quick trains on
fewer images for fewer epochs and says so in every line. --table prints the lines as a table and trains nothing.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from plasticode.bioplausible.image_module import Images
from plasticode.bioplausible.rule import Pace
from plasticode.bioplausible.trained import TrainedNetwork
from plasticode.bioplausible.zoo import rule_classes
from plasticode.decoding.fitting import run_lightning
from scipy.stats import binomtest

CONFIGS = Path(__file__).parent.parent / "configs" / "bioplausible"
QUICK = {"mnist": (10_000, 3), "fashion_mnist": (10_000, 3), "cifar10": (5_000, 5)}  # images, epochs


def main() -> None:
    args = parsed()
    if not args.table:
        for seed in range(args.seeds):
            for path, kind in rule_classes().items():
                if not args.rules or kind.__name__ in args.rules:
                    one(args, path, seed)
    print(table(lines(args.out), args))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist", choices=sorted(QUICK))
    parser.add_argument("--root", required=True)
    parser.add_argument("--rules", nargs="+")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--shift", type=int, default=0, help="move training images by up to this many pixels")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--runs", type=Path, default=Path("runs/rules_accuracy"))
    parser.add_argument("--out", type=Path, default=Path("runs/rules_accuracy/lines.jsonl"))
    parser.add_argument("--precision", default="32-true", help='"bf16-mixed" is faster; each line says which')
    parser.add_argument("--settings", type=Path, help="paces by rule, benchmarks/settings/<data>.json by default")
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    args.settings = args.settings or Path(__file__).parent / "settings" / f"{args.data}.json"
    return args


def one(args: argparse.Namespace, path: str, seed: int) -> None:
    """Train and test one rule with one seed, unless that line is there."""
    name = path.rpartition(".")[2]
    key = {"data": args.data, "rule": name, "seed": seed, "quick": args.quick}
    if any(key.items() <= line.items() for line in lines(args.out)):
        return
    run = args.runs / f"{args.data}{'_quick' if args.quick else ''}" / f"{name}_{seed}"
    print(f"{name}, seed {seed}: {run}", flush=True)
    start = time.perf_counter()
    try:
        if (run / "config.yaml").is_file():
            run_lightning("fit", [], resume=str(run))
        else:
            run_lightning("fit", arguments(args, path, seed), run_dir=str(run))
    except Exception as error:  # a rule that fails is a line of the table, not its end
        add(args.out, key | {"error": str(error).splitlines()[0][:300]})
        return
    seconds = time.perf_counter() - start
    spent = {"seconds": round(seconds, 1), "threads": torch.get_num_threads(), "precision": args.precision}
    spent |= {"shift": args.shift} if args.shift else {}
    add(args.out, key | tested(run) | spent)


def arguments(args: argparse.Namespace, path: str, seed: int) -> list[str]:
    kind = rule_classes()[path]
    chosen = json.loads(args.settings.read_text(encoding="utf-8")) if args.settings.is_file() else {}
    pace = Pace(**chosen[kind.__name__]) if kind.__name__ in chosen else None
    given = rule_arguments(args.data, args.root, path, seed, pace, args.precision)
    images, epochs = QUICK[args.data] if args.quick else (None, args.epochs)
    given += ["--data.train_images", str(images)] if images else []
    given += ["--data.shift", str(args.shift)] if args.shift else []
    return given + (["--trainer.max_epochs", str(epochs)] if epochs else [])


def rule_arguments(data: str, root: str, path: str, seed: int, pace: Pace | None, precision: str) -> list[str]:
    """What `plasticode fit` is told to train a rule with one seed on a data set's own network."""
    config = f"{data}{'_spiking' if rule_classes()[path].facts.spiking else ''}.yaml"
    given = ["--config", str(CONFIGS / config), "--data.root", root, "--model.rule", path]
    given += ["--model.rule.seed", str(seed), "--model.network.seed", str(seed), "--data.seed", str(seed)]
    given += ["--model.pace", json.dumps(asdict(pace))] if pace else []
    return [*given, "--trainer.precision", precision]


def tested(run: Path) -> dict[str, Any]:
    """Test accuracy of the last epoch and of the best one by validation, on the same images, each looked at once."""
    best = TrainedNetwork.load(run)
    facts, device = best.facts, "cuda" if torch.cuda.is_available() else "cpu"
    data = Images(facts["dataset"], facts["root"], validation=facts["validation_images"])
    data.setup("test")
    data.parts["test"].mean = torch.tensor(facts["mean"])[:, None, None]
    data.parts["test"].deviation = torch.tensor(facts["deviation"])[:, None, None]
    found: dict[str, Any] = {"best": accuracy(best, data, device)}
    state = torch.load(run / "checkpoints" / "last.ckpt", map_location="cpu", weights_only=True)
    for part, module in (("network.", best.network), ("rule.", best.rule)):
        own = {name.removeprefix(part): v for name, v in state["state_dict"].items() if name.startswith(part)}
        module.load_state_dict(own)
    found["last"] = accuracy(best, data, device)
    found["epochs"], found["train_images"] = state["epoch"] + 1, facts["train_images"]
    found["n_test"] = len(data.parts["test"].index)
    return found


def accuracy(trained: TrainedNetwork, data: Images, device: str) -> float:
    network, rule = trained.network.to(device).eval(), trained.rule.to(device).eval()
    right = 0
    with torch.no_grad():
        for x, target in data.test_dataloader():
            right += int((rule.infer(network, x.to(device)).argmax(-1).cpu() == target).sum())
    return right / len(data.parts["test"].index)


def lines(out: Path) -> list[dict[str, Any]]:
    if not out.is_file():
        return []
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


def add(out: Path, line: dict[str, Any]) -> None:
    """One line, whole, whoever else writes."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{out}.lock"), out.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def table(found: list[dict[str, Any]], args: argparse.Namespace) -> str:
    """Mean and sd over seeds, with the 95% interval of one test set (Wilson) where there is one seed only."""
    rows = [
        "| rule | seeds | last epoch | best by validation | train images, epochs | s a run |",
        "|---|---|---|---|---|---|",
    ]
    mine = [line for line in found if line["data"] == args.data and line["quick"] == args.quick]
    for name in sorted({line["rule"] for line in mine}):
        own = [line for line in mine if line["rule"] == name]
        good = [line for line in own if "best" in line]
        if not good:
            rows.append(f"| {name} | {len(own)} | {own[0]['error']} | | | |")
            continue
        size, seconds = (
            f"{good[0]['train_images']:,}, {good[0]['epochs']}",
            np.median([line["seconds"] for line in good]),
        )
        rows.append(
            f"| {name} | {len(good)} | {spread(good, 'last')} | {spread(good, 'best')} | {size} | {seconds:.0f} |"
        )
    return "\n".join(rows)


def spread(found: list[dict[str, Any]], which: str) -> str:
    values = np.array([line[which] for line in found]) * 100
    if len(values) > 1:
        return f"{values.mean():.2f} ± {values.std(ddof=1):.2f}"
    n = found[0]["n_test"]
    low, high = binomtest(round(values[0] / 100 * n), n).proportion_ci(method="wilson")
    return f"{values[0]:.2f} [{low * 100:.2f}, {high * 100:.2f}]"


if __name__ == "__main__":
    main()
