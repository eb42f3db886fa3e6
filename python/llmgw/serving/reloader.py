"""How the parent process reloads: it checks the new config, puts it in force and answers `llmgw reload`."""

import logging
import queue
import signal
import threading
from collections.abc import Callable, Sequence
from enum import Enum, auto
from pathlib import Path
from typing import Final

from llmgw.config import Config, ConfigError, Fault, load_config, restart_faults, secret_faults
from llmgw.serving.bulletin import SECRETS, Bulletin
from llmgw.serving.run_folder import ReloadResult, RunFolder
from llmgw.serving.worker import STOP_SIGNALS

logger = logging.getLogger(__name__)

SERVER_SIGNALS: Final = (signal.SIGHUP, *STOP_SIGNALS)
_REQUESTS_INTERVAL_S: Final = 0.2
"""How often to look for requests of `llmgw reload`."""
_STOP_TIMEOUT_S: Final = 1.0


class _Task(Enum):
    """What the reloading thread is told."""

    AGAIN = auto()
    """Load the same file."""
    CHECK_SECRETS = auto()
    END = auto()


class Reloader:
    """Two threads beside granian's loop: one hears signals and never waits for a file, the other reloads."""

    def __init__(
        self,
        folder: RunFolder,
        bulletin: Bulletin,
        *,
        workers: Callable[[], Sequence[int]],
        on_config: Callable[[Config], None],
        on_stop: Callable[[bool], None],
    ) -> None:
        """`bulletin` has the first config.

        `workers` returns their process ids; `on_config` is called with each later config, `on_stop` at SIGINT
        (True: at once) and SIGTERM (False).
        """
        self._folder = folder
        self._bulletin = bulletin
        self._workers = workers
        self._on_config = on_config
        self._on_stop = on_stop
        self._tasks: queue.SimpleQueue[_Task] = queue.SimpleQueue()
        self._stopped = False
        self._listener = threading.Thread(target=self._listen, name="llmgw-signals", daemon=True)
        self._thread = threading.Thread(target=self._run, name="llmgw-reloader", daemon=True)

    def start(self) -> None:
        """Start to wait for `SERVER_SIGNALS`, which must be blocked in every thread."""
        self._listener.start()
        self._thread.start()

    def check_secrets(self) -> None:
        """Soon, see whether the secrets in force could be read again, and tell if they could not."""
        self._tasks.put(_Task.CHECK_SECRETS)

    def stop(self) -> None:
        """End the threads. One that hangs in a file system is left behind."""
        self._stopped = True
        self._tasks.put(_Task.END)
        if self._listener.ident is not None:
            signal.pthread_kill(self._listener.ident, signal.SIGHUP)
            self._listener.join(_STOP_TIMEOUT_S)
            self._thread.join(_STOP_TIMEOUT_S)

    def _listen(self) -> None:
        while True:
            number = signal.sigwait(SERVER_SIGNALS)
            if self._stopped:
                return
            if number == signal.SIGHUP:
                self._tasks.put(_Task.AGAIN)
            else:
                self._on_stop(number == signal.SIGINT)

    def _run(self) -> None:
        while True:
            task = self._next_task()
            if task is _Task.END:
                return
            try:
                self._do(task)
            except Exception:
                logger.exception("a reload failed; the config stays as it is")

    def _next_task(self) -> _Task | None:
        try:
            return self._tasks.get(timeout=_REQUESTS_INTERVAL_S)
        except queue.Empty:
            return None

    def _do(self, task: _Task | None) -> None:
        """Without a task: answer the requests in the folder."""
        if task is _Task.AGAIN:
            self._take_over(self._bulletin.config.source)
        elif task is _Task.CHECK_SECRETS:
            self._look_for_secrets()
        for request in self._folder.take_requests():
            faults = self._take_over(Path(request.config))
            result = ReloadResult(self._bulletin.generation, faults, list(self._workers()))
            self._folder.answer(request, result)

    def _take_over(self, file: Path) -> list[Fault]:
        """Put the config in `file` in force, or return its faults."""
        try:
            config = load_config(file)
        except ConfigError as error:
            return self._refuse(error)
        if faults := restart_faults(self._bulletin.config, config):
            return self._refuse(ConfigError(file, faults))
        self._bulletin.put_in_force(config)
        self._on_config(config)
        logger.info("config generation %d is in force, of %s", self._bulletin.generation, config.source)
        return []

    def _look_for_secrets(self) -> None:
        """A worker was started again, with the secrets in force. Would a restart of the gateway find them?"""
        config = self._bulletin.config
        faults = secret_faults(config)
        if not faults:
            self._bulletin.notice(SECRETS, None)
            return
        logger.warning(
            "secrets can't be read any more; those in force go on: %s", ConfigError(config.source, faults)
        )
        paths = ", ".join(fault.path for fault in faults)
        self._bulletin.notice(SECRETS, f"secrets can't be read any more, those in force go on: {paths}")

    @staticmethod
    def _refuse(error: ConfigError) -> list[Fault]:
        logger.error("reload refused, the config stays as it is: %s", error)
        return error.faults
