"""Cells handed to workers: processes of this machine (joblib), or a Dask cluster. Both give every cell back once.

A worker does nothing but wait for the training that it started (see `cell_job`). On Dask a cell whose worker was killed
is handed to another one, which goes on from the last epoch. What a scheduler sends its workers is code: naming its
address means trusting whoever can reach it. A cluster made here listens on this machine only, and has no dashboard.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from joblib import Parallel, cpu_count, delayed

from ..datasets.errors import WrongArgument
from .cells import Cell, State

Job = Callable[[Cell, int | None], State]  # a cell and its processor threads
LOCAL, REMOTE = "local:", ("tcp://", "tls://")
PATIENCE = 30  # s until a scheduler, or its first worker, must have answered
RETRIES = 3  # of a job that raises (a disk that does not answer); Dask itself tries again where a worker dies


def here(cells: Sequence[Cell], job: Job, n_jobs: int) -> Iterator[tuple[Cell, State]]:
    """Each cell with the state that the job leaves it in, as they are done, `n_jobs` at a time.

    Raises `WrongArgument` for fewer jobs than one.
    """
    if n_jobs < 1:
        raise WrongArgument(f"{n_jobs} jobs", "--n-jobs", "Give 1 or more.")

    def one(cell: Cell) -> tuple[Cell, State]:
        return cell, job(cell, max(1, cpu_count() // n_jobs))

    # Threads are enough: each waits for a process of its own.
    yield from Parallel(n_jobs, prefer="threads", return_as="generator_unordered")(delayed(one)(cell) for cell in cells)


def on_cluster(cells: Sequence[Cell], job: Job, where: str) -> Iterator[tuple[Cell, State]]:
    """The same on a Dask cluster, `where` being "local:2" or the address of a scheduler.

    A cell that cannot be done (its workers died one after the other) comes back with the reason recorded.

    Raises `WrongArgument` for another `where`, without Dask, and when no scheduler or worker answers.
    """
    by_key = {cell.key: cell for cell in cells}
    with _client(where) as (client, threads):
        futures = [
            # A future's name is the cell's: the scheduler, too, knows of each cell once.
            client.submit(job, cell, threads, key=key, retries=RETRIES, pure=False)
            for key, cell in by_key.items()
        ]
        for future in _distributed().as_completed(futures):
            cell = by_key[future.key]
            if future.status != "finished":
                cell.fail(f"on the cluster: {future.exception() or future.status}")
            yield cell, cell.state


def _distributed() -> Any:
    """The module, which is an extra; without types, to mypy."""
    try:
        return import_module("distributed")
    except ImportError as error:
        remedy = 'Install it with `pip install "plasticode[cluster]"`, or leave --cluster out.'
        raise WrongArgument("Dask is not installed", "--cluster", remedy) from error


@contextmanager
def _client(where: str) -> Iterator[tuple[Any, int | None]]:
    """A client of the cluster, and the processor threads that each of its trainings may take."""
    dask = _distributed()
    if where.startswith(LOCAL) and where.removeprefix(LOCAL).isdecimal() and int(where.removeprefix(LOCAL)):
        n_workers = int(where.removeprefix(LOCAL))
        settings: dict[str, Any] = {"host": "127.0.0.1", "dashboard_address": None, "silence_logs": logging.ERROR}
        with dask.LocalCluster(n_workers, threads_per_worker=1, **settings) as made, dask.Client(made) as client:
            yield client, max(1, cpu_count() // n_workers)
        return
    if not where.startswith(REMOTE):
        raise WrongArgument(
            f"no cluster {where!r}", "--cluster", "Give local:2, or the address of a scheduler, tcp://…"
        )
    try:
        client = dask.Client(where, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise WrongArgument(f"no scheduler answers: {error}", where, "Start one with `dask scheduler`.") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError as error:
            remedy = "Start some with `dask worker ADDRESS --nthreads 1`."
            raise WrongArgument("the scheduler has no workers", where, remedy) from error
        yield client, None
