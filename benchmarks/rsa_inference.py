"""Bootstrap, noise ceilings and permutations against rsatoolbox: seconds, times faster, largest difference.

    python benchmarks/rsa_inference.py [--samples 1000] [--theirs 50] [--repeats 3]

10 models, 20 subjects, 92 conditions; both in one process on the same numbers and the same resamples. rsatoolbox is
run on `--theirs` resamples and its time multiplied, as every resample costs it the same. The two-factor bootstrap
evaluates three times and has its noise ceilings, as in rsatoolbox's `eval_dual_bootstrap`; the bootstrap over stimuli
is also taken without them. Differences are the largest between all evaluations and ceilings.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import time
import warnings
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
from plasticode.analysis.bootstrap import Draws, draw, evaluate, resampled_similarities
from plasticode.analysis.inference_table import METHODS
from plasticode.analysis.noise_ceiling import noise_ceiling
from plasticode.analysis.permutation import permuted_pairs, permuted_similarities
from plasticode.analysis.subjects import Subjects
from rsatoolbox.inference import evaluate as theirs
from rsatoolbox.inference.noise_ceiling import boot_noise_ceiling
from rsatoolbox.model import ModelFixed
from rsatoolbox.rdm import RDMs, compare

N_MODELS, N_SUBJECTS, N_CONDITIONS = 10, 20, 92
SUBJECTS = Subjects(tuple(f"{i:02d}" for i in range(N_SUBJECTS)), np.arange(N_SUBJECTS))
DUAL = ("cosine", "pearson", "spearman", "rho-a", "whitened-cosine", "whitened-correlation", "tau-a", "tau-b")
SLOW = {"tau-a", "tau-b"}  # a tenth of the resamples


def rows(samples: int = 1000, theirs: int = 50, repeats: int = 3) -> list[dict[str, Any]]:
    """One row a case: name, ours_s, rsatoolbox_s, ratio, largest_difference."""
    models, data = planted()
    found = [stimuli_row(models, data, samples, theirs, repeats)]
    for measure in DUAL:
        share = 10 if measure in SLOW else 1
        found.append(dual_row(models, data, measure, max(2, samples // share), max(2, theirs // share), repeats))
    return [*found, ceiling_row(data, repeats), permutation_row(models, data, samples, theirs, repeats)]


def planted() -> tuple[RDMs, RDMs]:
    """Data that all see the first model, with noise."""
    rng = np.random.default_rng(0)
    models = rng.random((N_MODELS, N_CONDITIONS * (N_CONDITIONS - 1) // 2))
    return RDMs(models), RDMs(models[0] + rng.normal(size=(N_SUBJECTS, models.shape[1])) / 2 + 2)


def stimuli_row(models: RDMs, data: RDMs, samples: int, few: int, repeats: int) -> dict[str, Any]:
    """The bootstrap over stimuli without ceilings, of the cosine: what takes rsatoolbox about 7 s."""
    conditions = draw(N_SUBJECTS, N_CONDITIONS, "stimuli", samples=samples).conditions
    assert conditions is not None

    def ours() -> np.ndarray:
        return resampled_similarities(models.dissimilarities, data.dissimilarities, "cosine", conditions).mean(axis=2)

    def other() -> np.ndarray:
        with drawing(None, conditions[:few]), quiet():
            return theirs.eval_bootstrap_pattern(fixed(models), data, N=few, boot_noise_ceil=False).evaluations

    return row("bootstrap over stimuli, cosine, without ceilings", ours, other, samples / few, repeats)


def dual_row(models: RDMs, data: RDMs, measure: str, samples: int, few: int, repeats: int) -> dict[str, Any]:
    """The two-factor bootstrap with its ceilings."""
    drawn = draw(N_SUBJECTS, N_CONDITIONS, "both", samples=samples)
    assert drawn.subjects is not None
    assert drawn.conditions is not None

    def ours() -> np.ndarray:
        return stacked(evaluate(models.dissimilarities, data.dissimilarities, SUBJECTS, measure, drawn))

    def other() -> np.ndarray:
        with drawing(drawn.subjects[:few], drawn.conditions[:few]), quiet():
            found = theirs.eval_dual_bootstrap(fixed(models), data, METHODS[measure], N=few)
        bounds = found.noise_ceiling[:, :, 0].transpose(1, 0, 2)
        return np.concatenate([found.evaluations[:, :, 0, 0], bounds], axis=1)

    name = f"two-factor bootstrap, {measure}, {samples} samples"
    return row(name, ours, other, samples / few, repeats)


def ceiling_row(data: RDMs, repeats: int) -> dict[str, Any]:
    """One noise ceiling; ours has the split-half as well."""
    data.pattern_descriptors["stimulus"] = [f"{i:02d}" for i in range(N_CONDITIONS)]

    def ours() -> np.ndarray:
        found = noise_ceiling(data, "spearman")
        return np.array([[found.lower, found.upper]])

    return row("noise ceiling, spearman", ours, lambda: np.array([boot_noise_ceiling(data, "spearman")]), 1, repeats)


def permutation_row(models: RDMs, data: RDMs, samples: int, few: int, repeats: int) -> dict[str, Any]:
    """Permuted labels; rsatoolbox has no such test, so its comparison is called for each permutation."""
    orders = np.random.default_rng(0).permuted(np.tile(np.arange(N_CONDITIONS), (samples, 1)), axis=1)

    def ours() -> np.ndarray:
        return permuted_similarities(models.dissimilarities, data.dissimilarities, "spearman", permutations=samples)

    def other() -> np.ndarray:
        permuted = (RDMs(models.dissimilarities[:, permuted_pairs(order[None])[0]]) for order in orders[:few])
        return np.stack([compare(some, data, "spearman").mean(axis=1) for some in permuted])

    return row("permuted labels, spearman", ours, other, samples / few, repeats)


def row(
    name: str, ours: Callable[[], np.ndarray], other: Callable[[], np.ndarray], share: float, repeats: int
) -> dict[str, Any]:
    """Medians of runs in turn; rsatoolbox's seconds times `share`."""
    mine, expected = ours(), other()
    seconds = np.array([[timed(ours), timed(other) * share] for _ in range(repeats)])
    ours_s, rsatoolbox_s = (float(value) for value in np.median(seconds, axis=0))
    return {
        "name": name,
        "ours_s": ours_s,
        "rsatoolbox_s": rsatoolbox_s,
        "ratio": rsatoolbox_s / ours_s,
        "largest_difference": float(np.abs(mine[: len(expected)] - expected).max()),
    }


