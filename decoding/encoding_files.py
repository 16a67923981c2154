"""A fitted encoding model on disk: `model.safetensors` and `model.json`, read without running anything.

Bands are named by what they are, and word vectors travel along. States of a language model do not: the model is named,
and has to be on the machine that reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..datasets.errors import BrokenData, WrongArgument
from .encoding_features import Band, EncodingFeatures, RateSource, VectorSource, WordCount, WordSource
from .encoding_model import FittedEncodingModel
from .encoding_states import StateSource
from .encoding_windows import Layout
from .language_model import read_model, understood, write_model
from .noise_covariance import NoiseCovariance
from .word_vectors import WordVectors

FORM = "plasticode encoding model 1"
Record = dict[str, Any]


def save_encoding_model(model: FittedEncodingModel, folder: Path) -> None:
    """Write both files, the JSON last; raises `WrongArgument` for a band of a kind that cannot be written."""
    bands: list[Record] = []
    tensors: dict[str, np.ndarray] = {}
    for number, band in enumerate(model.features.bands):
        record, arrays = _described(band.source)
        bands.append({"source": record, "weight": band.weight, "whole": band.whole})
        tensors |= {f"band{number}.{name}": array for name, array in arrays.items()}
    tensors |= {
        "mean": model.features.mean,
        "scale": model.features.scale,
        "weights": model.weights,
        "channels": model.channels,
        "basis": model.noise.basis,
        "rows": model.noise.rows,
        "explained": model.explained,
    }
    about = {"format": FORM, "bands": bands, "layout": asdict(model.layout), "stories": list(model.stories)}
    write_model(folder, {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in tensors.items()}, about)


def load_encoding_model(folder: Path) -> FittedEncodingModel:
    """Read it back; raises `MissingData` or `BrokenData` naming the folder."""
    with understood(folder):
        tensors, about = read_model(folder, FORM)
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        bands = [
            Band(_source(record["source"], arrays, f"band{number}."), record["weight"], record["whole"])
            for number, record in enumerate(about["bands"])
        ]
        layout = Layout(**{**about["layout"], "delays": tuple(about["layout"]["delays"])})
        model = FittedEncodingModel(
            features=EncodingFeatures(bands, arrays["mean"], arrays["scale"]),
            layout=layout,
            weights=arrays["weights"],
            channels=arrays["channels"],
            noise=NoiseCovariance(arrays["basis"], arrays["rows"]),
            explained=arrays["explained"],
            stories=tuple(about["stories"]),
        )
        _check_shapes(model, tensors, folder)
        return model


def _described(source: WordSource) -> tuple[Record, dict[str, np.ndarray]]:
    kind = type(source)
    if kind not in WRITERS:
        raise WrongArgument(f"a band of {kind.__name__}", "encoding model", "Write one of the package's own bands.")
    record, arrays = WRITERS[kind](source)
    return {"kind": kind.__name__, **record}, arrays


def _source(record: Mapping[str, Any], arrays: Mapping[str, np.ndarray], prefix: str) -> WordSource:
    return READERS[record["kind"]](
        record, {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
    )


def _check_shapes(model: FittedEncodingModel, tensors: Mapping[str, Tensor], folder: Path) -> None:
    delayed, n = model.features.n_features * len(model.layout.delays), len(model.channels)
    wanted = {
        "weights": (delayed, n),
        "basis": (n, n),
        "rows": (n, model.layout.span, model.layout.span),
        "mean": (model.features.n_features,),
        "scale": (model.features.n_features,),
    }
    wrong = [name for name, shape in wanted.items() if tuple(tensors[name].shape) != shape]
    if wrong:
        raise BrokenData(f"{', '.join(wrong)} do not fit the rest of the model", folder, "Fit and save it again.")


WRITERS: dict[type, Callable[[Any], tuple[Record, dict[str, np.ndarray]]]] = {
    WordCount: lambda source: ({}, {}),
    RateSource: lambda source: ({"vocabulary": list(source.vocabulary)}, {}),
    VectorSource: lambda source: ({"vocabulary": source.vectors.vocabulary}, {"table": source.vectors.table}),
    StateSource: lambda source: ({"model": source.model, "words": source.words, "layer": source.layer}, {}),
}
READERS: dict[str, Callable[[Mapping[str, Any], Mapping[str, np.ndarray]], WordSource]] = {
    "WordCount": lambda record, arrays: WordCount(),
    "RateSource": lambda record, arrays: RateSource(tuple(record["vocabulary"])),
    "VectorSource": lambda record, arrays: VectorSource(WordVectors(record["vocabulary"], arrays["table"])),
    "StateSource": lambda record, arrays: StateSource(record["model"], record["words"], record["layer"]),
}
