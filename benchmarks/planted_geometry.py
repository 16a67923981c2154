"""Is a planted geometry found, and nothing found where nothing is?

    python benchmarks/planted_geometry.py [--simulations 200] [--null 2000] [--jobs 2]

Brain data are simulated by `rsatoolbox.simulation` from one of five model RDMs: squared Euclidean distances of random
patterns of 24 conditions, the wrong four sharing half of their features' variance with the true one; 8 subjects,
60 channels, noise of a stated variance for a signal of variance 1. "wins" is the share of simulations in which the
true model has the highest value, "significantly" the share in which it is also better than each other model
(pairwise p <= .05, not corrected); rsatoolbox's are those of its `eval_fixed` (t-tests over subjects) and, on our
resamples, of its Result. False positives: p <= .05 for five models of random features that know nothing of the data,
one by one, and for any of the five after correction.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from plasticode.analysis.inference import infer
from plasticode.analysis.rdm import dataset, rdms
from rsatoolbox.inference import eval_fixed
from rsatoolbox.model import ModelFixed
from rsatoolbox.rdm import RDMs
from rsatoolbox.simulation import make_dataset
from scipy.spatial.distance import pdist

N_CONDITIONS, N_SUBJECTS, N_CHANNELS, N_MODELS = 24, 8, 60, 5
IDS = [f"condition {i:02d}" for i in range(N_CONDITIONS)]
ALPHA = 0.05
NOISE = (2.0, 4.0, 8.0, 16.0)


def geometries(rng: np.random.Generator, shared: float) -> RDMs:
    """Model RDMs of random features; the first is the true one, of which the others share some variance."""
    features = rng.normal(size=(N_MODELS, N_CONDITIONS, 10))
    features[1:] = np.sqrt(shared) * features[0] + np.sqrt(1 - shared) * features[1:]
    values = np.stack([pdist(some, "sqeuclidean") / 10 for some in features])
    names = {"name": ["true", *(f"wrong {i}" for i in range(1, N_MODELS))]}
    return RDMs(values, rdm_descriptors=names, pattern_descriptors={"stimulus": list(IDS)})


def subjects(true: RDMs, noise: float, seed: int) -> RDMs:
    """One RDM of each simulated subject; each has patterns of its own with the same geometry."""
    np.random.seed(seed)  # noqa: NPY002 - rsatoolbox draws from it
    model = ModelFixed("true", true.dissimilarities[0])
    made = make_dataset(model, None, np.arange(N_CONDITIONS), N_CHANNELS, N_SUBJECTS, noise=noise)
    return rdms(
        [dataset(one.measurements, IDS, subject=f"{i}", name=f"{i}") for i, one in enumerate(made)], "euclidean"
    )


def planted(noise: float, seed: int, measure: str, samples: int = 1000) -> dict[str, bool]:
    """Whether the true model wins, by ours and by rsatoolbox's inference."""
    models = geometries(np.random.default_rng(seed), shared=0.5)
    data = subjects(models[0], noise, seed)
    found = infer(models, data, measure, samples=samples, permutations=0, seed=seed)
    result = found.result()
    fixed = eval_fixed(
        [ModelFixed(name, model) for name, model in zip(found.names, found.models, strict=True)],
        found.data,
        method=result.method,
    )
    return {
        "ours wins": found.value.argmax() == 0,
        "ours significantly": _better(found.value, found.pairwise_p),
        "rsatoolbox fixed wins": fixed.get_means().argmax() == 0,
        "rsatoolbox fixed significantly": _better(fixed.get_means(), fixed.test_pairwise()),
        "rsatoolbox dual wins": result.get_means().argmax() == 0,
        "rsatoolbox dual significantly": _better(result.get_means(), result.test_pairwise()),
    }


def null(noise: float, seed: int, measure: str, samples: int = 500, permutations: int = 199) -> dict[str, float]:
    """Share of models of random features that come out significant, and whether any does after correction."""
    rng = np.random.default_rng([seed, 1])
    data = subjects(geometries(rng, shared=0.0)[0], noise, seed)
    found = infer(geometries(rng, shared=0.0), data, measure, samples=samples, permutations=permutations, seed=seed)
    upper = np.triu_indices(N_MODELS, 1)
    return {
        "permuted labels, each": float((found.p <= ALPHA).mean()),
        "permuted labels, any by maximum": float((found.p_max <= ALPHA).any()),
        "permuted labels, any by FDR": float((found.p_fdr <= ALPHA).any()),
        "two-factor bootstrap against 0, each": float((found.p_zero <= ALPHA).mean()),
        "two-factor bootstrap, each pair": float((found.pairwise_p[upper] <= ALPHA).mean()),
    }


def rates(simulate: Callable[..., dict[str, float]], n: int, jobs: int, *arguments: object) -> pd.Series:
    """Mean over simulations with seeds from 0."""
    return pd.DataFrame(Parallel(jobs)(delayed(_quiet)(simulate, seed, *arguments) for seed in range(n))).mean()


def _quiet(simulate: Callable[..., dict[str, float]], seed: int, noise: float, measure: str) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the split-half reliability")
        return simulate(noise, seed, measure)


def _better(value: np.ndarray, pairwise: np.ndarray) -> bool:
    return bool(value.argmax() == 0 and (pairwise[0, 1:] <= ALPHA).all())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=200)
    parser.add_argument("--null", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--measure", default="spearman")
    chosen = parser.parse_args()
    found = {noise: rates(planted, chosen.simulations, chosen.jobs, noise, chosen.measure) for noise in NOISE}
    print(f"The true model, {chosen.simulations} simulations, {chosen.measure}, by noise variance\n")
    _print(pd.DataFrame(found))
    print(
        f"\nRandom features, {chosen.null} simulations of {N_MODELS} models, {chosen.measure}: share of p <= {ALPHA}\n"
    )
    _print(rates(null, chosen.null, chosen.jobs, 4.0, chosen.measure).to_frame("noise 4"))


def _print(table: pd.DataFrame) -> None:
    print("| | " + " | ".join(str(name) for name in table.columns) + " |")
    print("|---|" + "---:|" * len(table.columns))
    for name, row in table.iterrows():
        print(f"| {name} | " + " | ".join(f"{value:.1%}" for value in row) + " |")


if __name__ == "__main__":
    main()
