"""Oracles: the model before it was written, and files that were broken by hand."""

import json
import os
import re

import numpy as np
import pytest
import torch
from plasticode.datasets.errors import BrokenData, MissingData
from plasticode.decoding.language_model import LanguageModel
from plasticode.decoding.trained import Split, TrainedModel
from safetensors.torch import load_file, save_file


@pytest.fixture(params=["language model", "brain model", "brain model of volumes"])
def saved(request, tiny, tmp_path):
    """(class, model, folder)"""
    if request.param == "language model":
        model = tiny.language_model(("arrays/read",))
    else:
        model = tiny.model((4, 4, 4) if "volumes" in request.param else None, ("S1", "S2"))
    model.save(tmp_path / "run")
    return type(model), model, tmp_path / "run"


def weights(model):
    return (model.decoder if isinstance(model, LanguageModel) else model.network).state_dict()


def test_what_is_loaded_equals_what_was_saved(saved):
    kind, model, folder = saved
    loaded = kind.load(folder)
    assert weights(loaded).keys() == weights(model).keys()
    assert all(torch.equal(value, weights(model)[name]) for name, value in weights(loaded).items())
    assert loaded.characters.symbols == model.characters.symbols


def test_a_loaded_language_model_gives_the_same_logits_and_vectors(tiny, tmp_path):
    model = tiny.language_model(("arrays/read",))
    model.save(tmp_path)
    loaded, ids = LanguageModel.load(tmp_path), torch.arange(1, 9)[None]
    assert torch.equal(loaded.decoder.eval()(ids), model.decoder(ids))
    np.testing.assert_array_equal(loaded.vectors.table, model.vectors.table)
    assert loaded.vectors.vocabulary == model.vectors.vocabulary
    assert (loaded.size, loaded.sources, loaded.stories) == (model.size, ("book.txt",), ("arrays/read",))


def test_a_loaded_brain_model_reads_and_remembers_the_same(tiny, tmp_path):
    model = tiny.planted()
    model.save(tmp_path)
    loaded, run = TrainedModel.load(tmp_path), tiny.run()
    responses = torch.from_numpy(run.responses[:])[None]
    person = torch.zeros(1, dtype=torch.long)
    assert torch.equal(
        loaded.network.posterior(responses, person).mean, model.network.posterior(responses, person).mean
    )
    np.testing.assert_array_equal(loaded.features.of(run).features, model.features.of(run).features)
    assert (loaded.split, loaded.window, loaded.network.facts) == (model.split, model.window, model.network.facts)
    assert loaded.language_stories == ("arrays/read",)
    assert not loaded.network.training


def test_saving_leaves_two_files_and_nothing_else(saved):
    assert sorted(os.listdir(saved[2])) == ["model.json", "model.safetensors"]


def test_a_folder_without_a_model_is_named(saved, tmp_path):
    with pytest.raises(MissingData, match=rf"no finished model.*{re.escape(str(tmp_path))}"):
        saved[0].load(tmp_path)


def truncate(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def cut_json(folder):
    path = folder / "model.json"
    path.write_text(path.read_text()[:-20])


def edit(**changes):
    def damage(folder):
        path = folder / "model.json"
        about = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({name: value for name, value in about.items() if value != "removed"}))

    return damage


def without_tensor(name):
    def damage(folder):
        tensors = load_file(folder / "model.safetensors")
        del tensors[next(key for key in tensors if key.endswith(name))]
        save_file(tensors, folder / "model.safetensors")

    return damage


BROKEN = {
    "truncated weights": (truncate, "cannot be read"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "cannot be read"),
    "truncated json": (cut_json, "cannot be read"),
    "not utf-8": (lambda folder: (folder / "model.json").write_bytes(b"\xff\xfe{}"), "cannot be read"),
    "a list": (lambda folder: (folder / "model.json").write_text("[1]"), "model"),
    "another form": (edit(format="recipe 7"), "holds a 'recipe 7'"),
    "other alphabet": (edit(symbols=" ab"), "weights are of another model"),
    "no alphabet": (edit(symbols="removed"), "symbols"),
    "repeated alphabet": (edit(symbols="aa"), "repeat"),
    "no size": (edit(size="removed"), "size"),
    "strange size": (edit(size={"colour": 3}), "colour"),
    "no vocabulary": (edit(vocabulary="removed"), "vocabulary"),
    "short vocabulary": (edit(vocabulary=["a"]), "1 words but 12 vectors"),
    "no vectors": (without_tensor("word_vectors"), "word_vectors"),
    "a weight is absent": (without_tensor("embed.weight"), "weights are of another model"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_give_one_clear_error(saved, case):
    kind, _, folder = saved
    damage, said = BROKEN[case]
    damage(folder)
    with pytest.raises(BrokenData, match=said) as caught:
        kind.load(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_each_kind_of_model_refuses_the_other(tiny, tmp_path):
    tiny.model().save(tmp_path / "brain")
    tiny.language_model().save(tmp_path / "language")
    with pytest.raises(BrokenData, match="holds a 'plasticode brain model 1'"):
        LanguageModel.load(tmp_path / "brain")
    with pytest.raises(BrokenData, match="holds a 'plasticode language model 1'"):
        TrainedModel.load(tmp_path / "language")


@pytest.mark.parametrize("nth", [1, 2])
def test_an_interrupted_save_leaves_no_finished_model(tiny, tmp_path, monkeypatch, nth):
    interrupt(monkeypatch, nth)
    with pytest.raises(KeyboardInterrupt):
        tiny.model().save(tmp_path)
    with pytest.raises(MissingData, match="no finished model"):
        TrainedModel.load(tmp_path)


@pytest.mark.parametrize("nth", [1, 2])
def test_an_interrupted_overwrite_never_mixes_two_models(tiny, tmp_path, monkeypatch, nth):
    old, new = tiny.model(), tiny.planted()
    old.save(tmp_path)
    interrupt(monkeypatch, nth)
    with pytest.raises(KeyboardInterrupt):
        new.save(tmp_path)
    about = tmp_path / "model.json"
    left = load_file(tmp_path / "model.safetensors")["network.counts.weight"]
    assert not about.is_file() or torch.equal(left, old.network.counts.weight)


def interrupt(monkeypatch, nth):
    """The nth renaming from now on never happens."""
    replace, calls = os.replace, []

    def until_then(source, target):
        calls.append(target)
        if len(calls) == nth:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", until_then)


def test_a_split_survives_json_and_knows_its_stories():
    split = Split("arrays", (("S1", "a"), ("S2", "b")), (("S1", "c"),), (("S1", "d"),))
    assert Split.of(json.loads(json.dumps(vars(split)))) == split
    assert split.trained_stories() == {"a", "b"}
    assert split.trained_stories("S2") == {"b"}
