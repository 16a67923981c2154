"""Oracles: the promises of the console: help with an example, one line and exit code 2 for what a user gets wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from plasticode import __version__
from plasticode.cli import VERBS, main
from plasticode.datasets.design import SyntheticDesign
from plasticode.datasets.synthetic import write_synthetic

CONFIGS = Path(__file__).parent.parent / "configs" / "decoding"
LANGUAGE = "plasticode.decoding.pretraining.CharLanguageModel"
CORPUS = "plasticode.decoding.corpus_module.TextCorpus"
Refused = Callable[..., str]
SLOW = ("torch", "lightning", "pandas", "nilearn", "matplotlib", "sklearn", "scipy")


def call(*arguments: str) -> int:
    """Exit code of `plasticode ARGUMENTS`."""
    try:
        return main(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)


@pytest.fixture
def refused(capfd: pytest.CaptureFixture[str]) -> Refused:
    """Calls the console, holds it to its promise for errors, and returns the one line."""

    def check(*arguments: str) -> str:
        capfd.readouterr()
        code = call(*arguments)
        error = capfd.readouterr().err
        assert code == 2, error
        assert "Traceback" not in error
        (line,) = error.splitlines()
        assert line.startswith(f"plasticode {arguments[0]}: " if arguments[0] in VERBS else "plasticode: ")
        return line

    return check


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in which the console is called."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLASTICODE_CACHE", str(tmp_path / "cache"))
    return tmp_path


def config(folder: Path, model: object, data: object = CORPUS, **more: object) -> str:
    """A config, as JSON, which is YAML."""
    path = folder / "config.yaml"
    path.write_text(json.dumps({"trainer": {"max_epochs": 1, **more}, "model": model, "data": data}), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert call(verb, "--help") == 0
    shown = capfd.readouterr().out
    example = shown.split("example:\n", 1)[1]
    assert example.lstrip().startswith(f"plasticode {verb}")


def test_the_overview_names_every_verb(capfd: pytest.CaptureFixture[str]) -> None:
    assert call() == call("--help") == 0
    shown = capfd.readouterr().out
    assert [verb for verb in VERBS if f"  {verb} " not in shown.replace("\n", " ")] == []


def test_help_imports_nothing_that_takes_seconds() -> None:
    ask = f"""
