"""The parent's main loop: it keeps the workers running until the stop."""

import functools
import gc
import logging
import math
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from granian import Granian

from llmgw.config import Config
from llmgw.serving.admin_process import AdminProcess
from llmgw.serving.bulletin import ADMIN, RESTARTS, Bulletin
from llmgw.serving.metrics_files import with_files
from llmgw.serving.restarts import Restarts
from llmgw.serving.run_folder import RunFolder
from llmgw.serving.worker import KILL_GRACE_S

logger = logging.getLogger(__name__)

START_ATTEMPTS: Final = 3
"""A gateway that has never answered gives up when a worker has died so often."""
_TICK_S: Final = 0.25


class Server(Granian):  # type: ignore[misc, valid-type]  # which class this is depends on the interpreter
    """granian with a main loop of ours: granian's ends the server when a worker dies twice within 5.5 s."""

    has_answered = False
    """True once a worker has served a request: from then on, nothing but a stop ends the gateway."""
    failure: str | None = None
    """Why the gateway could not start."""
    admin: AdminProcess | None = None
    """The process of the admin API, where it has one."""

    def watch(self, folder: RunFolder, bulletin: Bulletin, *, on_restart: Callable[[], None]) -> None:
        """Where to tell of the workers; `on_restart` is called after one was started again."""
        self._folder = folder
        self._bulletin = bulletin
        self._on_restart = on_restart
        self._dead: dict[int, list[int]] = {}
        # By the worker's index: the process ids whose files wait for a successor.

    interrupt_signal: bool  # granian's
    _at_once = False
    """The stop does not wait for `stop_delay_s`."""

    def stop_soon(self, *, at_once: bool) -> None:
        """Begin a stop; the second call ends `stop_delay_s`, as does `at_once`. Safe on any thread."""
        if at_once or self.interrupt_signal:
            self._at_once = True
            self._end_delay()
        self.interrupt_signal = True
        self.main_loop_interrupt.set()

    def _end_delay(self) -> None:
        for worker in list(self.wrks):
            if worker.inner.is_alive():
                with suppress(ProcessLookupError):
                    os.kill(worker.inner.pid, signal.SIGINT)

    def pids(self) -> list[int]:
        """The process ids of the workers."""
        return [worker.inner.pid for worker in list(self.wrks) if worker.inner.pid is not None]

    def take_over(self, config: Config) -> None:
        """Apply a new config in the parent."""
        self.workers_kill_timeout = kill_timeout_s(config)
        logging.getLogger("llmgw").setLevel(config.server.log_level.upper())

    def _spawn_workers(self, spawn_target: Any, target_loader: Any) -> None:  # noqa: ANN401  (granian's)
        # A collection writes into every object that it looks at, and unshares its page from the parent's.
        gc.freeze()
        if self.admin is not None:
            self.admin.start()
        super()._spawn_workers(spawn_target, target_loader)

    def _stop_workers(self) -> None:
        if self._at_once:  # one that was just being started has not heard of it
            self._end_delay()
        if self.admin is None:
            super()._stop_workers()
            return
        self.admin.begin_stop()
        super()._stop_workers()
        self.admin.stop()

    def _serve_loop(self, spawn_target: Any, target_loader: Any) -> None:  # noqa: ANN401  (granian's)
        restarts = Restarts(range(self.workers), time.monotonic())
        self._tell_pids()
        while not (self.interrupt_signal or self.failure):
            self.main_loop_interrupt.wait(_TICK_S)
            self.main_loop_interrupt.clear()
            while self.interrupt_children:
                restarts.died(self.interrupt_children.pop(0), time.monotonic())
            if restarts.deaths() >= START_ATTEMPTS and not self.has_answered:
                self.failure = "the workers die as they start; the log says why"
            elif not self.interrupt_signal:
                self._restart(restarts, spawn_target, target_loader)
                if self.admin is not None:
                    self.admin.tick(functools.partial(self._bulletin.notice, ADMIN))

    def _restart(self, restarts: Restarts, spawn_target: Any, target_loader: Any) -> None:  # noqa: ANN401  (as above)
        for index in restarts.due(time.monotonic()):
            if self._start(index, spawn_target, target_loader):
                restarts.started(index, time.monotonic())
                self._tell_pids()
                self._on_restart()
            else:
                restarts.died(index, time.monotonic())
        self._bulletin.notice(RESTARTS, restarts.notice(time.monotonic()))

    def _start(self, index: int, spawn_target: Any, target_loader: Any) -> bool:  # noqa: ANN401  (as above)
        """Put a new worker in the place of one that died. False if the system has no process to give."""
        dead = self._dead[index] = with_files([*self._dead.get(index, ()), self.wrks[index].inner.pid])
        loader = functools.partial(target_loader, predecessors=dead)
        worker = self._spawn_worker(idx=index, target=spawn_target, callback_loader=loader)
        try:
            worker.start()
        except (OSError, RuntimeError) as error:  # RuntimeError: no thread to watch it
            logger.error("worker %d can't be started: %s", index + 1, error)  # noqa: TRY400
            if worker.inner.pid is not None:
                worker.kill()
            return False
        self.wrks[index] = worker
        return True

    def _tell_pids(self) -> None:
        try:
            self._folder.report_workers(self.pids())
        except OSError as error:
            logger.error("llmgw reload will not find the workers: %s", error)  # noqa: TRY400


def kill_timeout_s(config: Config) -> int:
    """How long a worker may take to stop."""
    return math.ceil(config.server.stop_delay_s + config.server.drain_timeout_s) + KILL_GRACE_S
