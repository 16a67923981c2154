"""The similarity engine beside rsatoolbox: the same data, one process, taking turns; results compared.

    python benchmarks/rsa.py [--threads 2] [--repeats 5] [--quick] [--only rdm comparison inference]

One line of JSON a row, and at the end a table. RDMs here; comparison and inference in `rsa_comparison.py` and
`rsa_inference.py` beside this file, where they are there.

`rate` is the share of the machine's rate of matrix products (measured in turn with the rest, of the same size) at which
the products run that an RDM cannot do without: half a product in single precision, by symmetry, for each fold of a
crossnobis; with a noise precision also half of one in double, all patterns by its triangular factor. `difference` is
the largest one, relative to the distance (crossnobis: to the root mean square).
`memory` is the peak beside data and chunk, in units of the result, in a process of its own (Linux).
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from plasticode.analysis.rdm import dataset, rdms
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import calc_rdm

SIZES, QUICK = (2000, 5000), (300, 500)  # conditions
CHANNELS, FOLDS = 1000, 4
CHUNK = 64 * 2**20  # bytes, where memory is measured
METHODS = ("correlation", "euclidean", "mahalanobis", "poisson", "crossnobis", "crossnobis with noise")
PARTS = ("rdm", "comparison", "inference")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="small sizes: does it run?")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--memory", nargs=2, metavar=("METHOD", "N"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.memory:
        print(json.dumps(peak(args.memory[0], int(args.memory[1]))))
        return
    found: list[dict[str, Any]] = []
    for part in args.only:
        rows: Iterable[dict[str, Any]] = (
            rdm_rows(QUICK if args.quick else SIZES, args.repeats) if part == "rdm" else other_rows(part)
        )
        for row in rows:
            print(json.dumps(row), flush=True)
            found += [row] * (part == "rdm")
    print(table(found))


def rdm_rows(sizes: tuple[int, ...] = SIZES, repeats: int = 5) -> Iterator[dict[str, Any]]:
    """A row for each method and number of conditions, as each is measured."""
    return (rdm_row(method, n, repeats) for method in METHODS for n in sizes)


def rdm_row(method: str, n: int, repeats: int) -> dict[str, Any]:
    kind, data, noise = method.split()[0], patterns(n, folds(method)), precision(method)
    x = torch.from_numpy(data.measurements[:n])
    settings = {} if noise is None else {"noise": noise}
    cv = {"cv_descriptor": "run"} if kind == "crossnobis" else {}
    systems: dict[str, Callable[[], Any]] = {
        "product": lambda: x @ x.T,
        "ours": lambda: rdms(data, kind, **settings).dissimilarities[0],
        "rsatoolbox": lambda: calc_rdm(data, kind, "stimulus", **settings, **cv).dissimilarities[0],
    }
    if noise is not None:
        every, factor = torch.from_numpy(data.measurements).double(), torch.from_numpy(noise)
        systems["whitening"] = lambda: every @ factor
    seconds, results = in_turns(systems, repeats)
    products = 2 if method == "poisson" else folds(method)
    floor = (products * seconds["product"] + seconds.get("whitening", 0.0)) / 2
    scale = np.sqrt(np.mean(results["rsatoolbox"] ** 2)) if cv else np.abs(results["rsatoolbox"])
    return {
        "rdm": method,
        "conditions": n,
        "channels": CHANNELS,
        **{name: round(value, 4) for name, value in seconds.items()},
        "times faster": round(seconds["rsatoolbox"] / seconds["ours"], 1),
        "rate": round(floor / seconds["ours"], 2),
        "difference": float(f"{np.max(np.abs(results['ours'] - results['rsatoolbox']) / scale):.1e}"),
        "memory": in_a_process(method, n),
        "threads": torch.get_num_threads(),
    }


def patterns(n: int, n_folds: int) -> Dataset:
    """Rates in single precision: conditions that differ, and noise of each fold."""
    rng = np.random.default_rng(0)
    signal = rng.gamma(2.0, 1.0, (n, CHANNELS)).astype(np.float32)
    x = np.tile(signal, (n_folds, 1))
    if n_folds > 1:
        x += rng.standard_normal(x.shape, dtype=np.float32)
    ids = [f"s{i:05d}" for i in range(n)] * n_folds
    return dataset(x, ids, run=np.repeat(np.arange(n_folds), n), name="benchmark")


def folds(method: str) -> int:
    return FOLDS if method.startswith("crossnobis") else 1


def precision(method: str) -> np.ndarray | None:
    """A noise precision (channel channel) where the method takes one here."""
    if method not in {"mahalanobis", "crossnobis with noise"}:
        return None
    a = np.random.default_rng(1).standard_normal((CHANNELS, 2 * CHANNELS))
    return a @ a.T / CHANNELS


def in_turns(systems: dict[str, Callable[[], Any]], repeats: int) -> tuple[dict[str, float], dict[str, Any]]:
    """Median seconds of each system, and its result; the systems take turns, so that a busy moment hits all."""
    seconds: dict[str, list[float]] = {name: [] for name in systems}
    results = {}
    for _ in range(repeats):
        for name, system in systems.items():
            started = time.perf_counter()
            results[name] = system()
            seconds[name].append(time.perf_counter() - started)
    return {name: float(np.median(values)) for name, values in seconds.items()}, results


def in_a_process(method: str, n: int) -> float:
    command = [sys.executable, __file__, "--memory", method, str(n), "--threads", str(torch.get_num_threads())]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout))


def peak(method: str, n: int) -> float:
    """Bytes taken beside data, noise and chunk, in units of the result."""
    kind, data, noise = method.split()[0], patterns(n, folds(method)), precision(method)
    rdms(patterns(4, folds(method)), kind, noise=noise, chunk=CHUNK)  # what libraries set up once,
    for dtype in (torch.float32, torch.float64):  # and what they keep for products
        torch.ones(256, CHANNELS * FOLDS, dtype=dtype) @ torch.ones(CHANNELS * FOLDS, 2000, dtype=dtype)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from what is held now
    before = highest()
    found = rdms(data, kind, noise=noise, chunk=CHUNK)
    taken = highest() - before
    return round((taken - CHUNK) / found.dissimilarities.nbytes, 2)


def highest() -> int:
    """The most bytes that this process has held. (ru_maxrss would be the parent's, where that held more.)"""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return 1024 * int(line.split()[1])


def other_rows(part: str) -> list[dict[str, Any]]:
    if not Path(__file__).with_name(f"rsa_{part}.py").is_file():
        return []
    rows: list[dict[str, Any]] = importlib.import_module(f"rsa_{part}").rows()
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    columns = ("rdm", "conditions", "ours", "rsatoolbox", "times faster", "product", "rate", "difference", "memory")
    lines = [" | ".join(columns), " | ".join("---" for _ in columns)]
    lines += [" | ".join(str(row[column]) for column in columns) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


if __name__ == "__main__":
    main()
