"""Oracles: what the network gives for the people it knew, a planted rotation of one of them, and an unbroken run."""

from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plasticode.cli import main
from plasticode.datasets.errors import BrokenData, MissingData, PlasticodeError, WrongArgument
from plasticode.datasets.study import Responses, Run
from plasticode.decoding.identification import top_pairs
from plasticode.decoding.reading import Reader
from plasticode.decoding.trained import Split, TrainedModel
from safetensors.torch import load_file
from scipy.stats import ortho_group

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Lightning warns about itself while it is imported
    from plasticode.decoding import person_module, story_module
    from plasticode.decoding.person_module import PersonWindows
    from plasticode.decoding.person_training import PersonToText, widened

from .planted_runs import EPOCHS, assert_same_run, config, fit_with_interruption, run_lightning

ADAPTERS = ("NoTuning", "FullTuning", "RepresentationEditing", "LowRank")
STORIES = ("amber", "birch", "cedar", "dune")


def person_config(folder: Path, data: dict[str, Any], adapter: str, epochs: int = EPOCHS, **model: Any) -> list[str]:
    folder.mkdir(exist_ok=True)
    settings = {"adapter": {"class_path": f"plasticode.decoding.adapters.{adapter}"}, **model}
    settings.setdefault("objective", {"decoded_windows": 2})
    given = {"stories_per_batch": 2, "windows_per_story": 3, "steps_per_epoch": 3, **data}
    parts = (
        ("plasticode.decoding.person_training.PersonToText", settings),
        (
            "plasticode.decoding.person_module.PersonWindows",
            given,
        ),
    )
    return config(folder, *parts, epochs=epochs)


@pytest.fixture
def person(planted_tree: Path, language_model: Path, brain_model: Path) -> dict[str, Any]:
    """Somebody whom the volume network was not trained on."""
    folders = {"trained": brain_model, "root": planted_tree, "language_model": language_model}
    return {name: str(path) for name, path in folders.items()} | {"subject": "sub-02", "minutes": 2}


def test_a_widened_network_is_the_same_for_those_it_knew(tiny: Any) -> None:
    for grid, people in (((4, 4, 4), ("A", "B")), (None, ("A", "B")), (None, ("A",))):
        network = tiny.network(grid, people)
        for parameter in network.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
        wide = widened(network, "C").eval()
        assert wide.facts.subjects == (*people, "C")
        shape = (2, tiny.rows + 2, *(grid or (network.facts.n_channels,)))
        x, known = torch.randn(shape), torch.arange(2) % len(people)
        assert torch.equal(wide.posterior(x, known).mean, network.posterior(x, known).mean)
        if grid is not None:  # a new person has the group's gates, as an unseen one
            new, unseen = torch.full((2,), 2), torch.full((2,), -1)
            assert torch.equal(wide.posterior(x, new).mean, network.posterior(x, unseen).mean)


@pytest.mark.parametrize("adapter", ADAPTERS[1:])
def test_only_the_encoder_learns_and_the_run_is_a_trained_model_like_any_other(
    adapter: str, person: dict[str, Any], brain_model: Path, tmp_path: Path
) -> None:
    run = run_lightning("fit", person_config(tmp_path / "given", person, adapter), run_dir=str(tmp_path / "run"))
    before, after = (load_file(folder / "model.safetensors") for folder in (brain_model, run))
    same = {name for name, value in before.items() if value.shape == after[name].shape and value.equal(after[name])}
    assert before.keys() == after.keys()
    moved = {name.split(".")[1] for name in before.keys() - same}
    assert moved == {"encoder", "latent", "voxels"}  # of the voxels, one more person's deviation
    assert "network.voxels.group" in same
    model = TrainedModel.load(run)
    assert model.subjects == ("sub-01", "sub-02")
    assert model.notes["new_people"] == {"sub-02": 2.0}
    manifest = model.notes["split_audit"]
    assert manifest["clean"]
    # The audit held the scored text against what the network had read, not against the minutes alone: two stories of
    # sub-01 and four stretches of sub-02.
    assert (manifest["recordings"]["training"], manifest["recordings"]["validation"]) == (4, 1)
    assert {path.name for path in run.glob("*.nii.gz")} == {"voxel_map.nii.gz", "voxel_map_sub-02.nii.gz"}
    assert main(["evaluate", str(run), "--root", person["root"], "--subject", "sub-02"]) == 0
    rows = json.loads((run / "results.json").read_text())
    assert {row["quadrant"] for row in rows} == {"seen subject, unseen story"}
    assert "The encoder was tuned to sub-02" in (run / "notes.json").read_text()


