"""How the parent process reloads: it checks the new config, activates it and answers `llmgw reload`."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from llmgw.config import Config, ConfigError, Fault, load_config, restart_faults
from llmgw.serving.run_folder import ActiveConfig, ReloadResult, RunFolder

logger = logging.getLogger(__name__)


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
        self._signals, self._wakeup = socket.socketpair()
        self._wakeup.setblocking(False)  # noqa: FBT003  (its one argument)
        self._busy = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="llmgw-reloader", daemon=True)

    def start(self) -> None:
        """Start to listen to signals. From here on, no worker is forked in the middle of a reload.

        CPython runs signal handlers on the main thread only, which sleeps in a lock here. If signals come
        close together, another thread may receive one and does not wake the main thread: the stop is lost
        (seen with 3.11 in 2 of 100 tries). The wakeup socket works whichever thread receives the signal.
        """
        os.register_at_fork(
            before=self._busy.acquire,
            after_in_parent=self._busy.release,
            after_in_child=self._leave_to_the_parent,
        )
        signal.set_wakeup_fd(self._wakeup.fileno(), warn_on_full_buffer=False)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        signal.set_wakeup_fd(-1)
        self._wakeup.close()
        self._thread.join()
        self._signals.close()

    def _leave_to_the_parent(self) -> None:
        self._busy.release()
        signal.set_wakeup_fd(-1)

    def _run(self) -> None:
        while numbers := self._signals.recv(64):
            if signal.SIGINT in numbers or signal.SIGTERM in numbers:
                self._on_stop()
            elif signal.SIGHUP in numbers:
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
