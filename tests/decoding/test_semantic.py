"""Oracles: known geometry of sentences, the model itself one text at a time, tampered copies."""

import json
import os
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
from plasticode.datasets.errors import BrokenData, MissingData
from plasticode.decoding import semantic
from plasticode.decoding.semantic import MINILM_SHA256, check_hashes, checked_folder, embed, semantic_pairs, unavailable

TEXTS = ["the dog ran after the ball", "a puppy chased a toy", "interest rates rose again", ""]


@pytest.fixture
def packaged() -> Path:
    reason = unavailable()
    if reason is not None:
        pytest.skip(reason)
    return checked_folder("minilm")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The skeleton of a sentence-transformers folder."""
    (tmp_path / "modules.json").write_text(
        json.dumps([{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}])
    )
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    return tmp_path


def test_meaning_ranks_above_unrelated_text_without_a_network(packaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*args: object) -> None:
        raise AssertionError(f"network: {args}")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    similarity = semantic_pairs(TEXTS, TEXTS)
    assert "HF_HUB_OFFLINE" not in os.environ
    np.testing.assert_allclose(np.diag(similarity), [1, 1, 1, 0], atol=1e-6)
    assert similarity[0, 1] > 0.4 > 0.2 > similarity[0, 2]
    np.testing.assert_array_equal(similarity[3], 0)


def test_a_batch_embeds_as_its_texts_alone(packaged: Path) -> None:
    np.testing.assert_allclose(embed(TEXTS), np.concatenate([embed([text]) for text in TEXTS]), atol=1e-5)


def test_case_and_punctuation_do_not_matter(packaged: Path) -> None:
    np.testing.assert_allclose(embed(["It's late!"]), embed(["it's late"]), atol=1e-6)


def test_other_weights_than_the_known_ones_are_refused(packaged: Path, tmp_path: Path) -> None:
    check_hashes(packaged, MINILM_SHA256)
    shutil.copy(packaged / "config.json", tmp_path / "config.json")
    with (tmp_path / "config.json").open("a") as file:
        file.write(" ")
    with pytest.raises(BrokenData, match=r"sha256 is \w+…, not the known 953f9c0d463d?.*config\.json.*Reinstall"):
        check_hashes(tmp_path, {"config.json": MINILM_SHA256["config.json"]})


def test_a_folder_of_safetensors_is_accepted(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"a pickle beside its safetensors is not read")
    (folder / "model.safetensors").touch()
    assert checked_folder(str(folder)) == folder


@pytest.mark.parametrize("name", ["pytorch_model.bin", "adapter_model.bin", "weights.pt"])
def test_weights_in_a_pickle_are_refused(folder: Path, name: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(b"pickle")
    with pytest.raises(BrokenData, match=rf"weights are a pickle.*{name}.*Convert them to safetensors"):
        checked_folder(str(folder))


def test_a_model_with_code_of_its_own_is_refused(folder: Path) -> None:
    (folder / "modules.json").write_text(json.dumps([{"path": "", "type": "custom.Transformer"}]))
    with pytest.raises(BrokenData, match=r"code of its own, custom\.Transformer"):
        checked_folder(str(folder))


def test_what_is_missing_is_a_reason_and_no_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no sentence-embedding model" in (unavailable(str(tmp_path)) or "")
    (tmp_path / "modules.json").write_text("[1")
    assert "cannot be read" in (unavailable(str(tmp_path)) or "")
    monkeypatch.setattr(semantic, "find_spec", lambda name: None)
    assert "sentence-transformers is not installed" in (unavailable() or "")


def test_a_name_outside_the_cache_is_missing_data() -> None:
    pytest.importorskip("huggingface_hub")
    with pytest.raises(MissingData, match="no such sentence-embedding model on this machine"):
        checked_folder("nobody/no-such-model")
