"""One cell's training as a job of its own: a `plasticode fit` of this very installation, in another process.

That process claims the cell by a lock on its folder, so that whoever writes there is alone, and holds the claim as long
as it lives. It ends when the worker that started it does. A worker that was killed leaves a cell that goes on elsewhere
from its last epoch: nothing is lost, nothing is trained twice. (Between machines this needs shared folders with locks.)
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock

from .cells import CONFIG, DONE, LOG, MODEL, Cell, State

# The training halves are reached through the console, and from another process: `analysis` imports neither.
TRAINER = f"""
import sys
from {__name__} import claim_and_train
from {__package__.rpartition(".")[0]}.cli import main
sys.exit(claim_and_train(main, sys.argv[1], sys.argv[2:]))
"""
INTERRUPTED = 130  # exit code of a training that was told to stop
REFUSAL = "cannot run on this network"  # what every learning rule says that refuses a network
LAST_LINES = 3


def train(cell: Cell, threads: int | None = None, trainer: str = TRAINER) -> State:
    """Train a cell, or go on training it, unless that is done; returns its state after that.

    Parameters
    ----------
    threads
        Processor threads of the training, unless OMP_NUM_THREADS is set; None leaves them alone.
    trainer
        The Python program that trains. Its arguments: the folder, then those of `plasticode fit`.

    Raises nothing for a training that fails: the reason is recorded in the cell, the output in its fit.log.
    """
    if cell.state in DONE:
        return cell.state
    config = cell.write_config()
    cell.forget_failure()
    log = cell.folder / LOG
    start = log.stat().st_size if log.is_file() else 0
    # -P: a folder called `plasticode` or `datasets` where the command is given is not what is meant.
    command = [sys.executable, "-P", "-c", trainer, str(cell.folder), "--config", str(config), *cell.arguments]
    with (
        log.open("ab") as output,
        subprocess.Popen(  # noqa: S603 # this interpreter, with arguments that no shell reads
            command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, env=_environment(threads)
        ) as process,
    ):
        code = process.wait()  # `with` closes its stdin only after that: see `_end_with_worker`
    if cell.state != "finished" and code not in {INTERRUPTED, -2, -15}:
        reason = _reason(log, start, code)
        refused = REFUSAL in reason
        cell.fail(reason.partition(". See ")[0] if refused else reason, refused)
    return cell.state


def claim_and_train(main: Callable[[Sequence[str]], int], folder: str, arguments: Sequence[str]) -> int:
    """In the training's own process: wait for the claim, do what is missing; returns the exit code.

    Parameters
    ----------
    main
        The console, `plasticode.cli.main`.
    folder
        Of the cell.
    arguments
        Of `plasticode fit`, for a cell that nobody has begun.
    """
    threading.Thread(target=_end_with_worker, daemon=True).start()
    run = Path(folder)
    with FileLock(run.with_name(f".{run.name}.lock")):
        if (run / MODEL).is_file():
            return 0  # somebody else has trained it while this process waited
        if (run / CONFIG).is_file():
            return main(["fit", "--resume", folder])
        return main(["fit", *arguments, "--run-dir", folder])


def _end_with_worker() -> None:
    """The worker holds the other end of stdin, and lets go of it when it dies, whatever of."""
    if not os.read(0, 1):  # the file object would be locked when the interpreter ends
        os._exit(INTERRUPTED)  # what is written is whole: every file is moved to its place when it is complete


def _environment(threads: int | None) -> dict[str, str]:
    chosen = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    return {**chosen, **os.environ}


def _reason(log: Path, start: int, code: int) -> str:
    """The last lines that this attempt wrote; the one of a user's error alone, where there is one."""
    with log.open("rb") as written:
        written.seek(start)
        lines = [line.strip() for line in written.read().decode(errors="replace").splitlines() if line.strip()]
    if code < 0:
        return f"killed by signal {-code}; {'memory may have run out' if code == -9 else f'see {log.name}'}"
    if code == 0:
        return "the training ended without a model (fast_dev_run, or no checkpoints)"
    said = [line.removeprefix("plasticode fit: ") for line in lines if line.startswith("plasticode fit: ")]
    return (said[-1] if said else " | ".join(lines[-LAST_LINES:])) or f"exit code {code} and no output"
