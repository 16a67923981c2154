"""The pooled rows of finished runs as the Markdown tables of docs/RESULTS.md.

python benchmarks/results_table.py RUN_DIR [RUN_DIR ...]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from plasticode.decoding.results import DECODER, POOLED


def number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def score_line(row: dict[str, Any]) -> str:
    interval = f"{number(row['ci_low'])} to {number(row['ci_high'])}"
    null = f"{number(row['null_mean'])} ± {number(row['null_sd'])}"
    p = "" if row["p"] is None else f"{row['p']:.4f}"
    cells = [row["subject"], row["quadrant"], row.get("system", DECODER), row["metric"], number(row["value"]), interval]
    return "| " + " | ".join([*cells, null, p, number(row["chance"]), str(row["n_windows"])]) + " |"


def difference_line(row: dict[str, Any]) -> str:
    interval = f"{number(row['ci_low'])} to {number(row['ci_high'])}"
    cells = [row["subject"], row["quadrant"], row["metric"], f"{row['system_a']} - {row['system_b']}"]
    return (
        "| "
        + " | ".join([*cells, number(row["difference"]), interval, f"{row['p']:.4f}", str(row["n_windows"])])
        + " |"
    )


def table(head: str, lines: list[str]) -> str:
    columns = head.count("|") - 1
    return "\n".join([head, "|" + "---|" * columns, *lines, ""])


def main() -> None:
    scores: list[str] = []
    differences: list[str] = []
    for folder in map(Path, sys.argv[1:]):
        for name in ("results.json", "baselines.json"):
            rows = json.loads((folder / name).read_text(encoding="utf-8"))
            scores += [score_line(row) for row in rows if row["story"] == POOLED]
        differences += map(difference_line, json.loads((folder / "comparisons.json").read_text(encoding="utf-8")))
    print(table("| subject | quadrant | system | metric | value | 95% interval | null | p | chance | n |", scores))
    print(table("| subject | quadrant | metric | difference | value | 95% interval | p | n |", differences))
    for folder in map(Path, sys.argv[1:]):
        facts = folder / "facts.json"
        for fact in json.loads(facts.read_text(encoding="utf-8")) if facts.is_file() else []:
            print(f"- {fact['name']}: {fact['value']:.3f} ({fact['detail']})")


if __name__ == "__main__":
    main()
