"""Writes a synthetic study as a BIDS tree, with the planted truth beside it under `derivatives/truth`.

The tree grows in a hidden folder next to the target and takes its name when it is complete. An interrupted writer
goes on where it stopped: each run has random numbers of its own, so the bytes do not depend on the order.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from filelock import FileLock
from rich.progress import track

from .errors import WrongArgument
from .haemodynamics import feature_names
from .plan import Plan
from .planting import brain_mask

TRUTH = Path("derivatives", "truth")
MASK = Path("derivatives", "masks", "brain_mask.nii.gz")
SNR_DEFINITION = (
    "standard deviation of the planted signal over that of the stationary noise (AR(1), without drift and spikes), "
    "unfiltered, root mean square over the subject's responsive voxels and over all stories; snr = design.snr * gain"
)
README = (
    "Synthetic fMRI of people who hear stories, written by plasticode. The planted truth is in derivatives/truth.\n"
)


def write_tree(root: Path, plan: Plan, progress: bool) -> None:
    """Write the tree, or leave the one that is there if it is of the same plan.

    Raises `WrongArgument` when the folder holds anything else.
    """
    root.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(root.with_name(f".{root.name}.lock")):
        if root.exists() and not (root.is_dir() and not any(root.iterdir())):
            _require_same(root, plan)
            return
        partial = root.with_name(f".{root.name}.partial")
        if partial.exists() and _identity_in(partial) != plan.identity:
            shutil.rmtree(partial)
        _write_all(partial, plan, progress)
        partial.replace(root)


def _require_same(root: Path, plan: Plan) -> None:
    if _identity_in(root) != plan.identity:
        raise WrongArgument(
            "the folder holds something else than a synthetic study of this design, seed and text",
            root,
            "Give another folder, or remove this one.",
        )


def _identity_in(root: Path) -> dict[str, Any] | None:
    path = root / TRUTH / "design.json"
    return json.loads(path.read_text(encoding="utf-8"))["identity"] if path.is_file() else None


def _write_all(root: Path, plan: Plan, progress: bool) -> None:
    _write_truth(root, plan)
    _write_top(root, plan)
    runs = [(index, name) for index in range(plan.design.n_subjects) for name in plan.text]
    for index, name in track(runs, "writing the synthetic study", disable=not progress, transient=True):
        _write_run(root, plan, index, name)


def _write_top(root: Path, plan: Plan) -> None:
    _write_json(
        root / "dataset_description.json",
        {"Name": "plasticode synthetic", "BIDSVersion": "1.9.0", "DatasetType": "raw"},
    )
    _write_text(root / "README", README)
    _write_table(root / "participants.tsv", pd.DataFrame({"participant_id": list(plan.design.subjects)}))
    mask = brain_mask(plan.design)
    _write_image(root / MASK, np.asarray(mask.volume, np.uint8), mask.affine)
    _describe_derivative((root / MASK).parent, "masks")


def _write_truth(root: Path, plan: Plan) -> None:
    affine, names = brain_mask(plan.design).affine, list(feature_names(plan.design.n_topics))
    people = {}
    for label, gain, weights, responsive in zip(
        plan.design.subjects, plan.gains, plan.weights, plan.responsive, strict=True
    ):
        folder = root / TRUTH / label
        _write_image(folder / f"{label}_desc-responsive_mask.nii.gz", responsive.astype(np.uint8), affine)
        _write_image(folder / f"{label}_desc-weights_map.nii.gz", weights.astype(np.float32), affine)
        people[label] = {"gain": gain, "snr": gain * plan.design.snr, "responsive_voxels": int(responsive.sum())}
    for name in plan.text:
        table = pd.DataFrame(plan.features(name), columns=names)
        table.insert(0, "time", np.arange(len(table)) * plan.design.repetition_time)
        _write_table(root / TRUTH / f"task-{name}_desc-features_timeseries.tsv", table)
    _describe_derivative(root / TRUTH, "truth")
    record = {
        "identity": plan.identity,
        "snr_definition": SNR_DEFINITION,
        "subjects": people,
        "stories": list(plan.text),
    }
    scale = dict(zip(names, plan.feature_scale.tolist(), strict=True))
    _write_json(root / TRUTH / "design.json", {**record, "feature_scale": scale})


def _describe_derivative(folder: Path, name: str) -> None:
    record = {
        "Name": name,
        "BIDSVersion": "1.9.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "plasticode"}],
    }
    _write_json(folder / "dataset_description.json", record)


def _write_run(root: Path, plan: Plan, subject: int, name: str) -> None:
    label, repetition_time = plan.design.subjects[subject], plan.design.repetition_time
    stem = root / label / "func" / f"{label}_task-{name}"
    image = stem.with_name(f"{stem.name}_bold.nii.gz")
    if image.is_file():  # the last file of a run: an earlier, interrupted writer finished it
        return
    words = [(word.onset, round(word.offset - word.onset, 3), word.text) for word in plan.text[name]]
    events = pd.DataFrame(words, columns=["onset", "duration", "word"])
    _write_table(stem.with_name(f"{stem.name}_events.tsv"), events)
    sidecar = {"RepetitionTime": repetition_time, "TaskName": name}
    _write_json(stem.with_name(f"{stem.name}_bold.json"), sidecar)
    volumes = np.moveaxis(plan.volumes(subject, name), 0, -1).round().clip(0, 32767).astype(np.int16)
    _write_image(image, volumes, brain_mask(plan.design).affine, repetition_time)


def _write_image(path: Path, data: np.ndarray, affine: np.ndarray, repetition_time: float | None = None) -> None:
    image: Any = nib.nifti1.Nifti1Image(data, affine)  # type: ignore[no-untyped-call] # nibabel's own
    image.header.set_xyzt_units("mm", "sec")
    image.set_sform(affine, code="mni")
    image.set_qform(affine, code="mni")
    if repetition_time is not None:
        image.header.set_zooms((*image.header.get_zooms()[:3], repetition_time))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    nib.save(image, temporary)  # nibabel compresses at level 1, without a time stamp
    os.replace(temporary, path)


def _write_table(path: Path, table: pd.DataFrame) -> None:
    _write_text(path, table.to_csv(sep="\t", index=False, float_format="%.10g"))


def _write_json(path: Path, record: Mapping[str, Any]) -> None:
    _write_text(path, json.dumps(record, indent=2) + "\n")


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
