"""Settings for every rule from one grid of equal size, chosen on validation images; the test set is never opened.

    python benchmarks/rules_settings.py --data mnist --root DIR [--rules ...] [--table]

Each rule's own pace is tried with a third, one and three times its learning rate: three trials of half the epochs, on
the same images for all, resumable, a line each in --out. What was best by validation accuracy of the last epoch is
written to benchmarks/settings/<data>.json, which `rules_accuracy.py` reads. (Trials of a tenth of the steps chose
learning rates that were too large for the whole training: 97.9 instead of 98.2% for backprop.)
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd
from plasticode.bioplausible.rule import LearningRule, Pace
from plasticode.bioplausible.zoo import rule_classes
from plasticode.decoding.fitting import run_lightning
from rules_accuracy import add, lines, rule_arguments

SETTINGS = Path(__file__).parent / "settings"
EPOCHS = {"mnist": 5, "cifar10": 6}
TIMES = (1 / 3, 1.0, 3.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist", choices=sorted(EPOCHS))
    parser.add_argument("--root", required=True)
    parser.add_argument("--rules", nargs="+")
    parser.add_argument("--precision", default="32-true")
    parser.add_argument("--runs", type=Path, default=Path("runs/rules_settings"))
    parser.add_argument("--out", type=Path, default=Path("runs/rules_settings/lines.jsonl"))
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    for path, kind in {} if args.table else rule_classes().items():
        if not args.rules or kind.__name__ in args.rules:
            for pace in grid(kind):
                one(args, path, pace)
    found = pd.DataFrame([line for line in lines(args.out) if line["data"] == args.data])
    write_best(found, SETTINGS / f"{args.data}.json")
    print(found.drop(columns="data").to_markdown(index=False) if args.table else f"{len(found)} trials")


def grid(kind: type[LearningRule]) -> list[Pace]:
    return [replace(kind.pace, learning_rate=kind.pace.learning_rate * times) for times in TIMES]


def one(args: argparse.Namespace, path: str, pace: Pace) -> None:
    """Try one setting, unless its line is there."""
    kind = rule_classes()[path]
    key = {"data": args.data, "rule": kind.__name__, **asdict(pace)}
    if any(key.items() <= line.items() for line in lines(args.out)):
        return
    run = args.runs / f"{args.data}_{kind.__name__}_{pace.learning_rate:.2g}"
    shutil.rmtree(run, ignore_errors=True)
    given = rule_arguments(args.data, args.root, path, 0, pace, args.precision)
    given += ["--trainer.max_epochs", str(EPOCHS[args.data]), "--model.monitored", "0"]
    start = time.perf_counter()
    try:
        run_lightning("fit", given, run_dir=str(run))
        measured: dict[str, Any] = {"validation": last_validation(run)}
    except Exception as error:  # a setting that breaks a rule is a line, not the end of the search
        measured = {"error": str(error).splitlines()[0][:200]}
    seconds = round(time.perf_counter() - start, 1)
    add(args.out, key | measured | {"epochs": EPOCHS[args.data], "seconds": seconds})
    print(key, measured, seconds, flush=True)


def last_validation(run: Path) -> float:
    logged = pd.concat(pd.read_csv(path) for path in sorted(run.glob("logs/csv/*/metrics.csv")))
    return float(logged["validation/accuracy"].dropna().iloc[-1])


def write_best(found: pd.DataFrame, path: Path) -> None:
    """The best setting of each rule, beside what it had; the rule's own where another is no better."""
    if "validation" not in found:
        return
    names = ["optimiser", "learning_rate", "momentum", "weight_decay", "batch_size"]
    best = found.dropna(subset="validation").sort_values("validation", kind="stable").groupby("rule").tail(1)
    chosen = {row["rule"]: {name: row[name] for name in names} for row in best.to_dict("records")}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(dict(sorted(chosen.items())), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
