"""An `Inference` as others take it: rsatoolbox's Result, and rows of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from rsatoolbox.inference.result import Result
from rsatoolbox.model import ModelFixed
from rsatoolbox.rdm import RDMs

from .variance import FACTORS_OF, covariances

if TYPE_CHECKING:
    from .inference import Inference

METHODS = {
    "pearson": "corr",
    "spearman": "spearman",
    "tau-a": "tau-a",
    "tau-b": "kendall",
    "cosine": "cosine",
    "whitened-cosine": "cosine_cov",
    "whitened-correlation": "corr_cov",
    "rho-a": "rho-a",
}
KINDS = {"both": "dual_bootstrap", "subjects": "bootstrap_rdm", "stimuli": "bootstrap_pattern"}
OF_MODELS = ("name", "network", "rule", "seed", "layer", "resolution", "baseline")
OF_DATA = ("region", "session", "time")
NUMBERS = ("value", "low", "high", "p", "p_fdr", "p_max", "p_zero", "p_zero_fdr", "p_ceiling")
GROUP = "group"


def names_of(rdms: RDMs) -> tuple[str, ...]:
    """Each RDM's `name`, or its number from 0 where there is none."""
    return tuple(str(name) for name in rdms.rdm_descriptors.get("name", range(rdms.n_rdm)))


def result_of(found: Inference) -> Result:
    """The resamples, their ceilings and covariances in the shapes of rsatoolbox; without constant models."""
    known = np.isfinite(found.value)
    similarities, bounds = found.draws.similarities[:, :, known], found.draws.bounds
    ceiling = np.isfinite(bounds).any()
    columns = np.concatenate([similarities, bounds], axis=2) if ceiling else similarities
    matrices = covariances(columns)
    dual = len(similarities) > 1
    subjects, stimuli = FACTORS_OF[found.resample]
    result = Result(
        [
            ModelFixed(name, rdm)
            for name, rdm, there in zip(names_of(found.models), found.models, known, strict=True)
            if there
        ],
        np.moveaxis(similarities, 0, -1)[:, :, None, None] if dual else similarities[0],
        METHODS[found.measure],
        KINDS[found.resample],
        bounds.transpose(2, 1, 0)[:, :, None] if dual else bounds[0].T,
        variances=matrices if dual else matrices[0],
        dof=found.variances.degrees,
        n_rdm=len(found.subjects) if subjects else None,
        n_pattern=found.data.n_cond if stimuli else None,
    )
    result.n_rdm, result.n_pattern = len(found.subjects), found.data.n_cond  # told, but not to correct by
    return result


def table_of(found: Inference) -> pd.DataFrame:
    """Tidy rows: first each model with the group, then each model with each subject."""
    labels = [_labels(found.models, OF_MODELS, model) | _common(found) for model in range(found.models.n_rdm)]
    group = [label | {"subject": GROUP} | numbers for label, numbers in zip(labels, _numbers(found), strict=True)]
    single = [
        label | {"subject": subject, "value": value}
        for label, values in zip(labels, found.by_subject, strict=True)
        for subject, value in zip(found.subjects.names, values, strict=True)
    ]
    return pd.DataFrame(group + single)


def _numbers(found: Inference) -> list[dict[str, float]]:
    columns = {name: getattr(found, name) for name in NUMBERS}
    return [{name: float(values[model]) for name, values in columns.items()} for model in range(found.models.n_rdm)]


def _common(found: Inference) -> dict[str, Any]:
    """What is alike in all rows."""
    return _labels(found.data, OF_DATA) | {
        "measure": found.measure,
        "ceiling_low": found.ceiling.lower,
        "ceiling_high": found.ceiling.upper,
        "ceiling_split_half": found.ceiling.split_half,
        "n_conditions": found.data.n_cond,
        "n_subjects": len(found.subjects),
        "resample": found.resample,
    }


def _labels(rdms: RDMs, keys: tuple[str, ...], row: int | None = None) -> dict[str, Any]:
    """Descriptors of one RDM, or those in which all agree; None for what is not told."""
    told = {key: list(rdms.rdm_descriptors.get(key, [None])) for key in keys}
    if row is None:
        return {key: values[0] if len(set(values)) == 1 else None for key, values in told.items()}
    return {key: values[row] if len(values) > row else None for key, values in told.items()}
