"""What ships in configs/decoding: which studies have a demo, and how text is written by default."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from .run_folder import RunFolder
from .search import Search

CONFIGS = Path(__file__).parent.parent / "configs" / "decoding"
LANGUAGE_CONFIGS = {"lebel2023": "language_model.yaml"}  # the others are called STUDY_language_model.yaml


def language_config(study: str) -> str:
    """File name of the config that pre-trains the study's language model."""
    return LANGUAGE_CONFIGS.get(study, f"{study}_language_model.yaml")


def studies_with_demo() -> list[str]:
    """Names for --study."""
    return sorted(path.stem for path in CONFIGS.glob("*.yaml") if (CONFIGS / language_config(path.stem)).is_file())


def search_of(run: RunFolder, study: str | None = None) -> Search:
    """How a run writes: as it did before (search.json), or as configs/decoding/search.yaml says for its study."""
    recorded = run.path / "search.json"
    if recorded.is_file():
        return Search(**json.loads(recorded.read_text(encoding="utf-8")))
    chosen: dict[str, Any] = yaml.safe_load((CONFIGS / "search.yaml").read_text(encoding="utf-8"))
    return Search(**chosen.get(study or "default", chosen["default"]))
