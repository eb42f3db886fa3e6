"""How the parent process reloads: it checks the new config, activates it and answers `llmgw reload`."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from llmgw.config import Config, ConfigError, Fault, load_config, restart_faults
from llmgw.serving.run_folder import ActiveConfig, ReloadResult, RunFolder
from llmgw.serving.worker import STOP_SIGNALS

logger = logging.getLogger(__name__)

SERVER_SIGNALS: Final = (signal.SIGHUP, *STOP_SIGNALS)


class Reloader:
    """A thread beside granian's loop. Workers notice by themselves that another config is active."""

    def __init__(
        self,
        folder: RunFolder,
        config: Config,
        *,
        workers: Callable[[], Sequence[int]],
        on_config: Callable[[Config], None],
        on_stop: Callable[[], None],
    ) -> None:
        """Activates `config` as the first.

        `workers` returns their process ids; `on_config` is called with each later config, `on_stop` at SIGINT
        and SIGTERM.
        """
        self._folder = folder
        self._config = config
        self._workers = workers
        self._on_config = on_config
        self._generation = 1
        folder.activate(ActiveConfig.of(config, self._generation))
        self._on_stop = on_stop
        self._stopped = False
        self._busy = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="llmgw-reloader", daemon=True)

    def start(self) -> None:
        """Start to wait for `SERVER_SIGNALS`, which must be blocked in every thread.

        From here on, no worker is forked in the middle of a reload.
        """
        os.register_at_fork(
            before=self._busy.acquire, after_in_parent=self._busy.release, after_in_child=self._busy.release
        )
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped = True
        if self._thread.ident is not None:
            signal.pthread_kill(self._thread.ident, signal.SIGHUP)
            self._thread.join()

    def _run(self) -> None:
        while True:
            number = signal.sigwait(SERVER_SIGNALS)
            if self._stopped:
                return
            if number != signal.SIGHUP:
                self._on_stop()
                continue
            with self._busy:
                try:
                    self._reload()
                except Exception:
                    logger.exception("a reload failed; the config stays as it is")

    def _reload(self) -> None:
        """Serve the requests in the folder; a SIGHUP without one reloads the same file."""
        requests = self._folder.take_requests()
        for request in requests:
            faults = self._take_over(Path(request.config))
            self._folder.answer(request, ReloadResult(self._generation, faults, list(self._workers())))
        if not requests:
            self._take_over(self._config.source)

    def _take_over(self, file: Path) -> list[Fault]:
        """Activate the config in `file`, or return its faults."""
        try:
            config = load_config(file)
        except ConfigError as error:
            return self._refuse(error)
        if faults := restart_faults(self._config, config):
            return self._refuse(ConfigError(file, faults))
        self._generation += 1
        self._folder.activate(ActiveConfig.of(config, self._generation))
        self._config = config
        self._on_config(config)
        logger.info("config generation %d is in force, of %s", self._generation, config.source)
        return []

    @staticmethod
    def _refuse(error: ConfigError) -> list[Fault]:
        logger.error("reload refused, the config stays as it is: %s", error)
        return error.faults
