"""Oracles: counting: every cell once, whatever dies; a promise (errors, what listens where)."""

from __future__ import annotations

import functools
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from plasticode.analysis.cell_job import train
from plasticode.analysis.cells import Cell
from plasticode.analysis.cluster import here, on_cluster
from plasticode.datasets.errors import WrongArgument

# A training of four epochs that goes on where it was, and says which worker started it.
STAND_IN = """
import os, sys, time
from pathlib import Path
from plasticode.analysis.cell_job import claim_and_train

def main(arguments):
    run = Path(arguments[-1])
    (run / "config.yaml").touch()
    (run / "worker").write_text(str(os.getppid()))
    epochs = run / "epochs"
    for epoch in range(len(epochs.read_text().split()) if epochs.exists() else 0, 4):
        time.sleep(0.1)
        with epochs.open("a") as file:
            file.write(f"{epoch}\\n")
    with (run / "trained").open("a") as file:
        file.write("once\\n")
    (run / "model.json").write_text("{}")
    return 0

sys.exit(claim_and_train(main, sys.argv[1], sys.argv[2:]))
"""
job = functools.partial(train, trainer=STAND_IN)


def matrix(folder: Path, n_cells: int) -> list[Cell]:
    return [Cell("a.Rule", "net", seed, "{}", ("--seed", str(seed)), folder) for seed in range(n_cells)]


def trained_once(cells: list[Cell]) -> bool:
    """Each to its end, each epoch once."""
    return all(
        (cell.folder / "trained").read_text() == "once\n"
        and (cell.folder / "epochs").read_text().split() == ["0", "1", "2", "3"]
        for cell in cells
    )


def kill_a_worker(cells: list[Cell], killed: list[int]) -> None:
    """The one that is in the middle of a cell."""
    for _ in range(3000):
        for cell in cells:
            epochs = cell.folder / "epochs"
            if cell.state == "interrupted" and epochs.exists() and len(epochs.read_text().split()) == 2:
                worker = int((cell.folder / "worker").read_text())
                os.kill(worker, signal.SIGKILL)
                killed.append(worker)
                return
        time.sleep(0.01)


def test_on_this_machine_every_cell_comes_back_once(tmp_path: Path) -> None:
    cells = matrix(tmp_path, 5)
    found = list(here(cells, job, 3))
    assert sorted(cell.seed for cell, _ in found) == [0, 1, 2, 3, 4]
    assert {state for _, state in found} == {"finished"}
    assert trained_once(cells)


def test_on_this_machine_so_many_at_a_time_as_asked_share_the_processors(tmp_path: Path) -> None:
    running, most, threads, lock = [0], [0], set(), threading.Lock()

    def count(cell: Cell, n_threads: int | None) -> Any:
        with lock:
            threads.add(n_threads)
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.02)
        with lock:
            running[0] -= 1
        return "finished"

    assert len(list(here(matrix(tmp_path, 8), count, 2))) == 8
    assert most == [2]
    assert threads == {max(1, len(os.sched_getaffinity(0)) // 2)}


def test_a_dask_worker_that_is_killed_loses_nothing_and_counts_nothing_twice(tmp_path: Path) -> None:
    cells, killed = matrix(tmp_path, 6), []
    killer = threading.Thread(target=kill_a_worker, args=(cells, killed))
    killer.start()
    found = list(on_cluster(cells, job, "local:2"))
    killer.join()
    assert len(killed) == 1
    assert sorted(cell.seed for cell, _ in found) == [0, 1, 2, 3, 4, 5]
    assert {state for _, state in found} == {"finished"}
    assert trained_once(cells)


def look(cell: Cell, threads: int | None) -> Any:
    """What the cluster's processes listen on, as a worker sees its family."""
    family = psutil.Process().parent()
    assert family is not None
    addresses = {
        connection.laddr.ip
        for process in [family, *family.children(recursive=True)]
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }
    cell.fail(" ".join(sorted(addresses)))
    if cell.seed == 1:
        raise RuntimeError("a job that breaks")
    return "failed"


def test_a_cluster_made_here_listens_here_only_and_a_job_that_breaks_is_a_cell_with_its_reason(tmp_path: Path) -> None:
    cells = matrix(tmp_path, 2)
    found = {cell.seed: cell.reason for cell, _ in on_cluster(cells, look, "local:1")}
    assert found == {0: "127.0.0.1", 1: "on the cluster: a job that breaks"}


@pytest.mark.parametrize("where", ["local", "local:0", "local:x", "http://host", "host:8786"])
def test_a_cluster_is_local_or_an_address(tmp_path: Path, where: str) -> None:
    with pytest.raises(WrongArgument, match=r"no cluster '.*' \(--cluster\). Give local:2, or the address"):
        list(on_cluster(matrix(tmp_path, 1), job, where))


def test_a_scheduler_that_does_not_answer_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plasticode.analysis.cluster.PATIENCE", 0.2)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(WrongArgument, match=r"no scheduler answers: .*Start one with `dask scheduler`"):
        list(on_cluster(matrix(tmp_path, 1), job, f"tcp://127.0.0.1:{port}"))


def test_a_scheduler_without_workers_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import Scheduler, SpecCluster

    monkeypatch.setattr("plasticode.analysis.cluster.PATIENCE", 0.5)
    with (
        SpecCluster({}, {"cls": Scheduler, "options": {"host": "127.0.0.1", "dashboard": False}}) as empty,
        pytest.raises(WrongArgument, match=r"the scheduler has no workers .* Start some with `dask worker ADDRESS"),
    ):
        list(on_cluster(matrix(tmp_path, 1), job, empty.scheduler_address))


def test_without_dask_the_remedy_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(WrongArgument, match=r"Dask is not installed \(--cluster\). Install it with `pip install"):
        list(on_cluster(matrix(tmp_path, 1), job, "local:2"))


def test_no_jobs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongArgument, match=r"0 jobs .*Give 1 or more"):
        list(here(matrix(tmp_path, 1), job, 0))
