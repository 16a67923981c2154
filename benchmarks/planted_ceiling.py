"""What the data allow of a voxel map: the share of variance that the planted features explain, voxel by voxel.

    python benchmarks/planted_ceiling.py [--root DIR]

For each person of a synthetic study the training recordings are regressed on the true features (convolved and cleaned
as the data were); the explained variance of a voxel ranks it, and the AUC against the planted voxels is the ceiling of
a map that has to find the features by itself.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from plasticode.datasets.haemodynamics import evoked
from plasticode.datasets.prepare import default_cache
from plasticode.datasets.synthetic import SyntheticStudy
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score, roc_auc_score


def explained(study: SyntheticStudy, subject: str) -> tuple[np.ndarray, np.ndarray]:
    """Explained variance of each voxel over the training recordings, and whether it is planted."""
    features, responses = [], []
    for story in study.design.train:
        run = study.run(subject, story)
        own = evoked(run.words, run.responses.n_rows, run.repetition_time, study.design.n_topics)
        trend = np.polynomial.legendre.legvander(np.linspace(-1, 1, len(own)), 5)
        # What the cleaning took out of the data is taken out of the features by the same slow functions.
        features.append(own - trend @ np.linalg.lstsq(trend, own, rcond=None)[0])
        responses.append(run.responses[:])
    x, y = np.concatenate(features), np.concatenate(responses)
    fitted = LinearRegression().fit(x, y).predict(x)
    return r2_score(y, fitted, multioutput="raw_values"), study.responsive(subject)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=default_cache() / "demo" / "synthetic")
    study = SyntheticStudy(parser.parse_args().root)
    for subject in study.subjects():
        variance, planted = explained(study, subject)
        print(f"{subject}: AUC {roc_auc_score(planted, variance):.3f} ({planted.sum()} planted voxels, chance .5)")


if __name__ == "__main__":
    main()