import contextlib, io, sys
from plasticode.cli import VERBS, main
for verb in VERBS:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        main([verb, "--help"])
print([name for name in {SLOW!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_version(capfd: pytest.CaptureFixture[str]) -> None:
    assert call("--version") == 0
    assert capfd.readouterr().out.strip() == __version__


def test_the_console_script_is_installed() -> None:
    script = Path(sys.executable).with_name("plasticode")
    done = subprocess.run([str(script), "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == __version__


def test_sys_info_names_what_a_bug_report_needs(capfd: pytest.CaptureFixture[str]) -> None:
    assert call("sys-info") == 0
    shown = capfd.readouterr().out
    names = ("python", "plasticode", "torch", "lightning", "nilearn", "hardware", "cache")
    assert [name for name in names if not any(line.startswith(name) for line in shown.splitlines())] == []


def test_an_unknown_verb_is_answered_with_the_known_ones(refused: Refused) -> None:
    line = refused("frobnicate")
    assert "'frobnicate'" in line
    assert "evaluate" in line


@pytest.mark.parametrize("verb", sorted(set(VERBS) - {"fit", "validate", "test", "predict"}))
def test_a_wrong_argument_is_refused(verb: str, refused: Refused) -> None:
    assert f"See `plasticode {verb} --help`" in refused(verb, "--wibble", "a", "b")


def test_interruption_is_no_traceback(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("plasticode.decoding.commands.report_run", interrupted)
    assert call("report", "runs/x") == 130
    assert capfd.readouterr().err == "plasticode report: interrupted; what is finished is kept.\n"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["demo", "--study", "nope"], "One of: lebel2023, synthetic"),
        (["demo", "--study", "lebel2023"], "--root"),
        (["demo", "--resume", "empty"], "no demo in this folder (empty)"),
        (["fit", "--resume", "empty"], "no run in this folder (empty)"),
        (["test", "--resume", "nowhere"], "no run in this folder (nowhere)"),
        (["decode", "empty", "--root", ".", "--out", "x.tsv"], "no run in this folder (empty)"),
        (["evaluate", "nowhere", "--root", "."], "no run in this folder (nowhere)"),
        (["report", "empty"], "plasticode evaluate"),
        (["prepare", "--bids", "nowhere"], "nowhere"),
        (["prepare", "--bids", "empty"], "no BOLD images"),
        (["prepare", "--study", "lebel2023"], "--study needs --root"),
        (["prepare", "--study", "lebel2023", "--root", "empty"], "neither uts*.npz nor derivatives"),
        (["prepare", "--study", "nope", "--root", "."], "Choose one of"),
        (["fetch", "nope"], "Choose one of"),
        (["fit", "--config", "nowhere.yaml"], "nowhere.yaml"),
        (["fit", "--config", "empty"], "not a file"),
        (["fit"], "required"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_not_there_is_named_with_the_remedy(
    arguments: list[str], named: str, refused: Refused, here: Path
) -> None:
    (here / "empty").mkdir()
    assert named in refused(*arguments)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"trainer: [1,\n  max: {", "Problems parsing config"),
        (b"trainer: {wibble: 3}\n", "does not accept option 'trainer.wibble'"),
        (b"- 1\n- 2\n", "Unexpected config"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"", "Unexpected config"),
    ],
    ids=["syntax", "unknown key", "a list", "binary", "empty"],
)
def test_a_broken_config_is_refused(content: bytes, named: str, refused: Refused, here: Path) -> None:
    (here / "broken.yaml").write_bytes(content)
    assert named in refused("fit", "--config", "broken.yaml")


@pytest.mark.parametrize(
    "path", ["os.system", "subprocess.Popen", "lightning.pytorch.demos.boring_classes.BoringModel", "builtins.eval"]
)
def test_a_config_may_not_import_a_class_outside_the_allowlist(path: str, refused: Refused, here: Path) -> None:
    line = refused("fit", "--config", config(here, {"class_path": path, "init_args": {"args": ["touch", "gone"]}}))
    assert f"Importing '{path}' is not allowed" in line or "not a valid subclass" in line.lower()
    assert "PLASTICODE_ALLOW_IMPORTS" in line


def test_nor_a_callback_outside_the_allowlist(refused: Refused, here: Path) -> None:
    callback = {"class_path": "subprocess.Popen", "init_args": {"args": ["touch", str(here / "gone")]}}
    assert "'subprocess.Popen' is not allowed" in refused(
        "fit", "--config", config(here, LANGUAGE, callbacks=[callback])
    )
    assert not (here / "gone").exists()


def test_a_package_that_the_user_names_is_allowed(
    refused: Refused, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLASTICODE_ALLOW_IMPORTS", "collections,fractions")
    assert "is not allowed" not in refused("fit", "--config", config(here, {"class_path": "fractions.Fraction"}))


@pytest.mark.parametrize(
    ("model", "data", "named"),
    [
        ({"size": {"wob": 2}}, {}, "'wob' is not accepted"),
        ({"size": {"width": 33}}, {}, "width 33"),
        ({"size": {"dropout": 3.0}}, {}, "dropout 3.0"),
        ({"learning_rate": "fast"}, {}, "learning_rate"),
        ({}, {"batch_size": -1}, "batch_size -1"),
        ({}, {"paths": ["nowhere.txt"]}, "(nowhere.txt)"),
        ({}, {}, "Name text files or a study"),
        ({}, {"study": "nope"}, "Choose one of"),
    ],
)
def test_wrong_values_in_a_config_are_named(model: dict, data: dict, named: str, refused: Refused, here: Path) -> None:
    parts = ({"class_path": LANGUAGE, "init_args": model}, {"class_path": CORPUS, "init_args": data})
    assert named in refused("fit", "--config", config(here, *parts), "--run-dir", "run")


def test_an_accelerator_that_is_not_there_is_named(refused: Refused, here: Path) -> None:
    assert "accelerator" in refused("fit", "--config", config(here, LANGUAGE, accelerator="wibble"))


def test_overrides_are_checked_as_configs_are(refused: Refused) -> None:
    shipped = str(CONFIGS / "language_model.yaml")
    assert "trainer.max_epochs" in refused("fit", "--config", shipped, "--trainer.max_epochs", "many")
    assert "--wibble" in refused("fit", "--config", shipped, "--wibble", "3")


def test_a_run_is_not_overwritten(refused: Refused, here: Path) -> None:
    (here / "run").mkdir()
    (here / "run" / "config.yaml").write_text("trainer: {}\n")
    line = refused("fit", "--config", config(here, LANGUAGE), "--run-dir", "run")
    assert "there is a run in this folder already" in line
    assert "--resume run" in line


def test_a_damaged_checkpoint_is_named(refused: Refused, here: Path) -> None:
    checkpoint = here / "run" / "checkpoints" / "last.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"PK\x03\x04 cut short")
    Path(config(here, LANGUAGE)).rename(here / "run" / "config.yaml")
    line = refused("fit", "--resume", "run")
    assert "the checkpoint cannot be read" in line
    assert "last.ckpt" in line


def test_a_truncated_image_is_named_by_prepare(refused: Refused, here: Path) -> None:
    study = write_synthetic(here / "study", SyntheticDesign.small(train=("amber",)), progress=False)
    path = study.image_path("sub-01", "amber")
    path.write_bytes(path.read_bytes()[:3000])
    line = refused("prepare", "--bids", "study", "--task", "amber", "--subject", "sub-01")
    assert path.name in line


def test_a_file_that_cannot_be_written_is_named(refused: Refused, here: Path) -> None:
    (here / "file").write_text("not a folder")
    line = refused("demo", "--run-dir", "file/run")
    assert "file/run" in line
