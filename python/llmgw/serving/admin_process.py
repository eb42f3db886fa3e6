"""The process of the admin API: one beside the workers, with a listener of its own.

No report that it makes takes a worker's time, and whatever happens to it, the gateway goes on: if it dies it
is started again, after the same pauses as a worker.
"""

import asyncio
import functools
import logging
import math
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from granian import Granian, _signals
from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes
from granian.http import HTTP1Settings
from granian.log import LogLevels

from llmgw.asgi.request import MAX_HEAD_BYTES
from llmgw.config import Config
from llmgw.observe.logs import log_config
from llmgw.serving.in_force import Board
from llmgw.serving.orphans import end_with_parent
from llmgw.serving.restarts import Restarts
from llmgw.serving.worker import set_loop_signals

logger = logging.getLogger(__name__)

STOP_TIMEOUT_S: Final = 5
"""For reports that still run at a stop."""
MAX_CONNECTIONS: Final = 256
"""Of the admin process; further ones wait to be accepted."""
NICENESS: Final = 10
"""Where a processor is scarce, answers come before reports."""
_BACKLOG: Final = 256
_NAME: Final = "the admin process"


class AdminProcess(Granian):  # type: ignore[misc, valid-type]  # which class this is depends on the interpreter
    """granian's worker without granian's main loop: the gateway's own loop calls `tick`."""

    def __init__(self, config: Config, board: Board, *, host: str, port: int) -> None:
        """Starts nothing yet. `host`, `port`: where it listens."""
        super().__init__(
            "llmgw.admin.server:AdminServer",  # a name only: load_admin makes it
            address=host,
            port=port,
            interface=Interfaces.ASGI,
            loop=Loops.uvloop,
            http=HTTPModes.http1,
            runtime_mode=RuntimeModes.mt,
            websockets=False,
            workers=1,
            backlog=_BACKLOG,
            backpressure=MAX_CONNECTIONS,
            http1_settings=HTTP1Settings(
                max_buffer_size=MAX_HEAD_BYTES,
                header_read_timeout=math.ceil(config.server.head_timeout_s * 1000),
            ),
            workers_kill_timeout=STOP_TIMEOUT_S,
            log_level=LogLevels.warning,
            log_dictconfig=log_config(config.server.log_level),
        )
        self._board = board
        self._restarts: Restarts | None = None

    def start(self) -> None:
        """Start the process. It may fail as it likes: `tick` starts it again."""
        self._init_shared_socket()
        self._restarts = Restarts([0], time.monotonic(), name=_NAME)
        if not self._spawn():
            self._restarts.died(0, time.monotonic())

    def tick(self, tell: Callable[[str | None], None]) -> None:
        """Start it again if it died. `tell` is given what `/readyz` shall say of it; None: nothing."""
        restarts = self._restarts
        if restarts is None:
            return
        while self.interrupt_children:
            self.interrupt_children.pop()
            restarts.died(0, time.monotonic())
        if restarts.due(time.monotonic()):
            if self._spawn():
                restarts.started(0, time.monotonic())
            else:
                restarts.died(0, time.monotonic())
        tell(restarts.notice(time.monotonic()))

    def begin_stop(self) -> None:
        """Let it end."""
        for worker in self.wrks:
            worker.terminate()

    def stop(self) -> None:
        """Wait until it has ended; it is killed after `STOP_TIMEOUT_S`."""
        self._stop_workers()

    def _spawn(self) -> bool:
        loader = functools.partial(load_admin, self._board)
        worker = self._spawn_worker(idx=0, target=self._spawn_asgi_lifespan_worker, callback_loader=loader)
        try:
            worker.start()
        except (OSError, RuntimeError) as error:  # RuntimeError: no thread to watch it
            logger.error("%s can't be started: %s", _NAME, error)  # noqa: TRY400
            if worker.inner.pid is not None:
                worker.kill()
            return False
        self.wrks[:] = [worker]
        return True


class _Watch:
    """Takes over what the parent puts on its board."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._version: int | None = None

    async def __call__(self, server: Any) -> None:  # noqa: ANN401  (see load_admin)
        from llmgw.gateway import hide_secrets

        version = self._board.version()
        if version == self._version:
            return
        current = await asyncio.to_thread(self._board.read)
        hide_secrets(current.config)
        server.config = current.config
        logging.getLogger("llmgw").setLevel(current.config.server.log_level.upper())
        self._version = version


def load_admin(board: Board) -> Any:  # noqa: ANN401  (an ASGI application)
    """Make the application. granian calls this in the admin process, before it sets the signal handlers."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # only the parent handles it
    # What the workers count is theirs.
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
    # Imported here, because FastAPI is an extra, and the parent needs none of it.
    from llmgw.admin.server import AdminServer
    from llmgw.serving.admin_context import GATEWAY_URL_ENV, admin_context

    end_with_parent(lambda: STOP_TIMEOUT_S)
    with suppress(OSError):  # a sandbox may forbid it
        os.nice(NICENESS)
    server = AdminServer(
        board.read().config, admin_context, _Watch(board), gateway_url=os.environ[GATEWAY_URL_ENV]
    )
    _signals.set_loop_signals = functools.partial(set_loop_signals, on_stop=lambda: None)
    return server
