"""split_audit.json: what was checked, over what, with which result, and by which data; signed off by its own sha256."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from ..datasets.study import Run
from ..provenance import versions
from .run_folder import REPORTED
from .split_audit_evidence import Evidence
from .split_audit_findings import Audit
from .trained import Split

FORM = "plasticode split audit 1"
FILE = "split_audit.json"


def manifest_of(audit: Audit, evidence: Evidence, stage: str) -> dict[str, Any]:
    """The manifest; `stage` is "fit", "evaluate" or "audit".

    `split_sha256` is of the split as recorded, `data_sha256` of the words of all recordings and, where they may be
    read, of their responses; `sha256` is of everything else in the manifest (see `signature`).
    """
    manifest = {
        "format": FORM,
        "stage": stage,
        "clean": audit.clean,
        "date": f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S%z}",
        "versions": versions(REPORTED),
        "split_sha256": split_digest(evidence.split),
        "data_sha256": data_digest(evidence),
        "recordings": {
            "training": len(evidence.training),
            "validation": len(evidence.watched),
            "scored": [list(pair) for pair in evidence.pairs],
        },
        "checks": [asdict(check) for check in audit.checks],
    }
    plain: dict[str, Any] = json.loads(json.dumps(manifest))
    return plain | {"sha256": signature(plain)}


def signature(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of all but the signature itself: a manifest that was changed by hand no longer agrees with its own."""
    return _digest({name: value for name, value in manifest.items() if name != "sha256"})


def split_digest(split: Split) -> str:
    """SHA-256 of a split, in whatever order its file was written."""
    return _digest(asdict(split))


def data_digest(evidence: Evidence) -> str:
    """SHA-256 of what the recordings hold."""
    groups = {"training": evidence.training, "validation": evidence.watched, "scored": evidence.scored}
    held = {part: sorted(_recording(run, evidence) for run in runs) for part, runs in groups.items()}
    return _digest(held)


def _recording(run: Run, evidence: Evidence) -> list[str]:
    words = _digest([[word.text, word.onset, word.offset] for word in run.words])
    numbers = None if evidence.numbers is None else evidence.numbers.get(run.key)
    rows = "" if numbers is None else hashlib.sha256(numbers.tobytes()).hexdigest()
    return [run.key, words, rows]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
