"""Training through the front door: interrupted = uninterrupted, a planted signal is learned, and what `fit` refuses."""

import contextlib
import json
import math
import os
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from plasticode.cli import main
from plasticode.datasets.errors import BrokenData, Leak, MissingData, PlasticodeError, WrongArgument
from plasticode.datasets.prepare import prepare
from plasticode.datasets.study import Responses
from plasticode.decoding.identification import top_pairs
from plasticode.decoding.language_model import LanguageModel
from plasticode.decoding.reading import Reader
from plasticode.decoding.trained import TrainedModel
from safetensors.torch import load_file

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Lightning warns about itself while it is imported
    from plasticode.decoding import story_module
    from plasticode.decoding.fitting import run_lightning
    from plasticode.decoding.pretraining import CharLanguageModel, character_loss
    from plasticode.decoding.training import BrainToText, info_nce

from .planted_runs import EPOCHS, assert_same_run, brain_config, config, fit_with_interruption, language_config

STORIES = ("amber", "birch", "cedar", "dune", "ember", "fjord")


@pytest.mark.parametrize("at", [0, 2])
def test_an_interrupted_pre_training_ends_as_an_uninterrupted_one(
    planted_tree, language_model, tmp_path, monkeypatch, at
):
    arguments = language_config(tmp_path, planted_tree)
    resumed = fit_with_interruption(monkeypatch, CharLanguageModel, arguments, tmp_path / "run", at)
    assert_same_run(resumed, language_model)


def test_an_interrupted_training_ends_as_an_uninterrupted_one(
    planted_tree, language_model, brain_model, tmp_path, monkeypatch
):
    arguments = brain_config(tmp_path, planted_tree, language_model)
    resumed = fit_with_interruption(monkeypatch, BrainToText, arguments, tmp_path / "run", 2)
    assert_same_run(resumed, brain_model)


def test_training_moves_every_part_of_the_model(brain_model, language_model):
    trained, start = TrainedModel.load(brain_model), LanguageModel.load(language_model)
    before = start.decoder.state_dict()
    after = trained.network.decoder.state_dict()
    assert not torch.equal(after["embed.weight"], before["embed.weight"])
    assert after["blocks.0.brain.gate"] != 0
    assert not torch.equal(trained.network.voxels.group, torch.full_like(trained.network.voxels.group, 0.0))


def test_a_run_folder_holds_what_is_needed_to_judge_and_to_go_on(brain_model):
    held = {str(path.relative_to(brain_model)) for path in brain_model.rglob("*") if path.is_file()}
    whole = {"config.yaml", "versions.json", "split.json", "model.json", "model.safetensors"}
    assert held >= {*whole, "checkpoints/last.ckpt", "checkpoints/best.ckpt", "logs/csv/version_0/metrics.csv"}
    assert any("tfevents" in name for name in held)
    assert not [name for name in held if os.path.basename(name).startswith(".")]


def test_the_split_names_who_was_trained_on_and_the_test_was_left_alone(brain_model):
    split = TrainedModel.load(brain_model).split
    assert split.train == (("sub-01", "amber"), ("sub-01", "birch"))
    assert split.validation == (("sub-01", "kelp"),)
    assert {("sub-01", "lagoon"), ("sub-02", "lagoon")} <= set(split.test)
    assert not set(split.test) & {*split.train, *split.validation}
    recorded = json.loads((brain_model / "split.json").read_text())
    assert [tuple(pair) for pair in recorded["train"]] == list(split.train)


