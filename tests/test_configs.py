"""Oracles: every shipped config, run for one batch on stand-in data with only its paths and names exchanged."""

from __future__ import annotations

import inspect
import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from plasticode.bioplausible import image_module
from plasticode.cli import VERBS, main
from plasticode.datasets.design import SyntheticDesign
from plasticode.datasets.labelled_images import LabelledImages, image_class
from plasticode.datasets.synthetic import write_synthetic
from plasticode.datasets.windows import WindowShape
from plasticode.decoding.characters import Characters
from plasticode.decoding.decoder import CharDecoder
from plasticode.decoding.defaults import CONFIGS, language_config, studies_with_demo
from plasticode.decoding.fitting import run_lightning
from plasticode.decoding.language_model import DecoderSize, LanguageModel
from plasticode.decoding.network import BrainToTextNetwork, DataFacts, NetworkSize
from plasticode.decoding.search import Search
from plasticode.decoding.text_features import TextFeatures
from plasticode.decoding.trained import Split, TrainedModel
from plasticode.decoding.word_vectors import WordVectors

from .decoding.planted_words import STORIES, made

TEXT = "once upon a time there was a fox who ran over the hill and saw the river and the moon " * 20
N_ROWS, N_CHANNELS = 40, 6  # of a stand-in story of lebel2023: 80 s
TR = 2.0045  # s, of lebel2023
DESIGN = SyntheticDesign.small()
ENCODING = CONFIGS / "lebel2023_encoding.yaml"


