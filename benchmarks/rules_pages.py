"""Puts what was measured into the page of every rule: accuracy beside backprop and the floor, and angles as a picture.

    python benchmarks/rules_pages.py --lines runs/rules_accuracy/lines.jsonl --runs runs/rules_accuracy

Reads the lines and run folders of `rules_accuracy.py`; rewrites what stands between the marks in docs/rules/*.md and
the pictures in docs/pictures/rules. Nothing is computed here that a run has not measured.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from plasticode.bioplausible.zoo import rule_classes

mpl.use("agg")
import matplotlib.pyplot as plt

DOCS = Path(__file__).parent.parent / "docs"
MARK = re.compile(r"<!-- measured -->(?:.*<!-- end of measured -->)?", re.DOTALL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    args = parser.parse_args()
    lines = [json.loads(line) for line in args.lines.read_text(encoding="utf-8").splitlines()]
    for page in sorted(set((DOCS / "rules").glob("*.md")) - {DOCS / "rules" / "README.md"}):
        kinds = [kind.__name__ for path, kind in rule_classes().items() if path.split(".")[-2] == page.stem]
        text = page.read_text(encoding="utf-8")
        measured = "\n\n".join([*tables(lines, kinds), *pictures(args.runs, kinds, page.stem)])
        if not MARK.search(text):
            raise SystemExit(f"{page} has no <!-- measured --> line: add one where the figures belong")
        block = f"<!-- measured -->\n{measured}\n<!-- end of measured -->"
        page.write_text(MARK.sub(lambda _, block=block: block, text), encoding="utf-8")
        print(page.name, len(measured))


def tables(lines: list[dict[str, Any]], kinds: list[str]) -> list[str]:
    """A table for each data set and size of training; none where nothing of the rule was measured."""
    found = []
    settings = {(line["data"], line["quick"]) for line in lines if line["rule"] in kinds}
    for data, quick in sorted(settings):
        rows = [line for line in lines if (line["data"], line["quick"]) == (data, quick) and "best" in line]
        own = [name for name in kinds if any(line["rule"] == name for line in rows)]
        if not own:
            continue
        sizes = {(line["train_images"], line["epochs"]) for line in rows if line["rule"] in own}
        said = ", ".join(f"{images:,} training images, {epochs} epochs" for images, epochs in sorted(sizes))
        head = [f"{data}, {said}{' (the quick form)' if quick else ''}; test accuracy in %:", ""]
        body = ["| rule | last epoch | best by validation | seeds |", "|---|---|---|---|"]
        body += [row(rows, name) for name in dict.fromkeys([*own, "Backprop", "RandomFeatures"])]
        found.append("\n".join([*head, *[line for line in body if line]]))
    return found


def row(rows: list[dict[str, Any]], name: str) -> str:
    own = [line for line in rows if line["rule"] == name]
    if not own:
        return ""
    shown = []
    for which in ("last", "best"):
        values = np.array([line[which] for line in own]) * 100
        # One seed: the interval is of the test images (normal approximation), and says nothing of other seeds.
        half = 1.96 * np.sqrt(values[0] * (100 - values[0]) / own[0]["n_test"])
        spread = f"± {values.std(ddof=1):.2f} (sd)" if len(values) > 1 else f"± {half:.2f} (test set)"
        shown.append(f"{values.mean():.2f} {spread}")
    return f"| {name} | {shown[0]} | {shown[1]} | {len(own)} |"


def pictures(runs: Path, kinds: list[str], stem: str) -> list[str]:
    """Angle of the update of each layer to backprop's, by epoch, of the first seed."""
    logs = {name: sorted(runs.rglob(f"{name}_0/logs/csv/version_0/metrics.csv")) for name in kinds}
    logs = {name: found for name, found in logs.items() if found}
    if not logs:
        return []
    figure, axes = plt.subplots(1, len(logs), figsize=(4.2 * len(logs), 3.2), squeeze=False, layout="constrained")
    for axis, (name, found) in zip(axes[0], logs.items(), strict=True):
        draw(axis, pd.read_csv(found[-1]), name)
    target = DOCS / "pictures" / "rules" / f"{stem}.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=110)
    plt.close(figure)
    return [f"![Angle of each layer's update to backprop's, by epoch](../pictures/rules/{stem}.png)"]


def draw(axis: Any, log: pd.DataFrame, name: str) -> None:
    columns = [column for column in log if column.startswith("monitor/angle_to_backprop/")]
    for column in columns:
        values = log[column].dropna()
        label = f"layer {column.rpartition('/')[2]}"
        axis.plot(range(len(values)), values, marker="o", markersize=3, label=label)
    axis.axhline(90, color="grey", linewidth=0.8, linestyle="--")
    axis.set(title=name, xlabel="epoch", ylabel="angle to backprop (degrees)", ylim=(0, 125))
    if columns:
        axis.legend(fontsize=7, ncols=2)


if __name__ == "__main__":
    main()
