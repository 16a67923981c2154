"""Oracles: a promise (cells, arguments, errors), a real training on random digits, counting of what a rerun does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from plasticode.analysis.cell_job import REFUSAL, TRAINER, train
from plasticode.analysis.cells import Cell
from plasticode.analysis.compare_rules import compare_rules, comparison, table, train_cells, unfinished
from plasticode.analysis.named_network import NamedNetwork
from plasticode.analysis.rsa_config import RsaConfig
from plasticode.analysis.rule_matrix import Matrix, read_matrix, rule_paths
from plasticode.bioplausible.features import TrainedFeatures
from plasticode.bioplausible.zoo import rule_classes, small_network
from plasticode.datasets.errors import BrokenData, MissingData, WrongArgument
from rich.console import Console

CONFIGS = Path(__file__).parent.parent.parent / "configs"
QUIET = Console(quiet=True)
# The training as it is, on random digits.
ON_NOISE = f"""
import numpy as np
from plasticode.bioplausible import image_module
from plasticode.datasets.labelled_images import LabelledImages, image_class

class Noise:
    def load(self, split):
        draws, classes = np.random.default_rng(0), image_class("mnist").classes
        return LabelledImages(draws.integers(0, 256, (40, 1, 28, 28), np.uint8), draws.integers(0, 10, 40), classes)

