"""Oracles: the promised files and schemas; an uninterrupted run for an interrupted one.

The whole chain of `plasticode demo`, on two people and five short stories with networks of a few numbers.
"""

from __future__ import annotations

import json
import math
import re
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import yaml
from plasticode.cli import main
from plasticode.datasets.design import SyntheticDesign
from plasticode.datasets.errors import MissingData, WrongArgument
from plasticode.datasets.synthetic import write_synthetic
from plasticode.decoding import defaults, demo, semantic
from plasticode.decoding.story_module import StoryWindows
from plasticode.decoding.trained import TrainedModel
from plasticode.decoding.training import BrainToText
from rich.console import Console
from safetensors.numpy import load_file

FIELDS = ("study", "subject", "story", "quadrant", "metric", "value", "ci_low", "ci_high", "null_mean", "null_sd")
FIELDS += ("z", "p", "n_windows", "chance")
METRICS = {*(f"{kind}_{score}" for kind in ("latent", "text") for score in ("top1", "top5", "percentile"))}
METRICS |= {"cer", "wer", "bleu1", "word_rate_r"}
DESIGN = SyntheticDesign.small(train=("amber", "birch"), test=("lagoon", "north"), durations=(240.0, 240.0))
SMALL = {
    "synthetic.yaml": {
        "trainer": {"max_epochs": 2, "log_every_n_steps": 1},
        "model": {
            "size": {"n_features": 8, "hidden": 8, "width": 2, "places": 4},
            "objective": {"decoded_windows": 2},
        },
        "data": {
            "test_subjects": ["sub-02"],
            "test_stories": list(DESIGN.test),
            "stories_per_batch": 2,
            "windows_per_story": 2,
            "steps_per_epoch": 2,
        },
    },
    "synthetic_language_model.yaml": {
        "trainer": {"max_epochs": 1},
        "model": {"size": {"width": 16, "layers": 1, "heads": 2, "n_latent": 8}},
        "data": {"excluded_stories": list(DESIGN.test), "length": 40, "batch_size": 2, "steps_per_epoch": 2},
    },
}


def shrunk(name: str) -> str:
    """A shipped config with smaller numbers."""
    config: dict[str, Any] = yaml.safe_load((defaults.CONFIGS / name).read_text(encoding="utf-8"))
    config["trainer"] |= SMALL[name]["trainer"]
    for part in ("model", "data"):
        arguments = config[part]["init_args"]
        for key, value in SMALL[name][part].items():
            arguments[key] = {**arguments[key], **value} if isinstance(value, dict) else value
    return yaml.safe_dump(config)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which the demo is small and leaves out the sentence embeddings, which take seconds to load."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "configs").mkdir()
    for name in SMALL:
        (folder / "configs" / name).write_text(shrunk(name), encoding="utf-8")
    (folder / "configs" / "search.yaml").write_text("default: {hypotheses: 2, agreement: 1.0}\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLASTICODE_CACHE", str(folder / "cache"))
        patch.setattr(defaults, "CONFIGS", folder / "configs")
        patch.setattr(demo, "CONFIGS", folder / "configs")
        patch.setattr(demo, "CORPUS_CHARACTERS", 20_000)
        patch.setattr(demo, "write_synthetic", partial(write_synthetic, design=DESIGN, progress=False))
        patch.setattr(semantic, "unavailable", lambda name: "left out of this test")
        yield folder


@pytest.fixture(scope="module")
def run(place: Path) -> Path:
    """The folder of a finished demo."""
    with (place / "log.txt").open("w", encoding="utf-8") as log:
        report = demo.start_demo("synthetic", str(place / "study"), None, place / "run", Console(file=log))
    assert report == place / "run" / "report.html"
    return place / "run"