@pytest.mark.parametrize("verb", ["validate", "test", "predict"])
def test_the_other_verbs_take_an_adapted_run(verb: str, person: dict[str, Any], tmp_path: Path) -> None:
    run = run_lightning("fit", person_config(tmp_path / "given", person, "LowRank", 1), run_dir=str(tmp_path / "run"))
    assert run_lightning(verb, [], resume=str(run)) == run
    assert (run / "predictions.safetensors").is_file() == (verb == "predict")


def test_the_split_says_which_stories_of_the_new_person_were_used(person: dict[str, Any]) -> None:
    data = PersonWindows(**{**person, "minutes": 1})
    data.setup()
    (pair,) = set(data.split.train) - set(data.parent.split.train)
    assert pair[0] == "sub-02"
    assert pair[1] in {"amber", "birch"}  # not the validation story, nor the test story
    assert {run.story for run in data.train.runs} == {f"{pair[1]}[0:15]", f"{pair[1]}[15:30]"}
    assert data.split.fitted["alignment"] == "none"  # volumes lie in one space
    for scope in ("encoder and decoder", "choice of checkpoint"):
        assert [*pair] in data.split.fitted[scope]
    assert ("sub-02", "lagoon") in data.split.test


def test_an_interrupted_adaptation_ends_as_an_uninterrupted_one(
    person: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = person_config(tmp_path / "given", person, "RepresentationEditing")
    whole = run_lightning("fit", arguments, run_dir=str(tmp_path / "whole"))
    resumed = fit_with_interruption(monkeypatch, PersonToText, arguments, tmp_path / "broken", 2)
    assert_same_run(resumed, whole)


class Rotated:
    """A network that reads S1; everybody hears the same, and S2's channels are a rotation of S1's."""

    def __init__(self, tiny: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        heard = [tiny.heard(tiny.run(story=story, n_rows=150, seed=i), noise=0.3) for i, story in enumerate(STORIES)]
        n_channels = heard[0].responses.n_channels
        turn = ortho_group.rvs(n_channels, random_state=4).astype(np.float32)
        other = [replace(run, subject="S2", responses=Responses(run.responses[:] @ turn)) for run in heard]
        self.study = tiny.study(folder, [*heard, *other])
        split = Split("arrays", tuple(("S1", story) for story in STORIES[:3]), (), (("S1", STORIES[3]),))
        replace(tiny.planted(), split=split).save(folder / "trained")
        tiny.language_model(("arrays/read",)).save(folder / "language")
        for module in (person_module, story_module):
            monkeypatch.setattr(module, "open_study", lambda name, root, options: self.study)
        monkeypatch.setattr(person_module, "prepare", self.prepare)
        self.data = {"trained": str(folder / "trained"), "language_model": str(folder / "language"), "subject": "S2"}
        self.data["root"] = str(folder)
        self.new: Run = other[3]

    def prepare(self, study: Any, subjects: list[str], stories: list[str], progress: bool = True) -> list[Run]:
        return [self.study.run(subject, story) for subject in subjects for story in stories]

    def top1(self, run: Path) -> float:
        reading = Reader(TrainedModel.load(run)).read(self.new)
        return float(np.diag(top_pairs(reading.similarity(), 1)).mean())


@pytest.mark.parametrize("how", ["RidgeAlignment", "ProcrustesAlignment", "SharedResponse"])
def test_a_person_whose_channels_are_turned_is_read_through_the_alignment(
    how: str, tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotated = Rotated(tiny, tmp_path, monkeypatch)
    settings = {"alignment": {"class_path": f"plasticode.decoding.person_alignment.{how}"}}
    arguments = person_config(tmp_path / "given", rotated.data | {"minutes": 8}, "RepresentationEditing", 1, **settings)
    assert rotated.top1(run_lightning("fit", arguments, run_dir=str(tmp_path / "run"))) > 0.8  # chance is 1 in 30


def test_an_alignment_alone_is_a_run_too_and_changes_nothing_for_the_others(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotated = Rotated(tiny, tmp_path, monkeypatch)
    arguments = person_config(tmp_path / "given", rotated.data, "NoTuning", 1, tuned_stem=False)
    run = run_lightning("fit", arguments, run_dir=str(tmp_path / "run"))
    assert rotated.top1(run) > 0.8
    old, new = (Reader(TrainedModel.load(folder)) for folder in (tmp_path / "trained", run))
    known = rotated.study.run("S1", STORIES[3])
    torch.testing.assert_close(new.read(known).latent, old.read(known).latent)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"subject": "sub-01"}, r"sub-01 is one of those whom the network was trained on"),
        ({"subject": "sub-09"}, "no person sub-09"),
        ({"minutes": 0}, "0.* minutes"),
    ],
)
def test_what_cannot_be_meant_is_refused(changes: dict[str, Any], said: str, person: dict[str, Any]) -> None:
    with pytest.raises(PlasticodeError, match=said):
        PersonWindows(**person | changes).setup()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"repetition_time": 1.5}, "repetition time 1.5 s"),
        ({"responses": Responses(np.zeros((150, 9), np.float32))}, "9 channels, but the network reads 7"),
    ],
)
def test_recordings_that_no_stem_can_make_readable_are_refused(
    changed: dict[str, Any], said: str, tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotated = Rotated(tiny, tmp_path, monkeypatch)
    for key, run in rotated.study.by_key.items():
        rotated.study.by_key[key] = replace(run, **changed) if run.subject == "S2" else run
    with pytest.raises(BrokenData, match=said):
        PersonWindows(**rotated.data).setup()


def test_another_language_model_than_the_networks_is_refused(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotated = Rotated(tiny, tmp_path, monkeypatch)
    other = tiny.language_model(stories=("arrays/dune",))  # the same letters, but it has read what is scored
    other.save(tmp_path / "other")
    with pytest.raises(WrongArgument, match=r"another language model.*the one that its config names"):
        PersonWindows(**rotated.data | {"language_model": str(tmp_path / "other")}).setup()


def test_a_person_who_heard_no_training_story_is_refused(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotated = Rotated(tiny, tmp_path, monkeypatch)
    for story in STORIES[:3]:
        del rotated.study.by_key["S2", story]
    with pytest.raises(MissingData, match="S2 heard none of the stories"):
        PersonWindows(**rotated.data).setup()


def test_minutes_that_end_just_inside_a_story_are_aligned_by_and_not_trained_on(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = PersonWindows(**Rotated(tiny, tmp_path, monkeypatch).data, minutes=5.1)  # stories of 5 minutes
    data.setup()
    assert [len(one) for one in data.own] == [150, 3]
    assert [run.responses.n_rows for run in data.train.runs] == [150]
    assert data.used == pytest.approx(5.1)


def test_a_person_with_fewer_channels_is_read(tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rotated = Rotated(tiny, tmp_path, monkeypatch)
    for key, run in rotated.study.by_key.items():
        fewer = replace(run, responses=Responses(run.responses[:][:, :6]))
        rotated.study.by_key[key] = fewer if run.subject == "S2" else run
    rotated.new = rotated.study.run("S2", STORIES[3])
    arguments = person_config(tmp_path / "given", rotated.data, "RepresentationEditing", 1)
    assert rotated.top1(run_lightning("fit", arguments, run_dir=str(tmp_path / "run"))) > 0.3  # chance is 1 in 30


def test_an_adapted_run_meets_a_third_person_by_those_who_were_there_from_the_start(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotated = Rotated(tiny, tmp_path, monkeypatch)
    third = [replace(rotated.study.run("S2", story), subject="S3") for story in STORIES]
    rotated.study.by_key |= {("S3", run.story): run for run in third}
    first = person_config(tmp_path / "given", rotated.data | {"minutes": 4}, "NoTuning", 1)
    run = run_lightning("fit", first, run_dir=str(tmp_path / "first"))
    then = person_config(tmp_path / "then", rotated.data | {"trained": str(run), "subject": "S3"}, "NoTuning", 1)
    model = TrainedModel.load(run_lightning("fit", then, run_dir=str(tmp_path / "second")))
    assert model.notes["new_people"] == {"S2": 4.0, "S3": 15.0}
    aligned = {tuple(pair) for pair in model.split.fitted["alignment"]}
    assert aligned == {(who, story) for who in ("S1", "S3") for story in STORIES[:3]} | {
        pair for pair in aligned if pair[0] == "S2"
    }
    assert {who for who, _ in aligned} == {"S1", "S2", "S3"}


def test_the_root_may_hold_the_new_person_alone(person: dict[str, Any], tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    shutil.copytree(person["root"], alone, ignore=shutil.ignore_patterns("sub-01"))
    run = run_lightning(
        "fit",
        person_config(tmp_path / "given", person | {"root": str(alone)}, "RepresentationEditing", 1),
        run_dir=str(tmp_path / "run"),
    )
    assert TrainedModel.load(run).subjects == ("sub-01", "sub-02")


def test_nothing_to_tune_is_refused(person: dict[str, Any], tmp_path: Path) -> None:
    arguments = person_config(tmp_path / "given", person, "NoTuning")
    with pytest.raises(WrongArgument, match="nothing to tune"):
        run_lightning("fit", arguments, run_dir=str(tmp_path / "run"))