image_module.open_images = lambda name, root: Noise()
{TRAINER}"""


def write(folder: Path, **changed: Any) -> Path:
    """A matrix of two rules, a network and two seeds; None leaves a key out."""
    (folder / "train.yaml").write_text("trainer: {max_epochs: 1}")
    given = {
        "training": {"config": "train.yaml", "root": str(folder / "data"), "overrides": {"trainer.max_epochs": 3}},
        "rules": ["Backprop", {"Pepita": {"model.pace.learning_rate": 0.1}}],
        "seeds": 2,
        "cells": str(folder / "cells"),
        "study": "kriegeskorte2008",
        "root": str(folder),
        **changed,
    }
    path = folder / "matrix.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in given.items() if value is not None}, sort_keys=False))
    return path


def finish(cell: Cell) -> Any:
    cell.folder.mkdir(parents=True, exist_ok=True)
    (cell.folder / "model.json").write_text("{}")
    return "finished"


def lack(cell: Cell, reason: str, refused: bool = False) -> Any:
    cell.fail(reason, refused)
    return cell.state


def test_rules_are_found_by_name_as_the_zoo_finds_them() -> None:
    assert sorted(rule_paths().values()) == list(rule_classes())
    assert all(path.endswith(f".{name}") for name, path in rule_paths().items())


def test_the_shipped_matrix_is_eleven_rules_by_five_seeds_and_the_rest_is_what_an_rsa_is_told() -> None:
    matrix = read_matrix(CONFIGS / "analysis" / "rules_matrix.yaml")
    assert len({cell.rule for cell in matrix.cells}) == 11
    assert len({cell.key for cell in matrix.cells}) == len(matrix.cells) == 55
    assert matrix.comparison.keys() <= {field.name for field in fields(RsaConfig)}
    RsaConfig(**matrix.comparison)


def test_a_cell_is_told_data_rule_network_settings_and_last_its_seed(tmp_path: Path) -> None:
    networks = {"wide": {"hidden": 9}, "mlp": {"class_path": "a.MLP", "init_args": {"widths": [4, 2]}}, "same": None}
    matrix = read_matrix(write(tmp_path, networks=networks, seeds=[3]))
    assert [cell.network for cell in matrix.cells] == ["wide", "mlp", "same"] * 2
    changed = [("--model.network.hidden", "9"), ("--model.network", "a.MLP", "--model.network.widths", "[4, 2]"), ()]
    for cell, network in zip(matrix.cells, changed * 2, strict=True):
        own = ("--model.pace.learning_rate", "0.1") if cell.rule_name == "Pepita" else ()
        assert cell.arguments == (
            *("--data.root", str(tmp_path / "data"), "--model.rule", rule_paths()[cell.rule_name], *network),
            *("--trainer.devices", "1", "--trainer.max_epochs", "3", *own),
            *("--model.rule.seed", "3", "--model.network.seed", "3", "--data.seed", "3"),
        )
        assert cell.folder.parent == tmp_path / "cells"


def test_seeds_and_data_of_the_command_have_the_last_word(tmp_path: Path) -> None:
    matrix = read_matrix(write(tmp_path), seeds=4, root=str(tmp_path / "elsewhere"))
    assert sorted({cell.seed for cell in matrix.cells}) == [0, 1, 2, 3]
    assert {cell.arguments[1] for cell in matrix.cells} == {str(tmp_path / "elsewhere")}


@pytest.mark.parametrize(
    ("changed", "error", "said"),
    [
        ({"training": None}, BrokenData, "`training` has config, root and perhaps overrides"),
        ({"training": {"config": "train.yaml"}}, BrokenData, "`training` has config, root and perhaps overrides"),
        ({"training": {"config": "train.yaml", "root": "x", "epochs": 1}}, BrokenData, "`training` has config, root"),
        ({"training": {"config": "no.yaml", "root": "x"}}, MissingData, r"no config \(.*no.yaml\). Give a YAML file."),
        ({"training": {"config": "train.yaml", "root": "x", "overrides": [1]}}, BrokenData, r"is \[1\] and no mapping"),
        ({"rules": None}, BrokenData, "no list of `rules` .*Name some of: Backprop, "),
        ({"rules": ["Nonsense"]}, WrongArgument, "no rule 'Nonsense' .*One of: Backprop, .*; or a class path."),
        ({"rules": [3]}, WrongArgument, "no rule 3"),
        ({"rules": [["a"]]}, WrongArgument, r"no rule \['a'\]"),
        ({"rules": ["../a.b/c"]}, WrongArgument, "no rule '../a.b/c'"),
        (
            {"rules": ["Backprop", {"Backprop": {}}]},
            WrongArgument,
            "rule Backprop is there twice .*Name each rule once",
        ),
        ({"rules": [{"Backprop": 3}]}, BrokenData, "`rules.Backprop` is 3 and no mapping"),
        ({"networks": {"a/b": {}}}, WrongArgument, "network 'a/b' .*letters, digits and _"),
        ({"networks": {"a": 3}}, BrokenData, "`networks.a` is 3 and no mapping"),
        ({"seeds": 0}, BrokenData, "seeds 0 .*Give their number, or a list of them"),
        ({"seeds": True}, BrokenData, "seeds True"),
        ({"seeds": [0, "1"]}, BrokenData, "seeds "),
    ],
)
def test_a_matrix_that_cannot_be_meant_is_refused(
    tmp_path: Path, changed: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        read_matrix(write(tmp_path, **changed))


@pytest.mark.parametrize("text", ["- a list", "a: [", "\xff"])
def test_what_is_no_yaml_mapping_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "matrix.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(BrokenData, match=r"a config is a mapping|not YAML"):
        read_matrix(tmp_path / "matrix.yaml")


def test_a_rerun_trains_only_what_is_missing(tmp_path: Path) -> None:
    cells = read_matrix(write(tmp_path)).cells
    asked: list[str] = []

    def job(cell: Cell, threads: int | None) -> Any:
        asked.append(cell.key)
        return lack(cell, "it broke") if cell == cells[1] else finish(cell)

    train_cells(cells, QUIET, job)
    assert sorted(asked) == sorted(cell.key for cell in cells)
    train_cells(cells, QUIET, job)
    assert asked[len(cells) :] == [cells[1].key]


def test_failed_cells_are_named_after_the_others_were_compared(tmp_path: Path) -> None:
    matrix, compared = read_matrix(write(tmp_path)), []

    def job(cell: Cell, threads: int | None) -> Any:
        if cell.seed == 0:
            return finish(cell)
        return lack(cell, "it cannot", True) if cell.rule_name == "Pepita" else lack(cell, "it broke")

    def compare(config: RsaConfig, left_out: Sequence[str]) -> None:
        compared.append((config, left_out))

    failed = matrix.cells[1]
    with pytest.raises(BrokenData, match=f"1 of 4 cells have no model: {failed.key} .*the same command tries again"):
        compare_rules(matrix, compare, QUIET, job=job)
    finished = [str(cell.folder) for cell in matrix.cells if cell.seed == 0]
    left_out = [
        "Backprop on network default, seed 1, failed: it broke",
        "Pepita on network default, seed 1, refused: it cannot",
    ]
    assert compared == [(RsaConfig("kriegeskorte2008", str(tmp_path), runs=finished), left_out)]
    rows = pd.read_csv(tmp_path / "cells" / "cells.tsv", sep="\t", keep_default_na=False)
    assert rows["state"].tolist() == ["finished", "failed", "finished", "refused"]
    assert rows["reason"].tolist() == ["", "it broke", "", "it cannot"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"nonsense": 1}, "nonsense"),
        ({"measures": ["nonsense"]}, "nonsense"),
        ({"study": "nonsense"}, "no study of images named 'nonsense'"),
        ({"root": "nonsense"}, "no folder for study kriegeskorte2008"),
        ({"root": None}, "the study has no folder .*--root DIR"),
    ],
)
def test_what_no_rsa_could_use_is_said_before_the_training(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    matrix, trained = read_matrix(write(tmp_path, **changed)), []

    def job(cell: Cell, threads: int | None) -> Any:
        trained.append(cell)

    with pytest.raises((WrongArgument, MissingData), match=said):
        compare_rules(matrix, lambda *_: None, QUIET, job=job)
    assert trained == []
    assert not (tmp_path / "cells").exists()


def test_seeds_that_lack_for_one_reason_are_one_line(tmp_path: Path) -> None:
    cells = read_matrix(write(tmp_path, rules=["Stdp", "Backprop"], seeds=3)).cells
    for cell in cells[:3]:
        cell.fail("it cannot", refused=True)
    for cell in cells[3:5]:
        finish(cell)
    assert unfinished(table(cells)) == [
        "Stdp on network default, seed 0, 1, 2, refused: it cannot",
        "Backprop on network default, seed 2, new: ",
    ]


def test_nothing_finished_is_said_with_the_reasons(tmp_path: Path) -> None:
    matrix = read_matrix(write(tmp_path))
    for cell in matrix.cells:
        cell.fail("there are no data")
    with pytest.raises(MissingData, match=r"no cell is finished: there are no data \("):
        comparison(matrix)
    older = Matrix(matrix.cells, matrix.folder, {**matrix.comparison, "runs": ["older"]})
    assert comparison(older).runs == ["older"]


def test_networks_of_one_class_keep_their_names(tmp_path: Path) -> None:
    matrix = read_matrix(write(tmp_path, networks={"wide": {}, "default": {}}, rules=["Backprop"], seeds=1, runs=["a"]))
    wide, alone = matrix.cells
    for cell in matrix.cells:
        finish(cell)
    given = {"run": str(wide.folder), "network": "wide"}
    assert comparison(matrix).runs == [str(alone.folder), "a"]
    assert comparison(matrix).sources == [
        {"class_path": "plasticode.analysis.named_network.NamedNetwork", "init_args": given}
    ]


def test_a_rules_refusal_is_known_as_one() -> None:
    for rule, network in (("Stdp", "mlp"), ("ForwardForward", "cnn"), ("Backprop", "spiking")):
        with pytest.raises(WrongArgument, match=REFUSAL):
            rule_classes()[rule_paths()[rule]]().bind(small_network(network))


def test_a_cell_is_really_trained_and_stands_in_the_table_under_its_networks_name(tmp_path: Path) -> None:
    short = {"data.validation": 10, "data.batch_size": 10, "model.monitored": 0, "trainer.max_epochs": 1}
    path = write(
        tmp_path,
        training={"config": str(CONFIGS / "bioplausible" / "mnist.yaml"), "root": "unused", "overrides": short},
        networks={"narrow": {"widths": [784, 5, 10]}},
        rules=["FeedbackAlignment"],
        seeds=[3],
    )
    (cell,) = read_matrix(path).cells
    assert train(cell, 1, ON_NOISE) == "finished", cell.reason
    row = table([cell]).iloc[0]
    assert (row["rule"], row["network"], row["seed"]) == ("FeedbackAlignment", "narrow", 3)
    assert 0 <= row["validation_accuracy"] <= 1
    described = json.loads((cell.folder / "model.json").read_text())
    assert [described[part]["init_args"]["seed"] for part in ("network", "rule")] == [3, 3]
    assert described["facts"]["train_images"] == 30
    run, named = TrainedFeatures(cell.folder), NamedNetwork(str(cell.folder), "narrow")
    assert named.descriptors() == {
        **run.descriptors(),
        "network": "narrow",
        "name": "narrow mnist feedback alignment seed 3",
    }
    images = torch.rand(4, 1, 28, 28)
    for one, other in ((run, named), (run.untrained_twin(), named.untrained_twin())):
        assert other.fingerprint() == one.fingerprint()
        assert other.input_shape() == one.input_shape()
        for layer, values in one.features(images).items():
            np.testing.assert_array_equal(other.features(images)[layer], values)
    assert named.untrained_twin().descriptors()["name"] == "narrow mnist untrained seed 3"