def test_the_split_is_written_before_the_first_step(planted_tree, language_model, brain_model, tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(BrainToText, "training_step", killed)
    arguments = brain_config(tmp_path, planted_tree, language_model)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        run_lightning("fit", arguments, run_dir=str(tmp_path / "run"))
    assert (tmp_path / "run" / "split.json").read_text() == (brain_model / "split.json").read_text()


def test_the_language_model_read_the_training_stories_only(language_model):
    assert LanguageModel.load(language_model).stories == ("synthetic/amber", "synthetic/birch")


def test_text_features_are_standardised_on_training_runs_only(brain_model, planted_tree):
    model = TrainedModel.load(brain_model)
    study = story_module.open_study("synthetic", planted_tree)
    rows = np.concatenate([model.features.of(study.run("sub-01", story)).features for story in ("amber", "birch")])
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(rows[:, -2:].std(axis=0), 1, atol=1e-4)


@pytest.mark.parametrize("verb", ["validate", "test", "predict"])
def test_the_other_verbs_take_a_run_as_it_is(brain_model, verb):
    assert run_lightning(verb, [], resume=str(brain_model)) == brain_model
    assert (brain_model / "predictions.safetensors").is_file() == (verb == "predict")


def test_fit_refuses_a_folder_that_holds_a_run(planted_tree, language_model, tmp_path):
    with pytest.raises(WrongArgument, match=r"there is a run in this folder already.*--resume"):
        run_lightning("fit", language_config(tmp_path, planted_tree), run_dir=str(language_model))


def test_resuming_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(MissingData, match="no run in this folder"):
        run_lightning("fit", [], resume=str(tmp_path))


@pytest.mark.parametrize("held", ["validation_stories", "test_stories"])
def test_a_language_model_that_has_read_a_held_out_story_is_a_leak(planted_tree, language_model, tmp_path, held):
    arguments = brain_config(tmp_path, planted_tree, language_model, {held: ["birch"]})
    with pytest.raises(Leak, match=r"has read held-out stories: birch .*Pre-train it with these in"):
        run_lightning("fit", arguments, run_dir=str(tmp_path / "run"))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"validation_stories": ["lagoon"]}, "lagoon for validation and for test"),
        ({"validation_stories": ["nowhere"], "test_stories": []}, "no held-out story is there: nowhere"),
        ({"validation_stories": ["amber", "birch", "kelp"]}, "every story is held out"),
        ({"subjects": ["sub-99"]}, "no person sub-99"),
        ({"subjects": ["sub-01"], "test_subjects": ["sub-01"]}, "no person is left to train on"),
    ],
)
def test_splits_that_cannot_be_meant_are_refused(planted_tree, language_model, tmp_path, data, said):
    arguments = brain_config(tmp_path, planted_tree, language_model, data)
    with pytest.raises(PlasticodeError, match=said):
        run_lightning("fit", arguments, run_dir=str(tmp_path / "run"))


@pytest.mark.parametrize("path", ["os.system", "subprocess.Popen", "antigravity.Model"])
def test_a_config_cannot_name_classes_outside_the_allowlist(tmp_path, path):
    with pytest.raises(WrongArgument, match="plasticode fit") as caught:
        run_lightning("fit", config(tmp_path, (path, {}), (path, {})), run_dir=str(tmp_path / "run"))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("trusted", [False, True])
def test_a_module_outside_the_allowlist_is_not_even_imported_unless_its_user_trusts_it(tmp_path, monkeypatch, trusted):
    (tmp_path / "stranger.py").write_text("from lightning import LightningModule as Model")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "stranger", raising=False)
    monkeypatch.setenv("PLASTICODE_ALLOW_IMPORTS", "stranger" if trusted else "")
    with pytest.raises(WrongArgument):
        run_lightning("fit", config(tmp_path, ("stranger.Model", {}), ("os.system", {})), run_dir=str(tmp_path / "run"))
    assert ("stranger" in sys.modules) == trusted


def test_a_config_with_an_unknown_setting_is_refused_by_name(planted_tree, tmp_path):
    arguments = language_config(tmp_path, planted_tree, colour="blue")
    with pytest.raises(WrongArgument, match="colour"):
        run_lightning("fit", arguments, run_dir=str(tmp_path / "run"))


def fit_in_memory(tiny, folder, monkeypatch, runs):
    """Train on runs that are already arrays; returns a reader."""
    study = tiny.study(folder, runs)
    monkeypatch.setattr(story_module, "open_study", lambda name, root, options: study)
    monkeypatch.setattr(story_module, "prepare", lambda study, subjects, stories: list(study.runs(subjects, stories)))
    tiny.language_model().save(folder / "language")
    window = {"duration": tiny.window.duration, "reach": tiny.window.reach}
    data = {"study": "arrays", "validation_stories": ["ember"], "test_stories": ["fjord"], "window": window}
    data |= {"stories_per_batch": 4, "windows_per_story": 8, "steps_per_epoch": 12, "test_subjects": []}
    arguments = [*brain_config(folder, folder, folder / "language", data), "--model.pace.encoder=0.01"]
    return Reader(TrainedModel.load(run_lightning("fit", arguments, run_dir=str(folder / "run"))))


@pytest.mark.parametrize("permuted", [False, True])
def test_a_planted_signal_is_learned_and_its_permutation_is_at_chance(tiny, tmp_path, monkeypatch, permuted):
    runs = [tiny.heard(tiny.run(story=story, n_rows=200, seed=i), noise=0.3) for i, story in enumerate(STORIES)]
    if permuted:
        shifted = [Responses(np.roll(run.responses[:], 100, axis=0)) for run in runs]
        runs = [replace(run, responses=responses) for run, responses in zip(runs, shifted, strict=True)]
    similarity = fit_in_memory(tiny, tmp_path, monkeypatch, runs).read(runs[-1]).similarity()
    top1 = np.diag(top_pairs(similarity, 1)).mean()
    assert top1 < 0.2 if permuted else top1 > 0.9  # chance is 1 in 40


