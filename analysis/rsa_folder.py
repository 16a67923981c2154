"""The folder that an RSA leaves: config, versions, tables, figures, report; each file whole, the report last.

| file | holds |
|---|---|
| config.yaml, versions.json | all settings; packages, machine, command |
| table.tsv | every model RDM, region, measure and subject |
| rules.tsv, comparisons.tsv | rules (seeds averaged) and their paired differences |
| map.tsv | coordinates of layers and regions |
| rdms.npz | ranked RDMs of the heat maps, by title |
| results.json | what the verdict rests on: facts, verdict, rules in their chosen layers |
| figures/ | every figure as .png and .pdf |
| report.html | all of it on one page |
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets.errors import WrongArgument
from ..page_figure import saved
from ..provenance import provenance
from .rsa import Rsa
from .rsa_pictures import pictures
from .rsa_report import page
from .rsa_table import ALL
from .rsa_verdict import lead, verdict

PACKAGES = ("plasticode", "torch", "rsatoolbox", "numpy", "scipy", "pandas", "scikit-learn", "matplotlib")
REPORT = "report.html"


def require_folder(folder: Path) -> None:
    """Raise `WrongArgument` for a folder that holds something else than an RSA."""
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir()) and not (folder / "table.tsv").is_file()):
        raise WrongArgument("this is no folder of an RSA", folder, "Name a new or empty folder with --out.")


def write(found: Rsa, folder: Path) -> Path:
    """Write all files; those of an earlier RSA in the folder are replaced. Returns the report's path."""
    draft = folder / f".draft-{uuid.uuid4().hex[:8]}"
    draft.mkdir(parents=True)
    try:
        names = _write(found, draft)
        (folder / "figures").mkdir(exist_ok=True)
        for name in names:
            os.replace(draft / name, folder / name)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder / REPORT


def _write(found: Rsa, draft: Path) -> list[str]:
    """All files into the draft; their names in the order in which they are to appear."""
    about = provenance(PACKAGES)
    texts = {"config.yaml": found.config.text(), "versions.json": _json(about), "results.json": _json(_results(found))}
    tables = {"table": found.models, "rules": found.rules, "comparisons": found.comparisons, "map": found.map}
    texts |= {f"{name}.tsv": table.to_csv(sep="\t", index=False) for name, table in tables.items()}
    drawn = pictures(found)
    files = {name: text.encode() for name, text in texts.items()} | {"rdms.npz": _arrays(found)}
    (draft / "figures").mkdir()
    for one in drawn:
        files |= {f"figures/{one.name}.png": one.png, f"figures/{one.name}.pdf": saved(one.figure, "pdf")}
    files[REPORT] = page(found, drawn, about).encode()
    for name, content in files.items():
        (draft / name).write_bytes(content)
    return list(files)


def _results(found: Rsa) -> dict[str, Any]:
    rules = found.rules[found.rules["is_choice"] & (found.rules["subject"] == ALL)]
    said = dict(verdict(found))
    rows = json.loads(rules.to_json(orient="records"))  # NaN as null
    return {"lead": lead(found), "verdict": said, "facts": found.facts, "rules": rows}


def _arrays(found: Rsa) -> bytes:
    buffer = BytesIO()
    matrices = np.stack(list(found.matrices.values())).astype(np.float32)
    np.savez_compressed(buffer, titles=np.array(list(found.matrices)), matrices=matrices)
    return buffer.getvalue()


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)
