"""Comparison of RDMs against rsatoolbox: seconds, how many times faster, and the largest difference.

    python benchmarks/rsa_comparison.py [--rdms 30] [--conditions 92] [--repeats 5]

Both run in turn in one process on the same numbers, 30 model by 30 data RDMs; medians. The resamples are of 10 models
by 20 subjects, rsatoolbox's written out one by one as its bootstrap does.
"""

from __future__ import annotations

import argparse
import timeit
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from plasticode.analysis.bootstrap import resampled_similarities
from plasticode.analysis.comparison import similarities
from plasticode.analysis.inference_table import METHODS
from rsatoolbox.rdm import RDMs, compare

RESAMPLED = ("cosine", "spearman", "tau-a", "whitened-cosine", "whitened-correlation")
SAMPLES = 10
SIGMA_CONDITIONS = 30  # with 92, rsatoolbox took a minute for a single pair of RDMs
Case = tuple[str, Callable[[], np.ndarray], Callable[[], np.ndarray]]


def rows(rdms: int = 30, conditions: int = 92, repeats: int = 5) -> list[dict[str, Any]]:
    """One row a measure: name, ours_s, rsatoolbox_s, ratio, largest_difference."""
    cases = [*comparisons(rdms, conditions), *resamples(conditions)]
    return [measured(*case, repeats=repeats) for case in cases]


def comparisons(rdms: int, conditions: int) -> list[Case]:
    rng = np.random.default_rng(0)
    a, b = rng.random((2, rdms, conditions * (conditions - 1) // 2))
    tied = np.round(4 * a)
    fewer = rng.random((2, 1, SIGMA_CONDITIONS * (SIGMA_CONDITIONS - 1) // 2))
    root = rng.normal(size=(SIGMA_CONDITIONS, 2 * SIGMA_CONDITIONS))
    cases = [(name, name, a, b, None) for name in METHODS]
    cases += [(f"{name}, models tied", name, tied, b, None) for name in ("tau-a", "spearman")]
    title = f"whitened-cosine with sigma_k, 1 x 1 RDMs of {SIGMA_CONDITIONS}"
    cases += [(title, "whitened-cosine", *fewer, root @ root.T)]
    return [
        (
            title,
            partial(similarities, x, y, name, sigma_k=sigma),
            partial(compare, RDMs(x), RDMs(y), METHODS[name], sigma_k=sigma),
        )
        for title, name, x, y, sigma in cases
    ]


def resamples(conditions: int) -> list[Case]:
    rng = np.random.default_rng(1)
    a, b = (rng.random((number, conditions * (conditions - 1) // 2)) for number in (10, 20))
    counts = rng.multinomial(conditions, np.full(conditions, 1 / conditions), size=SAMPLES).astype(float)

    def written_out(method: str) -> np.ndarray:
        orders = [np.repeat(np.arange(conditions), times.astype(int)) for times in counts]
        return np.stack([compare(*(RDMs(x).subsample_pattern("index", o) for x in (a, b)), method) for o in orders])

    return [
        (
            f"{name}, {SAMPLES} resamples",
            partial(resampled_similarities, a, b, name, counts),
            partial(written_out, METHODS[name]),
        )
        for name in RESAMPLED
    ]


def measured(
    name: str, ours: Callable[[], np.ndarray], theirs: Callable[[], np.ndarray], *, repeats: int
) -> dict[str, Any]:
    difference = float(np.abs(ours() - theirs()).max())
    calls = [timeit.Timer(run).autorange()[0] for run in (ours, theirs)]
    seconds = np.array([[timed(*one) for one in zip((ours, theirs), calls, strict=True)] for _ in range(repeats)])
    ours_s, theirs_s = (float(median) for median in np.median(seconds, axis=0))
    return {
        "name": name,
        "ours_s": ours_s,
        "rsatoolbox_s": theirs_s,
        "ratio": theirs_s / ours_s,
        "largest_difference": difference,
    }


def timed(run: Callable[[], np.ndarray], calls: int) -> float:
    """Seconds of one call, the mean of as many as take a fifth of a second."""
    return timeit.timeit(run, number=calls) / calls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rdms", type=int, default=30)
    parser.add_argument("--conditions", type=int, default=92)
    parser.add_argument("--repeats", type=int, default=5)
    print("| measure | ours s | rsatoolbox s | times faster | largest difference |\n|---|---|---|---|---|")
    for row in rows(**vars(parser.parse_args())):
        seconds = f"{row['ours_s']:.4f} | {row['rsatoolbox_s']:.4f} | {row['ratio']:.1f}"
        print(f"| {row['name']} | {seconds} | {row['largest_difference']:.0e} |")


if __name__ == "__main__":
    main()
