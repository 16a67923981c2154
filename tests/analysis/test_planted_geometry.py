"""Oracle: planted truth. Brain data simulated by rsatoolbox from a known RDM; random features that know nothing.

`benchmarks/planted_geometry.py` is the same with more simulations, whose numbers are reported.
"""

from __future__ import annotations

import numpy as np
import pytest
from plasticode.analysis.inference import Inference, infer
from plasticode.analysis.inference_table import METHODS
from plasticode.analysis.rdm import dataset, rdms
from rsatoolbox.inference import eval_fixed
from rsatoolbox.model import ModelFixed
from rsatoolbox.rdm import RDMs
from rsatoolbox.simulation import make_dataset
from scipy.spatial.distance import pdist
from scipy.stats import binom

N, SUBJECTS = 20, 6
IDS = [f"condition {i:02d}" for i in range(N)]


def geometries(rng: np.random.Generator, n_models: int, shared: float) -> RDMs:
    """RDMs of random features, of which all after the first share some variance with the first."""
    features = rng.normal(size=(n_models, N, 10))
    features[1:] = np.sqrt(shared) * features[0] + np.sqrt(1 - shared) * features[1:]
    values = np.stack([pdist(some, "sqeuclidean") / 10 for some in features])
    return RDMs(values, pattern_descriptors={"stimulus": list(IDS)})


def recorded(true: RDMs, noise: float, seed: int) -> RDMs:
    np.random.seed(seed)  # noqa: NPY002 - rsatoolbox draws from it
    made = make_dataset(ModelFixed("true", true.dissimilarities[0]), None, np.arange(N), 40, SUBJECTS, noise=noise)
    return rdms(
        [dataset(one.measurements, IDS, subject=str(i), name=str(i)) for i, one in enumerate(made)], "euclidean"
    )


def planted(seed: int, measure: str, noise: float) -> tuple[Inference, RDMs]:
    models = geometries(np.random.default_rng(seed), 4, 0.5)
    data = recorded(models[0], noise, seed)
    return infer(models, data, measure, samples=50, permutations=99, seed=seed), data


@pytest.mark.parametrize("measure", ["spearman", "pearson"])
def test_the_true_model_wins_where_rsatoolbox_says_so(measure: str) -> None:
    """20 simulations at a noise variance of 2: all are won by both, and the true model is never below the ceiling."""
    for seed in range(20):
        found, data = planted(seed, measure, 2.0)
        fixed = eval_fixed(
            [ModelFixed(str(i), model) for i, model in enumerate(found.models)], data, method=METHODS[measure]
        )
        assert fixed.get_means().argmax() == 0, seed
        assert found.value.argmax() == 0, seed
        assert found.p[0] == found.p_max[0] == 0.01, seed
        assert found.p_ceiling[0] > 0.05, seed


@pytest.mark.filterwarnings("ignore:the split-half reliability")
def test_noise_hides_the_true_model() -> None:
    """At 500 times the noise it wins no more often than chance lets it: the test above can fail."""
    wins = [planted(seed, "pearson", 1000.0)[0].value.argmax() == 0 for seed in range(20)]
    assert sum(wins) <= binom.ppf(0.999, 20, 0.25)


@pytest.mark.filterwarnings("ignore:the split-half reliability")
def test_random_features_are_significant_in_five_per_cent() -> None:
    """60 data sets with 10 models each; 600 binomial tests would be within 3.3 and 6.8% in 95%, these are dependent."""
    p, p_max, p_zero = [], [], []
    for seed in range(60):
        rng = np.random.default_rng([seed, 1])
        data = recorded(geometries(rng, 1, 0.0), 2.0, seed)
        found = infer(geometries(rng, 10, 0.0), data, "cosine" if seed % 2 else "pearson", samples=60, permutations=99)
        p.append(found.p <= 0.05)
        p_max.append((found.p_max <= 0.05).any())
        if seed % 2 == 0:  # a cosine is not 0 by chance
            p_zero.append(found.p_zero <= 0.05)
    assert 0.02 < np.mean(p) < 0.08
    assert sum(p_max) <= binom.ppf(0.999, 60, 0.05)
    assert np.mean(p_zero) < 0.08
    assert np.any(p, axis=1).mean() > 0.2  # what p_max corrects