def rows(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_a_run_is_a_folder_with_all_that_is_promised(run: Path) -> None:
    names = ["config.yaml", "split.json", "versions.json", "checkpoints/last.ckpt", "model.safetensors", "model.json"]
    names += ["results.json", "baselines.json", "comparisons.json", "windows.tsv", "identification.npz", "facts.json"]
    names += ["report.html", "voxel_map.nii.gz", "search.json", "demo.json", "language_model/model.safetensors"]
    assert [name for name in names if not (run / name).is_file()] == []
    assert list((run / "logs" / "csv").rglob("metrics.csv"))
    assert list((run / "logs" / "tensorboard").rglob("events.out.tfevents.*"))
    assert [path.name for path in run.rglob(".*")] == []  # no half-written file


def test_the_recorded_config_is_whole(run: Path) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    assert config["model"]["init_args"]["size"]["n_features"] == 8
    assert config["data"]["init_args"]["test_stories"] == list(DESIGN.test)
    assert config["seed_everything"] == 0


def test_the_split_names_who_was_trained_on_what(run: Path) -> None:
    split = json.loads((run / "split.json").read_text(encoding="utf-8"))
    assert split["train"] == [["sub-01", "amber"], ["sub-01", "birch"]]
    assert split["validation"] == [["sub-01", "kelp"]]
    assert all(story in DESIGN.test or subject == "sub-02" for subject, story in split["test"])


def test_the_log_holds_rate_and_distortion_of_training_and_validation(run: Path) -> None:
    (path,) = (run / "logs" / "csv").rglob("metrics.csv")
    columns = set(pd.read_csv(path).columns)
    kinds = {f"{part}/{name}" for part in ("train", "validation") for name in ("loss", "character", "contrastive")}
    assert kinds | {"train/rate_latent", "train/rate_voxels", "train/beta"} <= columns


def test_results_have_exactly_the_promised_fields(run: Path) -> None:
    found = rows(run / "results.json")
    assert {tuple(row) for row in found} == {FIELDS}
    assert {row["metric"] for row in found} >= METRICS
    assert {row["study"] for row in found} == {"synthetic"}
    assert {row["story"] for row in found} == {*DESIGN.test, "all"}
    assert {row["quadrant"] for row in found} == {"seen subject, unseen story", "unseen subject, unseen story"}
    for row in found:
        assert row["ci_low"] - 1e-9 <= row["value"] <= row["ci_high"] + 1e-9
        assert 0 < row["p"] <= 1
        assert row["n_windows"] > 1
        assert (row["chance"] is None) == (not row["metric"].endswith(("top1", "top5", "percentile")))


def test_every_baseline_stands_beside_its_null(run: Path) -> None:
    found = rows(run / "baselines.json")
    assert {tuple(row) for row in found} == {(*FIELDS, "system")}
    assert {"language model alone", "most frequent words"} <= {row["system"] for row in found}


def test_the_windows_table_has_the_text_that_was_heard(run: Path) -> None:
    table = pd.read_csv(run / "windows.tsv", sep="\t", keep_default_na=False)
    assert list(table.columns) == ["subject", "story", "session", "start", "stop", "decoded", "true", "alone"]
    assert set(table["story"]) == set(DESIGN.test)
    assert (table["stop"] - table["start"] == 20).all()
    assert table["true"].str.len().min() > 0


def test_the_voxel_map_lies_on_the_grid_of_the_recordings(run: Path) -> None:
    image = nib.load(run / "voxel_map.nii.gz")
    assert image.shape == DESIGN.grid
    values = image.get_fdata()
    assert np.isfinite(values).all()
    assert values.max() > 0 == values[0, 0, 0]


def test_the_facts_hold_the_map_against_the_planted_truth(run: Path) -> None:
    facts = {fact["name"]: fact for fact in rows(run / "facts.json")}
    for subject, who in (("sub-01", "seen"), ("sub-02", "unseen")):
        assert f", {who} subject," in facts[f"voxel map AUC, {subject}"]["detail"]
        assert 0 <= facts[f"voxel map AUC, {subject}"]["value"] <= 1
        share = facts[f"share of the oracle, {subject}"]
        low, high = map(float, re.match(r"95% interval (\S+) to (\S+),", share["detail"]).groups())
        assert low - 5e-4 <= share["value"] <= high + 5e-4
        assert math.isfinite(high - low)


def test_decode_writes_the_promised_columns_for_every_unseen_story(run: Path, place: Path) -> None:
    out = place / "decoded" / "decoded.tsv"
    assert main(["decode", str(run), "--root", str(place / "study"), "--out", str(out)]) == 0
    table = pd.read_csv(out, sep="\t", keep_default_na=False)
    assert list(table.columns) == ["subject", "story", "start", "stop", "text"]
    assert set(zip(table["subject"], table["story"], strict=True)) == {
        (subject, story) for subject in DESIGN.subjects for story in DESIGN.test
    }
    assert (table["stop"] - table["start"] == 20).all()


def test_decoded_text_is_that_which_was_scored(run: Path, place: Path) -> None:
    out = place / "again.tsv"
    assert main(["decode", str(run), "--root", str(place / "study"), "--subject", "sub-01", "--out", str(out)]) == 0
    keys = ["subject", "story", "start"]
    decoded, scored = (pd.read_csv(path, sep="\t", keep_default_na=False) for path in (out, run / "windows.tsv"))
    both = decoded.merge(scored, on=keys)
    assert len(both) == (scored["subject"] == "sub-01").sum()
    assert (both["text"] == both["decoded"]).all()


def test_evaluate_gives_the_rows_of_the_demo(run: Path, place: Path) -> None:
    out = place / "results" / "out.json"
    arguments = ["evaluate", str(run), "--root", str(place / "study"), "--subject", "sub-02", "--out", str(out)]
    assert main(arguments) == 0
    assert rows(out) == [row for row in rows(run / "results.json") if row["subject"] == "sub-02"]


def test_a_protocol_across_people_leaves_tables_and_curves_and_goes_on_with_what_it_has(
    run: Path, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["evaluate", str(run), "--root", str(place / "study"), "--protocol", "within,cross,adapt"]
    asked += ["--minutes", "2,all", "--draws", "1"]
    assert main(asked) == 0
    scores = pd.read_csv(run / "protocol" / "scores.tsv", sep="\t")
    assert set(scores["way"]) == {"within", "cross", "adapt"}
    assert set(scores["subject"]) == {"sub-01", "sub-02", "all people"}
    assert set(pd.read_csv(run / "protocol" / "gains.tsv", sep="\t")["minutes"]) == {2.0, math.inf}
    assert len(list((run / "protocol").glob("*.png"))) == 2
    assert "scored: lagoon, north" in capsys.readouterr().out
    monkeypatch.setattr("plasticode.decoding.across_people.AcrossPeople.fitted", None)
    assert main(asked) == 0
    pd.testing.assert_frame_equal(pd.read_csv(run / "protocol" / "scores.tsv", sep="\t"), scores)
    assert main([*asked, "--subject", "sub-01"]) == 2


@pytest.mark.parametrize(("story", "why"), [("amber", "trained on"), ("kelp", "chose the checkpoint")])
def test_a_story_that_was_used_is_refused_by_name(
    run: Path, place: Path, story: str, why: str, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(run), "--root", str(place / "study"), "--story", story, "--out", str(place / "none")]
    for verb in ("decode", "evaluate"):
        assert main([verb, *arguments]) == 2
        error = capfd.readouterr().err
        assert f"{story} ({why})" in error
        assert len(error.splitlines()) == 1
    assert not (place / "none").exists()


def test_the_training_verbs_run_on_a_finished_run(run: Path) -> None:
    for verb in ("validate", "test", "predict"):
        assert main([verb, "--resume", str(run)]) == 0


def test_the_test_batches_know_who_was_trained_on(run: Path, place: Path) -> None:
    held = {"validation_stories": ["kelp"], "test_stories": list(DESIGN.test), "test_subjects": ["sub-02"]}
    data = StoryWindows("synthetic", str(place / "study"), str(run / "language_model"), **held)
    data.setup("test")
    batches = list(data.test_dataloader())
    found = sorted((pair[0], int(batch.subject.unique())) for pair, batch in zip(data.split.test, batches, strict=True))
    # The unseen person's stories that others were trained on are held out too, but not scored by `evaluate`.
    assert set(found) == {("sub-01", 0), ("sub-02", -1)}


def test_a_second_demo_in_the_folder_is_refused(run: Path, place: Path) -> None:
    with pytest.raises(WrongArgument, match="Go on with --resume"):
        demo.start_demo("synthetic", str(place / "study"), None, run, Console(quiet=True))


@pytest.mark.parametrize(("study", "subject"), [("synthetic", "sub-02"), ("lebel2023", "UTS03")])
def test_wrong_arguments_of_a_demo_leave_no_run_behind(place: Path, tmp_path: Path, study: str, subject: str) -> None:
    with pytest.raises((MissingData, WrongArgument)):  # a person held out for the test; a folder that is not there
        demo.start_demo(study, str(tmp_path / "nowhere"), subject, tmp_path / "run", Console(quiet=True))
    assert not (tmp_path / "run").exists()


def test_resuming_where_there_is_no_demo_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match="no demo in this folder"):
        demo.resume_demo(tmp_path, Console(quiet=True))


def test_resuming_a_finished_run_trains_nothing_again(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {name: (run / name).stat().st_mtime_ns for name in ("model.safetensors", "language_model/model.safetensors")}
    before, loaded, load = rows(run / "results.json"), [], TrainedModel.load
    monkeypatch.setattr(TrainedModel, "load", lambda folder: loaded.append(folder) or load(folder))
    (run / "results.json").unlink()
    demo.resume_demo(run, Console(quiet=True))
    assert loaded == [run]
    assert {name: (run / name).stat().st_mtime_ns for name in kept} == kept
    assert rows(run / "results.json") == before


def test_a_run_that_was_killed_and_resumed_ends_in_the_same_bits(
    run: Path, place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    handler, begin = signal.getsignal(signal.SIGINT), BrainToText.on_train_epoch_start

    def killed(self: BrainToText) -> None:
        begin(self)
        if self.current_epoch == 1:
            raise KeyboardInterrupt

    arguments = ["demo", "--root", str(place / "study")]
    with monkeypatch.context() as patch:
        patch.setattr(BrainToText, "on_train_epoch_start", killed)
        assert main([*arguments, "--run-dir", str(place / "killed")]) == 130
    signal.signal(signal.SIGINT, handler)  # Lightning turns a second Ctrl-C off while it shuts down
    assert "interrupted; what is finished is kept" in capfd.readouterr().err
    assert not (place / "killed" / "model.json").exists()
    monkeypatch.setattr(demo, "_score", lambda *_: [])
    monkeypatch.setattr(demo, "_facts", lambda *_: None)
    monkeypatch.setattr(demo, "read_rows", lambda *_: [])
    monkeypatch.setattr(demo, "write_report", lambda path: path / "report.html")
    assert main(["demo", "--resume", str(place / "killed")]) == 0
    whole, resumed = (load_file(folder / "model.safetensors") for folder in (run, place / "killed"))
    assert whole.keys() == resumed.keys()
    assert [name for name in whole if not np.array_equal(whole[name], resumed[name])] == []