@pytest.mark.parametrize("n", [2, 7])
def test_info_nce_of_equal_logits_is_the_logarithm_of_their_number(n):
    assert float(info_nce(torch.full((n, n), 3.0))) == pytest.approx(math.log(n), rel=1e-5)


def test_info_nce_is_symmetric_and_vanishes_for_perfect_logits():
    torch.manual_seed(0)
    logits = torch.randn(5, 5)
    torch.testing.assert_close(info_nce(logits), info_nce(logits.T))
    assert float(info_nce(100 * torch.eye(5))) == pytest.approx(0, abs=1e-5)
    assert float(info_nce(100 * torch.eye(5).roll(1, 0))) > 10


def test_the_character_loss_is_the_mean_over_true_characters_and_not_over_padding():
    torch.manual_seed(0)
    logits, ids = torch.randn(2, 4, 6), torch.tensor([[0, 3, 1, 5], [0, 2, 0, 0]])
    log = torch.log_softmax(logits, dim=-1)
    expected = -torch.stack([log[0, 0, 3], log[0, 1, 1], log[0, 2, 5], log[1, 0, 2]]).mean()
    torch.testing.assert_close(character_loss(logits, ids), expected)


def test_recordings_without_words_are_named_and_not_taught_as_silence(planted_tree, language_model, monkeypatch, capfd):
    def without_words_of_amber(*arguments, **options):
        runs = prepare(*arguments, **options)
        return [replace(run, words=() if run.story == "amber" else run.words) for run in runs]

    monkeypatch.setattr(story_module, "prepare", without_words_of_amber)
    data = story_module.StoryWindows("synthetic", str(planted_tree), str(language_model), test_stories=["lagoon"])
    data.setup()
    assert data.split.trained_stories() == {"birch", "kelp"}
    (said,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("left out")]
    assert said == "left out of training, without words: synthetic/sub-01/amber, synthetic/sub-02/amber"


@pytest.mark.parametrize(("seconds", "fine"), [(2.0004, True), (2.01, False)])
def test_repetition_times_may_differ_by_the_rounding_of_a_header(
    planted_tree, language_model, monkeypatch, seconds, fine
):
    def rounded(*arguments, **options):
        runs = prepare(*arguments, **options)
        return [replace(run, repetition_time=seconds if run.story == "amber" else 2.0) for run in runs]

    monkeypatch.setattr(story_module, "prepare", rounded)
    data = story_module.StoryWindows("synthetic", str(planted_tree), str(language_model), test_stories=["lagoon"])
    with contextlib.nullcontext() if fine else pytest.raises(BrokenData, match="repetition times differ"):
        data.setup()


@pytest.mark.parametrize("verb", ["validate", "test", "predict"])
def test_a_verb_that_writes_nothing_names_no_folder_and_leaves_none(
    planted_tree, language_model, tmp_path, monkeypatch, capfd, verb
):
    monkeypatch.chdir(tmp_path)
    assert main([verb, *brain_config(tmp_path, planted_tree, language_model)]) == 0
    written = list((tmp_path / "runs").glob("*"))
    assert [path.name[:7] for path in written] == (["predict"] if verb == "predict" else [])
    last = capfd.readouterr().out.splitlines()[-1:]
    assert last == [f"runs/{path.name}" for path in written] or (verb != "predict" and "runs/" not in last[0])


def test_a_training_that_cannot_begin_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WrongArgument):
        run_lightning("fit", config(tmp_path, ("os.system", {}), ("os.system", {})))
    assert list((tmp_path / "runs").glob("*")) == []


def test_the_last_epoch_is_kept_where_the_first_was_the_best(planted_tree, tmp_path, monkeypatch):
    def worse_and_worse(self, batch, batch_idx):
        self.log("validation/loss", float(self.current_epoch), batch_size=1)

    monkeypatch.setattr(CharLanguageModel, "validation_step", worse_and_worse)
    run = run_lightning("fit", language_config(tmp_path, planted_tree), run_dir=str(tmp_path / "run"))
    last, best = (torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True) for name in ("last", "best"))
    assert (last["epoch"], best["epoch"]) == (EPOCHS - 1, 0)
    (exported,) = (v for k, v in load_file(run / "model.safetensors").items() if k.endswith("embed.weight"))
    (chosen,) = (v for k, v in best["state_dict"].items() if k.endswith("embed.weight"))
    assert torch.equal(exported, chosen)
