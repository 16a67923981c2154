"""Oracles: one row at a time through the whole network; a tiny model made here; states kept on disk."""

from pathlib import Path

import numpy as np
import pytest
import torch
from plasticode.datasets.errors import MissingData, WrongArgument
from plasticode.decoding.encoding_features import Band, EncodingFeatures, WordSource
from plasticode.decoding.encoding_states import StateSource

transformers = pytest.importorskip("transformers")

ROWS = [["the", "cat"], [], ["sat"], ["on", "the", "mat"], [], ["cat"]]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "c", "##at", "sat", "on", "mat"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A BERT of three layers and eight features with random weights."""
    path = tmp_path_factory.mktemp("tiny_bert")
    (path / "vocab.txt").write_text("\n".join(PIECES))
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(PIECES),
        hidden_size=8,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=16,
        initializer_range=0.5,
    )
    transformers.BertModel(config).save_pretrained(path)
    transformers.BertTokenizerFast({piece: i for i, piece in enumerate(PIECES)}).save_pretrained(path)
    return path


@pytest.fixture
def source(folder, tmp_path):
    return StateSource(str(folder), words=2, layer=2, folder=tmp_path)


def by_hand(folder, words, own, layer):
    """Mean state of the pieces of the last `own` words."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModel.from_pretrained(folder).eval()
    pieces = tokenizer([words], is_split_into_words=True, return_tensors="pt")
    with torch.no_grad():
        states = network(**pieces, output_hidden_states=True).hidden_states[layer][0].numpy()
    kept = [i for i, word in enumerate(pieces.word_ids(0)) if word is not None and word >= len(words) - own]
    return states[kept].mean(axis=0)


def test_a_row_has_the_mean_state_of_its_own_pieces_after_the_words_before(folder, source):
    found = source.compute(ROWS)
    assert found.shape == (7, 8)
    np.testing.assert_allclose(found[0], by_hand(folder, ["the", "cat"], 2, 2), atol=1e-5)
    np.testing.assert_allclose(found[2], by_hand(folder, ["the", "cat", "sat"], 1, 2), atol=1e-5)
    np.testing.assert_allclose(found[3], by_hand(folder, ["cat", "sat", "on", "the", "mat"], 3, 2), atol=1e-5)
    np.testing.assert_array_equal(found[3], found[5])
    np.testing.assert_allclose(found[6], by_hand(folder, ["the", "mat", "cat"], 1, 2), atol=1e-5)


def test_later_words_change_nothing(source):
    np.testing.assert_allclose(source.compute(ROWS[:4]), source.compute(ROWS)[:6], atol=1e-6)


def test_the_size_of_a_batch_changes_nothing(source, monkeypatch):
    whole = source.compute(ROWS)
    monkeypatch.setattr("plasticode.decoding.encoding_states.BATCH", 1)
    np.testing.assert_allclose(source.compute(ROWS), whole, atol=1e-5)


def test_states_are_kept_and_a_broken_file_is_made_again(source, tmp_path, monkeypatch):
    first = source(ROWS)
    np.testing.assert_allclose(first, source.compute(ROWS), atol=2e-3)
    (kept,) = tmp_path.glob("*.safetensors")
    monkeypatch.setattr(StateSource, "compute", lambda *_: pytest.fail("computed again"))
    np.testing.assert_array_equal(source(ROWS), first)
    monkeypatch.undo()
    kept.write_bytes(b"half a file")
    np.testing.assert_array_equal(source(ROWS), first)
    other = StateSource(source.model, words=1, layer=2, folder=tmp_path)
    assert np.abs(other(ROWS) - first).max() > 1e-3


def test_states_are_a_band(source):
    assert isinstance(source, WordSource)
    rows = EncodingFeatures([Band(source)])(ROWS)
    np.testing.assert_allclose(rows[0], 2 * source(ROWS)[0], rtol=1e-5)
    assert not rows[1].any()


def test_a_model_that_is_not_there_or_has_fewer_layers_is_named(folder, tmp_path):
    with pytest.raises(MissingData, match=r"no such language model on this machine .*name that is in the cache"):
        StateSource("nobody/has-this-model", folder=tmp_path)(ROWS)
    with pytest.raises(WrongArgument, match=r"layer 4 .*It has layers 1 to 3"):
        StateSource(str(folder), layer=4, folder=tmp_path)(ROWS)
    with pytest.raises(WrongArgument, match=r"layer 0 .*a layer from 1 on"):
        StateSource(str(folder), layer=0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingData, match=r"no weights as safetensors .*pickles are not read"):
        StateSource(str(tmp_path / "empty"))(ROWS)


def test_without_transformers_there_is_one_clear_error(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("plasticode.decoding.hugging_face.find_spec", lambda _: None)
    with pytest.raises(MissingData, match=r"transformers is not installed .*pip install"):
        StateSource(str(folder), layer=1, folder=tmp_path)(ROWS)