def timed(call: Callable[[], np.ndarray]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def stacked(draws: Draws) -> np.ndarray:
    """(sample, model and bound, factor)"""
    return np.moveaxis(np.concatenate([draws.similarities, draws.bounds], axis=2), 0, -1)


def fixed(models: RDMs) -> list[ModelFixed]:
    return [ModelFixed(str(number), model) for number, model in enumerate(models)]


@contextlib.contextmanager
def drawing(subjects: np.ndarray | None, conditions: np.ndarray) -> Any:
    """Let rsatoolbox draw what is given: its `np.random.randint` hands out subjects and conditions in turn."""
    pairs = zip(conditions if subjects is None else subjects, conditions, strict=True)
    indices = (
        np.repeat(np.arange(times.size), times.astype(int)) for pair in pairs for times in pair[subjects is None :]
    )
    with mock.patch("rsatoolbox.inference.bootstrap.np.random.randint", side_effect=indices):
        yield


@contextlib.contextmanager
def quiet() -> Any:
    """Neither progress nor the warning that a ceiling of tau is approximate."""
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Noise ceiling for tau")
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--theirs", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=3)
    print("| case | ours s | rsatoolbox s | times faster | largest difference |\n|---|---:|---:|---:|---:|")
    for one in rows(**vars(parser.parse_args())):
        seconds = f"{one['ours_s']:.3f} | {one['rsatoolbox_s']:.2f} | {one['ratio']:.0f}"
        print(f"| {one['name']} | {seconds} | {one['largest_difference']:.0e} |", flush=True)


if __name__ == "__main__":
    main()
