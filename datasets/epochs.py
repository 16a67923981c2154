"""M/EEG epochs, as mne stores them (`-epo.fif`), as an rsatoolbox TemporalDataset: the name of an event is a condition.

Sensors of different kinds have different units (T, T/m, V): patterns over them mean something only after whitening with
the noise covariance before the stimulus (Guggenmos, Sterzer & Cichy 2018, NeuroImage 173:434), which mne estimates and
inverts, rank and projectors respected. Folds are stretches of the recording, so that neighbours in time share a fold.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mne
import numpy as np
from jaxtyping import Float64, Int
from rsatoolbox.data import Dataset, TemporalDataset

from .errors import BrokenData, MissingData, WrongArgument

RUN = "run"  # a column of the epochs' metadata that tells recordings apart
FEWEST_SAMPLES = 2  # before the stimulus


def read_epochs(
    path: str | Path,
    *,
    picks: str | Sequence[str] = "data",
    folds: int | None = None,
    whiten: bool = True,
    column: str | None = None,
    **descriptors: Any,
) -> TemporalDataset:
    """Epochs of a file as patterns over sensors at each time; see `temporal_dataset`.

    Parameters
    ----------
    whiten
        With the noise covariance of the time before 0 s (`noise_covariance`); signals are then in units of noise.

    Raises as `open_epochs`, `noise_covariance` and `temporal_dataset` do.
    """
    epochs = open_epochs(path)
    noise = noise_covariance(epochs, where=str(path)) if whiten else None
    told = {"name": Path(path).name.removesuffix(".fif").removesuffix("-epo")} | descriptors
    return temporal_dataset(epochs, picks=picks, folds=folds, noise=noise, column=column, where=str(path), **told)


def open_epochs(path: str | Path) -> mne.BaseEpochs:
    """mne's own object, read into memory. Raises `MissingData` without the file, `BrokenData` for what is no epochs."""
    if not Path(path).is_file():
        raise MissingData("no epochs", path, "Give the -epo.fif file that mne's Epochs.save wrote.")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The inplace keyword")  # mne's use of pandas
            return mne.read_epochs(path, preload=True, verbose="ERROR")
    except (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:  # mne parses unguarded
        raise BrokenData(
            f"mne cannot read it as epochs: {' '.join(str(error).split())}",
            path,
            "Give the -epo.fif file that mne's Epochs.save wrote.",
        ) from error


def noise_covariance(
    epochs: mne.BaseEpochs, until: float = 0.0, method: str = "ledoit_wolf", *, where: str = "epochs"
) -> mne.Covariance:
    """Covariance of the sensors until so many s after the stimulus, over all epochs (mne's `compute_covariance`).

    Epochs should be baseline-corrected. Any of mne's methods: "shrunk" and "auto" choose their shrinkage by
    cross-validation and take longer. Raises `BrokenData` for epochs without two samples before that time.
    """
    if (epochs.times <= until).sum() < FEWEST_SAMPLES:
        raise BrokenData(
            f"the epochs begin at {epochs.tmin:g} s, so there is no noise before {until:g} s",
            where,
            "Cut epochs that begin before the stimulus, or do without whitening.",
        )
    return mne.compute_covariance(epochs, tmax=until, method=method, verbose="ERROR")


def temporal_dataset(
    epochs: mne.BaseEpochs,
    *,
    picks: str | Sequence[str] = "data",
    folds: int | None = None,
    noise: mne.Covariance | None = None,
    column: str | None = None,
    where: str = "epochs",
    **descriptors: Any,
) -> TemporalDataset:
    """Epochs as measurements (observation, channel, time), in mne's units (T, T/m, V) unless whitened.

    Its obs_descriptors are `stimulus`, the event's name; `repetition`, which of its presentations, from 0; and where
    there is one `run`, the fold for cross-validation. Channels have `name` and `kind`; `time` is in s.

    Parameters
    ----------
    picks
        mne's: kinds or names of channels; bad channels are left out unless named.
    folds
        Parts every condition's presentations into so many folds of consecutive ones; None takes the column `run` of
        the metadata where there is one, and no folds otherwise.
    noise
        Whitens the sensors. Without it all must be of one kind.
    column
        The column of the metadata that holds the condition's id, in place of the event's name.

    Raises `MissingData` for an unknown column, `WrongArgument` for picks without a channel or sensors of several kinds
    that are not whitened, `BrokenData` for values that are not finite and presentations fewer than folds.
    """
    index = _picked(epochs, picks)
    kinds = [mne.channel_type(epochs.info, int(channel)) for channel in index]
    if noise is None and len(set(kinds)) > 1:
        raise WrongArgument(
            f"sensors of several kinds ({', '.join(sorted(set(kinds)))}) have different units",
            "picks",
            "Pick one kind, or whiten with the noise covariance.",
        )
    values = np.asarray(epochs.get_data(picks=index), np.float64)
    if broken := np.flatnonzero(~np.isfinite(values).all(axis=(1, 2))).tolist():
        raise BrokenData(f"{len(broken)} epochs are not finite, the first is {broken[0]}", where, "Drop these epochs.")
    if noise is not None:
        values = np.einsum("wc,oct->owt", _whitener(noise, epochs, index, where), values, optimize=True)
    stimulus = _stimuli(epochs, column, where)
    observed: dict[str, Any] = {"stimulus": stimulus, "repetition": _repetition(stimulus)}
    run = _runs(epochs, observed["repetition"], stimulus, folds, where)
    return TemporalDataset(
        values,
        dict(descriptors),
        observed if run is None else observed | {"run": run},
        {"name": [epochs.ch_names[channel] for channel in index], "kind": kinds},
        {"time": epochs.times.copy()},
    )


def at_times(data: TemporalDataset) -> list[Dataset]:
    """One Dataset per time point, in order; its descriptor `time` is in s."""
    return [
        Dataset(
            data.measurements[:, :, place],
            data.descriptors | {"time": float(time)},
            data.obs_descriptors,
            data.channel_descriptors,
        )
        for place, time in enumerate(data.time_descriptors["time"])
    ]


def _picked(epochs: mne.BaseEpochs, picks: str | Sequence[str]) -> Int[np.ndarray, " channel"]:
    names = [picks] if isinstance(picks, str) else list(picks)
    try:
        with mne.use_log_level("ERROR"):
            chosen = set(epochs.copy().pick(names, exclude="bads" if names == ["data"] else ()).ch_names)
    except ValueError as error:
        raise WrongArgument(
            f"no channel {', '.join(names)}",
            "picks",
            f"There are: {', '.join(sorted(set(epochs.get_channel_types())))}.",
        ) from error
    return np.array([place for place, name in enumerate(epochs.ch_names) if name in chosen])


def _whitener(
    noise: mne.Covariance, epochs: mne.BaseEpochs, index: Int[np.ndarray, " channel"], where: str
) -> Float64[np.ndarray, "channel channel"]:
    try:
        whitener, names = mne.cov.compute_whitener(noise, epochs.info, picks=index, verbose="ERROR")
    except (ValueError, RuntimeError) as error:
        raise BrokenData(
            f"mne cannot whiten: {' '.join(str(error).split())}", where, "Give the noise covariance of these sensors."
        ) from error
    if names != [epochs.ch_names[channel] for channel in index]:
        raise BrokenData("the noise covariance lacks sensors", where, "Give the noise covariance of these sensors.")
    matrix: Float64[np.ndarray, "channel channel"] = np.asarray(whitener, np.float64)
    return matrix


def _stimuli(epochs: mne.BaseEpochs, column: str | None, where: str) -> list[str]:
    if column is None:
        names = {code: name for name, code in epochs.event_id.items()}
        return [str(names[code]) for code in epochs.events[:, 2]]
    if epochs.metadata is None or column not in epochs.metadata:
        there = "none" if epochs.metadata is None else ", ".join(map(str, epochs.metadata))
        raise MissingData(f"the metadata have no column {column!r}", where, f"There are: {there}.")
    return [str(value) for value in epochs.metadata[column]]


def _repetition(stimulus: list[str]) -> Int[np.ndarray, " observation"]:
    """How often each was there before."""
    seen: dict[str, int] = {}
    return np.array([seen.update({name: seen.get(name, -1) + 1}) or seen[name] for name in stimulus])


def _runs(
    epochs: mne.BaseEpochs,
    repetition: Int[np.ndarray, " observation"],
    stimulus: list[str],
    folds: int | None,
    where: str,
) -> list[str] | None:
    if folds is None:
        told = epochs.metadata is not None and RUN in epochs.metadata
        return [str(value) for value in epochs.metadata[RUN]] if told else None
    if folds < 2:
        raise WrongArgument(f"{folds} fold", "folds", "Cross-validation needs two or more.")
    names, place, times = np.unique(stimulus, return_inverse=True, return_counts=True)
    if times.min() < folds:
        few = names[times.argmin()]
        raise BrokenData(
            f"{few!r} was shown {times.min()} times, fewer than {folds} folds", where, "Ask for fewer folds."
        )
    return [f"{fold:02d}" for fold in repetition * folds // times[place]]
