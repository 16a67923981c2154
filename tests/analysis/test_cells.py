"""Oracles: the same twice (uninterrupted training), a promise (states, keys), epochs that a stand-in counts."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from plasticode.analysis.cell_job import claim_and_train, train
from plasticode.analysis.cells import Cell

# Like a training, it writes its config first, an epoch at a time, and its model last; it goes on where it was.
STAND_IN = """
import os, sys, time
from pathlib import Path
from plasticode.analysis.cell_job import claim_and_train

def main(arguments):
    run, told = Path(arguments[-1]), " ".join(arguments)
    (run / "config.yaml").touch()
    (run / "began").write_text(str(os.getpid()))
    epochs = run / "epochs"
    for epoch in range(len(epochs.read_text().split()) if epochs.exists() else 0, {epochs}):
        time.sleep({seconds})
        with epochs.open("a") as file:
            file.write(f"{{epoch}}\\n")
    if "refused" in told:
        return print("plasticode fit: Y cannot run on this network: so (Z). See elsewhere.") or 2
    if "failed" in told:
        return print("it began") or print("it broke") or 1
    with (run / "trained").open("a") as file:
        file.write(f"{{os.getpid()}}\\n")
    (run / "model.json").write_text("{{}}")
    return 0

sys.exit(claim_and_train(main, sys.argv[1], sys.argv[2:]))
"""


def stand_in(epochs: int = 2, seconds: float = 0.0) -> str:
    return STAND_IN.format(epochs=epochs, seconds=seconds)


def a_cell(folder: Path, seed: int = 0, *arguments: str) -> Cell:
    return Cell("a.rule.Rule", "net", seed, "trainer: {max_epochs: 1}", (*arguments, "--seed", str(seed)), folder)


def epochs(cell: Cell) -> list[int]:
    return [int(line) for line in (cell.folder / "epochs").read_text().split()]


def until(true: object, seconds: float = 30.0) -> None:
    """Wait for what another process does."""
    end = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.01)


def test_another_setting_is_another_cell_and_a_comment_is_not(tmp_path: Path) -> None:
    cell = a_cell(tmp_path)
    same = replace(cell, config="# a comment\ntrainer:\n  max_epochs: 1\n")
    others = [
        replace(cell, config="trainer: {max_epochs: 2}"),
        replace(cell, arguments=("--seed", "0", "--more", "1")),
        a_cell(tmp_path, 1),
        replace(cell, rule="b.rule.Rule"),
        replace(cell, network="wide"),
    ]
    assert same.key == cell.key
    assert len({cell.key, *(other.key for other in others[:3])}) == 4
    assert len({cell.key, *(other.key for other in others)}) == 6
    assert cell.key.startswith("Rule-net-0-")


def test_a_cell_goes_from_new_to_finished_and_is_not_trained_again(tmp_path: Path) -> None:
    cell = a_cell(tmp_path)
    assert cell.state == "new"
    assert train(cell, trainer=stand_in()) == cell.state == "finished"
    assert train(cell, trainer=stand_in()) == "finished"
    assert epochs(cell) == [0, 1]
    assert len((cell.folder / "trained").read_text().split()) == 1
    assert (cell.folder / "asked.yaml").read_text() == cell.config


def test_a_failure_keeps_its_last_lines_and_is_tried_again(tmp_path: Path) -> None:
    cell = a_cell(tmp_path, 0, "failed")
    assert train(cell, trainer="import sys; print('began'); sys.exit('it broke')") == "failed"
    assert cell.reason == "began | it broke"
    assert train(cell, trainer=stand_in()) == "failed"
    assert cell.reason == "it began | it broke"


def test_a_failure_that_is_mended_is_forgotten(tmp_path: Path) -> None:
    cell = a_cell(tmp_path)
    assert train(cell, trainer="import sys; sys.exit('no disk')") == "failed"
    assert train(cell, trainer=stand_in()) == "finished"
    assert cell.reason == ""
    assert "no disk" in (cell.folder / "fit.log").read_text()


def test_a_refusal_is_final_and_says_why(tmp_path: Path) -> None:
    cell = a_cell(tmp_path, 0, "refused")
    assert train(cell, trainer=stand_in()) == "refused"
    assert cell.reason == "Y cannot run on this network: so (Z)"
    (cell.folder / "fit.log").unlink()
    assert train(cell, trainer=stand_in()) == "refused"
    assert not (cell.folder / "fit.log").exists()


@pytest.mark.parametrize(
    ("trainer", "reason"),
    [
        ("", "the training ended without a model (fast_dev_run, or no checkpoints)"),
        ("import os; os.kill(os.getpid(), 9)", "killed by signal 9; memory may have run out"),
        ("import os; os.kill(os.getpid(), 6)", "killed by signal 6; see fit.log"),
        ("import os; os._exit(3)", "exit code 3 and no output"),
    ],
)
def test_whatever_ends_a_training_is_said(tmp_path: Path, trainer: str, reason: str) -> None:
    assert train(a_cell(tmp_path), trainer=trainer) == "failed"
    assert a_cell(tmp_path).reason == reason


def test_an_interruption_is_no_failure(tmp_path: Path) -> None:
    cell = a_cell(tmp_path)
    begin = "import sys, pathlib; pathlib.Path(sys.argv[1], 'config.yaml').touch(); sys.exit(130)"
    assert train(cell, trainer=begin) == "interrupted"
    assert train(cell, trainer=stand_in()) == "finished"


def test_two_workers_never_train_one_cell_at_the_same_time(tmp_path: Path) -> None:
    cell = a_cell(tmp_path)
    slow = stand_in(epochs=5, seconds=0.05)
    workers = [threading.Thread(target=train, args=(cell,), kwargs={"trainer": slow}) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert epochs(cell) == [0, 1, 2, 3, 4]
    assert len((cell.folder / "trained").read_text().split()) == 1


def test_a_training_ends_with_its_worker_and_goes_on_in_another(tmp_path: Path) -> None:
    cell = a_cell(tmp_path)
    work = f"""
