"""Runs of `plasticode fit` on a small planted study: their configs, an interruption, and when two are the same."""

import json
import warnings

import pytest
import torch
from safetensors.torch import load_file

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Lightning warns about itself while it is imported
    from plasticode.decoding.fitting import run_lightning

EPOCHS = 4


def config(folder, model, data, epochs=EPOCHS, **trainer):
    """A config file (JSON is YAML) as `fit` takes it."""
    quiet = {"enable_model_summary": False, "enable_progress_bar": True, "accelerator": "cpu"}
    parts = {"trainer": {"max_epochs": epochs, "gradient_clip_val": 1.0, **quiet, **trainer}}
    parts |= {
        "model": dict(zip(("class_path", "init_args"), model, strict=True)),
        "data": dict(zip(("class_path", "init_args"), data, strict=True)),
    }
    path = folder / "given.yaml"
    path.write_text(json.dumps(parts))
    return ["--config", str(path)]


def language_config(folder, tree, **data):
    decoder = {"width": 16, "layers": 1, "heads": 2, "n_latent": 6, "dropout": 0.2}
    stories = {"study": "synthetic", "root": str(tree), "excluded_stories": ["lagoon"], "validation_stories": ["kelp"]}
    sizes = {"length": 32, "batch_size": 4, "steps_per_epoch": 3, "word_features": 6}
    return config(
        folder,
        ("plasticode.decoding.pretraining.CharLanguageModel", {"size": decoder, "learning_rate": 0.01}),
        ("plasticode.decoding.corpus_module.TextCorpus", {**stories, **sizes, **data}),
    )


def brain_config(folder, tree, language_model, data=None, **changes):
    size = {"n_features": 8, "hidden": 8, "width": 2, "places": 8, "dropout": 0.3}
    stories = {
        "study": "synthetic",
        "root": str(tree),
        "language_model": str(language_model),
        "validation_stories": ["kelp"],
        "test_stories": ["lagoon"],
        "test_subjects": ["sub-02"],
        "stories_per_batch": 2,
        "windows_per_story": 3,
        "steps_per_epoch": 3,
    }
    return config(
        folder,
        ("plasticode.decoding.training.BrainToText", {"size": size, "objective": {"decoded_windows": 2}}),
        ("plasticode.decoding.story_module.StoryWindows", stories | (data or {})),
        **changes,
    )


def fit_with_interruption(monkeypatch, kind, arguments, run, at):
    """Control-C in the middle of epoch `at`, then `--resume`."""
    step = kind.training_step

    def interrupted(self, batch, batch_idx):
        if (self.current_epoch, batch_idx) == (at, 1):
            raise KeyboardInterrupt
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(kind, "training_step", interrupted)
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            run_lightning("fit", arguments, run_dir=str(run))
    assert not (run / "model.json").exists()
    return run_lightning("fit", [], resume=str(run))


def assert_same_run(one, two):
    """The exported model, and every number that training would go on from, to the last bit."""
    tensors, others = (load_file(run / "model.safetensors") for run in (one, two))
    assert tensors.keys() == others.keys()
    assert all(torch.equal(tensors[name], others[name]) for name in tensors)
    last, other = (torch.load(run / "checkpoints" / "last.ckpt", weights_only=True) for run in (one, two))
    assert last["epoch"] == other["epoch"] == EPOCHS - 1
    for part in ("state_dict", "optimizer_states"):
        torch.testing.assert_close(last[part], other[part], rtol=0, atol=0)
    assert last["lr_schedulers"] == other["lr_schedulers"]
