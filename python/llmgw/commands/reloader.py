"""The serving process's part of a reload: check the new config, put it in force, answer `llmgw reload`."""

import logging
import os
import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from llmgw.config import Config, ConfigError, Fault, load_config, restart_faults
from llmgw.control import Current, Result, RunFolder

logger = logging.getLogger(__name__)


class Reloader:
    """A thread beside granian's loop. The workers see for themselves that another config is in force."""

    def __init__(
        self,
        folder: RunFolder,
        config: Config,
        *,
        workers: Callable[[], Sequence[int]],
        on_config: Callable[[Config], None],
    ) -> None:
        """Puts `config` in force as the first.

        `workers` gives their process ids; `on_config` is told of each later config.
        """
        self._folder = folder
        self._config = config
        self._workers = workers
        self._on_config = on_config
        self._generation = 1
        folder.set_current(Current.of(config, self._generation))
        # A signal handler may only touch what the code that it interrupts can't hold, be that a handler too.
        # This queue is made so; an event or a lock is not.
        self._posted: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._busy = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="llmgw-reloader", daemon=True)

    def start(self) -> None:
        """Begin to listen. From here on, no worker is forked in the middle of a reload."""
        os.register_at_fork(
            before=self._busy.acquire,
            after_in_parent=self._busy.release,
            after_in_child=self._busy.release,
        )
        self._thread.start()

    def post(self, action: Callable[[], object]) -> None:
        """Have this done by the thread, soon. May be called in a signal handler."""
        self._posted.put(action)

    def stop(self) -> None:
        """End the thread."""
        self._posted.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (action := self._posted.get()) is not None:
            with self._busy:
                try:
                    action()
                except Exception:
                    logger.exception("a reload failed; the config stays as it is")

    def reload(self) -> None:
        """Answer what was asked; a mere SIGHUP asks for the same file again. To be posted."""
        requests = self._folder.take_requests()
        for request in requests:
            faults = self._take_over(Path(request.config))
            self._folder.answer(request, Result(self._generation, faults, list(self._workers())))
        if not requests:
            self._take_over(self._config.source)

    def _take_over(self, file: Path) -> list[Fault]:
        """Put another config in force. Returns its faults instead, if it has any."""
        try:
            config = load_config(file)
        except ConfigError as error:
            return self._refuse(error)
        if faults := restart_faults(self._config, config):
            return self._refuse(ConfigError(file, faults))
        self._generation += 1
        self._folder.set_current(Current.of(config, self._generation))
        self._config = config
        self._on_config(config)
        logger.info("config generation %d is in force, of %s", self._generation, config.source)
        return []

    @staticmethod
    def _refuse(error: ConfigError) -> list[Fault]:
        logger.error("reload refused, the config stays as it is: %s", error)
        return error.faults
