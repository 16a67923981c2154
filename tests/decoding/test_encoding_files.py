"""Oracles: the model before it was saved; a promise about what a broken folder says."""

import json

import numpy as np
import pytest
from plasticode.datasets.errors import BrokenData, MissingData, WrongArgument
from plasticode.decoding.encoding_features import Band, EncodingFeatures, RateSource, VectorSource, WordCount
from plasticode.decoding.encoding_files import load_encoding_model, save_encoding_model
from plasticode.decoding.encoding_model import EncodingModel
from plasticode.decoding.encoding_states import StateSource
from plasticode.decoding.encoding_windows import Layout
from safetensors.numpy import load_file, save_file

STARTS = (0, 5, 10)


def fit(tiny, bands):
    model = EncodingModel(EncodingFeatures(bands), Layout((1, 3), rows=5, reach=1), penalties=(1.0,), max_channels=4)
    return model.fit([tiny.run(story=story, seed=i) for i, story in enumerate("abc")])


@pytest.fixture
def fitted(tiny):
    vectors = tiny.vectors()
    bands = [Band(VectorSource(vectors)), Band(RateSource(vectors.vocabulary), 3.0, whole=False), Band(WordCount())]
    return fit(tiny, bands)


def test_a_saved_model_reads_as_it_did(tiny, fitted, tmp_path):
    save_encoding_model(fitted, tmp_path)
    again, run = load_encoding_model(tmp_path), tiny.run(story="z", seed=9)
    np.testing.assert_array_equal(again.log_likelihood(run, STARTS), fitted.log_likelihood(run, STARTS))
    assert (again.stories, again.layout) == (fitted.stories, fitted.layout)
    np.testing.assert_array_equal(again.explained, fitted.explained)


def test_states_are_named_and_not_copied(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(StateSource, "n_features", 3)
    monkeypatch.setattr(StateSource, "__call__", lambda _, rows: np.ones((sum(map(len, rows)), 3), np.float32))
    states = fit(tiny, [Band(StateSource("some/model", 7, 4)), Band(WordCount())])
    save_encoding_model(states, tmp_path)
    source = load_encoding_model(tmp_path).features.bands[0].source
    assert (source.model, source.words, source.layer) == ("some/model", 7, 4)


def test_a_band_of_ones_own_is_not_written(tiny, tmp_path):
    class Own(WordCount):
        pass

    with pytest.raises(WrongArgument, match=r"a band of Own .*the package's own bands"):
        save_encoding_model(fit(tiny, [Band(Own())]), tmp_path)


def test_broken_folders_are_named(fitted, tmp_path):
    with pytest.raises(MissingData, match=r"no finished model"):
        load_encoding_model(tmp_path)
    save_encoding_model(fitted, tmp_path)
    arrays = load_file(tmp_path / "model.safetensors")
    save_file({**arrays, "weights": arrays["weights"][:-1].copy()}, tmp_path / "model.safetensors")
    with pytest.raises(BrokenData, match=r"weights do not fit the rest of the model"):
        load_encoding_model(tmp_path)
    about = json.loads((tmp_path / "model.json").read_text())
    about["bands"][0]["source"]["kind"] = "os.system"
    (tmp_path / "model.json").write_text(json.dumps(about))
    with pytest.raises(BrokenData, match=r"do not describe a model"):
        load_encoding_model(tmp_path)
