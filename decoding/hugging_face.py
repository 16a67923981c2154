"""Language models of Hugging Face by local folder, or by a name that is in the cache: found, checked, loaded.

Nothing is downloaded, no code of a model is run, weights are read from safetensors only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..datasets.errors import MissingData, WrongArgument
from .semantic import MINILM, checked_folder


@lru_cache(maxsize=4)
def fingerprint(model: str) -> str:
    """SHA-256 of the weights: another model under the same path never answers for this one."""
    digest = hashlib.sha256()
    for file in sorted(folder_of(model).glob("*.safetensors")):
        with file.open("rb") as weights:
            digest.update(hashlib.file_digest(weights, "sha256").digest())
    return digest.hexdigest()


@lru_cache(maxsize=4)
def folder_of(model: str) -> Path:
    """Raises `MissingData` where the model or its safetensors are not there."""
    if model == MINILM or (Path(model) / "modules.json").is_file():
        return checked_folder(model)
    folder = Path(model) if Path(model).is_dir() else _in_cache(model)
    if not any(folder.glob("*.safetensors")):
        raise MissingData("no weights as safetensors", folder, "Convert the model: pickles are not read.")
    return folder


@lru_cache(maxsize=2)
def load_states(model: str, layer: int) -> Any:
    """Tokenizer, and network up to a layer, in evaluation mode. Raises `WrongArgument` for a layer it does not have."""
    require_transformers()
    folder = folder_of(model)
    from transformers import AutoConfig, AutoModel

    with quiet():
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        if layer > config.num_hidden_layers:
            raise WrongArgument(f"layer {layer}", model, f"It has layers 1 to {config.num_hidden_layers}.")
        config.num_hidden_layers = layer
        network = AutoModel.from_pretrained(folder, config=config, **_safely())
        return _tokenizer(folder), network.eval()


@lru_cache(maxsize=2)
def load_causal(model: str) -> Any:
    """Tokenizer and network that gives the odds of the next piece, in evaluation mode.

    Raises `WrongArgument` for a model that is not made for that.
    """
    require_transformers()
    folder = folder_of(model)
    from transformers import AutoModelForCausalLM

    with quiet():
        try:
            network = AutoModelForCausalLM.from_pretrained(folder, **_safely())
        except ValueError as error:
            raise WrongArgument("no causal language model", model, "Give one that writes on, such as GPT-2.") from error
        return _tokenizer(folder), network.eval()


def require_transformers() -> None:
    """Raise `MissingData` where the package is not installed."""
    if find_spec("transformers") is None:
        raise MissingData("transformers is not installed", "language model", "Run: pip install 'plasticode[semantic]'.")


@contextmanager
def quiet() -> Iterator[None]:
    """Without the report on the layers that are left out on purpose."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _safely() -> dict[str, Any]:
    return {"local_files_only": True, "trust_remote_code": False, "use_safetensors": True}


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _in_cache(model: str) -> Path:
    require_transformers()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError):
        raise MissingData(
            "no such language model on this machine", model, "Give a local folder, or a name that is in the cache."
        ) from None