def content(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def all_configs() -> list[Path]:
    return sorted(CONFIGS.parent.rglob("*.yaml"))


def trained() -> list[Path]:
    return [path for path in all_configs() if {"model", "data"} <= content(path).keys()]


def synthetic(root: Path) -> Path:
    return write_synthetic(root / "synthetic", DESIGN, progress=False).root


def reduced(root: Path) -> Path:
    """lebel2023 as three stories of two people."""
    folder = root / "reduced"
    folder.mkdir()
    names = [*DESIGN.train, *DESIGN.validation, *DESIGN.test]
    pcs = np.random.default_rng(0).normal(size=(N_ROWS * len(names), N_CHANNELS)).astype(np.float16)
    start = np.arange(len(names)) * N_ROWS
    for subject in ("uts01", "uts03"):
        np.savez(folder / f"{subject}.npz", pcs=pcs, story=np.array(names), start=start, stop=start + N_ROWS)
    words = TEXT.split()
    texts = {name: [" ".join(words[3 * row : 3 * row + 3]) for row in range(N_ROWS)] for name in names}
    (folder / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    return folder


def language_model(folder: Path, latent: int) -> Path:
    """An untrained model that has read nothing which is held out."""
    size, characters = DecoderSize(12, 1, 2, latent, 0.0), Characters.of([TEXT])
    decoder = CharDecoder(len(characters), 12, 1, 2, latent)
    LanguageModel(decoder, size, characters, WordVectors.fit([TEXT], n_features=4)).save(folder)
    return folder


def network_of_another(folder: Path) -> Path:
    """An untrained network whose run names UTS01."""
    language, window = LanguageModel.load(language_model(folder, 8)), WindowShape()
    n_features = language.vectors.n_features + 2
    shape = window.rows(TR), window.reach_rows(TR), TR, N_CHANNELS, n_features, (2.0, 8.0)
    network = BrainToTextNetwork(DataFacts(("UTS01",), *shape), NetworkSize(8, 8), language.decoder, 8)
    heard = tuple(("UTS01", story) for story in DESIGN.train)
    split = Split("lebel2023", heard, (), tuple(("UTS01", story) for story in DESIGN.test))
    TrainedModel(network, language.size, language.characters, TextFeatures(language.vectors), window, split).save(
        folder
    )
    return folder


class StandInImages:
    """Random images of the shape that the collection's class states."""

    def __init__(self, name: str) -> None:
        self.kind = image_class(name)

    def load(self, split: str) -> LabelledImages:
        draws, n_images = np.random.default_rng(0), 300
        pixels = draws.integers(0, 256, (n_images, *self.kind.info["shape"]), np.uint8)
        return LabelledImages(pixels, draws.integers(0, len(self.kind.classes), n_images), self.kind.classes)


def stand_ins(path: Path, folder: Path) -> dict[str, Any]:
    """The paths and names of a config, exchanged for what is in the folder."""
    given = content(path)["data"]["init_args"]
    make = {"synthetic": synthetic, "lebel2023": reduced}
    studies = [given["study"]] if "study" in given else ["lebel2023"] * ("trained" in given)
    (folder / "text.txt").write_text(TEXT * 3, encoding="utf-8")  # batches of 32 windows of 128 characters
    exchanged = {
        "root": lambda: str(make[studies[0]](folder) if studies else folder),
        "trained": lambda: str(network_of_another(folder / "trained")),
        "validation": lambda: 20,
        "paths": lambda: [str(folder / "text.txt")],
        "language_model": lambda: str(language_model(folder / "language_model", 8)),
        "validation_stories": lambda: list(DESIGN.validation),
        "test_stories": lambda: list(DESIGN.test),
        "excluded_stories": lambda: list(DESIGN.test),
        "test_subjects": lambda: [DESIGN.subjects[-1]],
        "subjects": lambda: ["UTS03"],
    }
    return {name: exchanged[name]() for name in given if name in exchanged}


@pytest.mark.parametrize("path", all_configs(), ids=lambda path: path.stem)
def test_every_config_opens_with_the_command_that_runs_it(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# plasticode ")
    words = shlex.split(first.removeprefix("# "))
    assert words[1] in VERBS
    if path in trained():
        assert words[words.index("--config") + 1] == f"configs/{path.relative_to(CONFIGS.parent).as_posix()}"


@pytest.mark.parametrize("path", trained(), ids=lambda path: path.stem)
def test_every_config_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLASTICODE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(image_module, "open_images", lambda name, root: StandInImages(name))
    given = stand_ins(path, tmp_path).items()
    overrides = [f"--data.{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in given]
    run = run_lightning(
        "fit",
        ["--config", str(path), *overrides, "--trainer.fast_dev_run", "true", "--trainer.accelerator", "cpu"],
        str(tmp_path / "run"),
    )
    assert not run.exists()  # a dry run leaves nothing behind


def test_the_language_model_never_reads_what_is_held_out_from_the_brain_model() -> None:
    assert {"synthetic", "lebel2023"} <= set(studies_with_demo())
    for study in studies_with_demo():
        brain, text = (
            content(CONFIGS / name)["data"]["init_args"] for name in (f"{study}.yaml", language_config(study))
        )
        assert text["validation_stories"] == brain["validation_stories"]
        assert text["excluded_stories"] == brain["test_stories"]
        assert not set(brain["validation_stories"]) & set(brain["test_stories"])


def test_both_decoders_hold_out_the_same_stories() -> None:
    network, encoding = content(CONFIGS / "lebel2023.yaml")["data"]["init_args"], content(ENCODING)["data"]
    for part in ("validation_stories", "test_stories"):
        assert encoding[part] == network[part]


def test_the_config_of_the_encoding_decoder_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLASTICODE_CACHE", str(tmp_path / "cache"))
    held = {"validation_stories": STORIES[-2:-1], "test_stories": STORIES[-1:]}
    given = {"root": made(tmp_path / "study"), "paths": "[]", **{name: json.dumps(held[name]) for name in held}}
    overrides = [f"--data.{name}={value}" for name, value in given.items()]
    assert main(["fit-encoding", "--config", str(ENCODING), *overrides, "--run-dir", str(tmp_path / "run")]) == 0
    settings, beam = content(tmp_path / "run" / "config.yaml"), content(ENCODING)["beam"]
    assert settings["beam"] == beam
    search = json.loads((tmp_path / "run" / "search.json").read_text())
    assert (search["hypotheses"], search["agreement"]) == (beam["hypotheses"], beam["evidence"])


def test_at_least_five_real_stories_are_held_out_by_name() -> None:
    assert len(set(content(CONFIGS / "lebel2023.yaml")["data"]["init_args"]["test_stories"])) >= 5


def test_the_synthetic_split_is_that_of_the_planted_design() -> None:
    given, design = content(CONFIGS / "synthetic.yaml")["data"]["init_args"], SyntheticDesign()
    assert tuple(given["validation_stories"]) == design.validation
    assert tuple(given["test_stories"]) == design.test
    assert given["test_subjects"] == [design.subjects[-1]]


def test_search_settings_are_those_of_search() -> None:
    chosen = content(CONFIGS / "search.yaml")
    assert "default" in chosen
    for name, settings in chosen.items():
        assert name in {"default", *studies_with_demo()}
        assert settings.keys() <= inspect.signature(Search).parameters.keys()
        Search(**settings)


@pytest.mark.parametrize("path", trained(), ids=lambda path: path.stem)
def test_every_name_in_a_config_is_an_argument_of_its_class(path: Path) -> None:
    for part in ("model", "data"):
        entry = content(path)[part]
        module, _, name = entry["class_path"].rpartition(".")
        cls = getattr(__import__(module, fromlist=[name]), name)
        assert entry.get("init_args", {}).keys() <= inspect.signature(cls).parameters.keys()
