"""Ask a running gateway to reload its config, and wait for the result. For command line and admin API."""

import time
from pathlib import Path
from typing import Final

from llmgw.admin.context import Reloaded
from llmgw.errors import CommandError
from llmgw.serving.run_folder import RunFolder

TIMEOUT_S: Final = 15.0
_POLL_INTERVAL_S: Final = 0.02


def ask_to_reload(folder: RunFolder, file: Path, timeout_s: float = TIMEOUT_S) -> Reloaded:
    """Let the gateway of this folder load a config file. Blocking.

    Raises CommandError: it can't be asked, or does not answer in time.
    """
    try:
        return _ask(folder, file, time.monotonic() + timeout_s)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CommandError(f"the gateway in {folder.path} can't be asked: {error}") from error


def _ask(folder: RunFolder, file: Path, deadline_s: float) -> Reloaded:
    pid = folder.pid
    request = folder.ask(file)
    while (result := folder.result(request)) is None:
        _wait(f"the gateway with process id {pid} does not answer", deadline_s)
    problems = [
        f"worker {worker}: {problem}"
        for worker in (() if result.faults else result.workers)
        if (problem := _problem(folder, worker, result.generation, deadline_s)) is not None
    ]
    return Reloaded(pid, result.generation, result.workers, result.faults, problems)


def _problem(folder: RunFolder, pid: int, generation: int, deadline_s: float) -> str | None:
    """Wait for a worker. None: it uses the config, or it has ended and its successor uses it."""
    while (report := folder.worker_state(pid)) is None or report.generation < generation:
        if pid not in folder.workers():
            return None
        _wait(f"worker {pid} has not taken the config over yet", deadline_s)
    return report.problem


def _wait(what: str, deadline_s: float) -> None:
    """Sleep before the next poll. Raises CommandError after the deadline."""
    if time.monotonic() > deadline_s:
        raise CommandError(f"{what}; its log may say why")
    time.sleep(_POLL_INTERVAL_S)