from pathlib import Path
from plasticode.analysis.cell_job import train
from plasticode.analysis.cells import Cell
train(Cell("a.rule.Rule", "net", 0, "trainer: {{max_epochs: 1}}", ("--seed", "0"), Path({str(tmp_path)!r})),
      trainer={stand_in(epochs=6, seconds=0.2)!r})
"""
    worker = subprocess.Popen([sys.executable, "-c", work])
    until(lambda: (cell.folder / "epochs").exists())
    orphan = (cell.folder / "began").read_text()
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert cell.state == "interrupted"
    assert train(cell, trainer=stand_in(epochs=6)) == "finished"  # waits for the claim, too
    assert epochs(cell) == [0, 1, 2, 3, 4, 5]
    (trained,) = (cell.folder / "trained").read_text().split()
    assert trained != orphan  # which did not live to the end


def test_the_claimant_begins_goes_on_or_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plasticode.analysis.cell_job._end_with_worker", lambda: None)
    run, told = tmp_path / "run", []
    run.mkdir()

    def main(arguments: object) -> int:
        told.append(arguments)
        return 0

    for made in ("nothing", "config.yaml", "model.json"):
        (run / made).touch()
        claim_and_train(main, str(run), ["--config", "x"])
    assert told == [["fit", "--config", "x", "--run-dir", str(run)], ["fit", "--resume", str(run)]]


def test_threads_are_the_cells_unless_the_user_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = "import os, sys, pathlib; pathlib.Path(sys.argv[1], 'model.json').write_text(os.environ['OMP_NUM_THREADS'])"
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    train(a_cell(tmp_path, 0), 3, trainer=ask)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    train(a_cell(tmp_path, 1), 3, trainer=ask)
    assert [(a_cell(tmp_path, seed).folder / "model.json").read_text() for seed in (0, 1)] == ["3", "2"]


def test_the_trainer_is_this_installations_console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever lies in the folder where it is started."""
    (tmp_path / "plasticode").mkdir()
    (tmp_path / "plasticode" / "__init__.py").write_text("raise SystemExit('the wrong one')")
    monkeypatch.chdir(tmp_path)
    cell = a_cell(tmp_path, 0, "--help")
    assert train(cell) == "failed"
    assert (cell.folder / "fit.log").read_text().startswith("usage: plasticode fit")
