"""How the parent process runs the gateway under granian, for `serve` and `demo`."""

import http.client
import logging
import math
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Final

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings, HTTP2Settings
from granian.log import LogLevels
from granian.server.common import AbstractServer

from llmgw.config import MULTIPROC_ENV, Config
from llmgw.config.address import local_host, url_of
from llmgw.errors import CommandError
from llmgw.limits.files import possible_connections, raise_file_limit
from llmgw.observe.logs import log_config
from llmgw.serving.reloader import SERVER_SIGNALS, Reloader
from llmgw.serving.run_folder import RUN_FOLDER_ENV, RunFolder
from llmgw.serving.worker import load_app
from llmgw.store.open import opened_store

BACKLOG: Final = 4096
MAX_HEAD_BYTES: Final = 131_072
"""Limit of request line and headers together; beyond it the answer is 431."""
_KILL_GRACE_S: Final = 5
"""Time for a worker to write its ledger after `drain_timeout_s`."""
_POLL_INTERVAL_S: Final = 0.02


def run_gateway(
    config: Config, *, host: str, port: int, workers: int, on_ready: Callable[[str], None]
) -> None:
    """Serve until SIGINT or SIGTERM; then streams get `drain_timeout_s` to finish.

    `on_ready(url)` is called from a thread once the gateway answers. Raises CommandError if the address or
    the database can't be used, SystemExit if the workers keep failing.
    """
    raise_file_limit()
    port = claim_port(host, port)
    with opened_store(config):
        pass  # a bad database stops the start; a good one is closed, because it must not cross a fork
    with ExitStack() as stack:
        # `Reloader` waits for them. A worker inherits the mask, so a signal during its start stays pending
        # until its handlers are set. As soon as the folder exists, `llmgw reload` may send SIGHUP.
        signal.pthread_sigmask(signal.SIG_BLOCK, SERVER_SIGNALS)
        folder = _run_folder(config)
        stack.callback(folder.remove)
        os.environ[RUN_FOLDER_ENV] = str(folder.path)
        os.environ.pop(MULTIPROC_ENV, None)
        if workers > 1:
            metrics = tempfile.TemporaryDirectory(prefix="llmgw-metrics-")
            os.environ[MULTIPROC_ENV] = stack.enter_context(metrics)
        server = _server(config, host, port, workers)
        reloader = Reloader(
            folder, config, workers=server.pids, on_config=server.take_over, on_stop=server.stop_soon
        )
        reloader.start()
        stack.callback(reloader.stop)
        stopped = threading.Event()
        stack.callback(stopped.set)
        arguments = (server, host, port, stopped, on_ready)
        threading.Thread(target=_tell_when_ready, args=arguments, name="llmgw-ready", daemon=True).start()
        try:
            server.serve(target_loader=load_app, wrap_loader=False)
        except SystemExit:
            # granian takes a worker that stops before its parent for a failed one; this stop was asked for.
            if not server.interrupt_signal:
                raise


class _Server(Granian):  # type: ignore[misc, valid-type]  # which class this is depends on the interpreter
    """granian with what `Reloader` needs of it."""

    def stop_soon(self) -> None:
        """Begin a stop. Safe on any thread."""
        self.interrupt_signal = True
        self.main_loop_interrupt.set()

    def pids(self) -> list[int]:
        """The workers' process ids."""
        return [worker.inner.pid for worker in list(self.wrks)]

    def take_over(self, config: Config) -> None:
        """Apply a new config in the parent."""
        self.workers_kill_timeout = _kill_timeout_s(config)
        logging.getLogger("llmgw").setLevel(config.server.log_level.upper())


def _server(config: Config, host: str, port: int, workers: int) -> _Server:
    return _Server(
        "llmgw.app:create_app",  # a name only: load_app makes it
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        http=HTTPModes.auto,
        websockets=False,
        workers=workers,
        backlog=BACKLOG,
        # Further connections wait to be accepted; the app sheds load long before. With no file descriptor
        # left, granian would retry to accept in a busy loop.
        backpressure=possible_connections(config.server),
        http1_settings=HTTP1Settings(max_buffer_size=MAX_HEAD_BYTES),
        http2_settings=HTTP2Settings(max_headers_size=MAX_HEAD_BYTES),
        respawn_failed_workers=True,
        workers_kill_timeout=_kill_timeout_s(config),
        log_level=LogLevels.debug if config.server.log_level == "debug" else LogLevels.warning,
        log_dictconfig=log_config(config.server.log_level),
    )


def _kill_timeout_s(config: Config) -> int:
    return math.ceil(config.server.drain_timeout_s) + _KILL_GRACE_S


def _run_folder(config: Config) -> RunFolder:
    try:
        return RunFolder.create(config.store.url)
    except OSError as error:
        problem = f"can't write beside the database ({error.filename}: {error.strerror})"
        raise CommandError(f"{problem}; check the permissions of its folder") from error


def claim_port(host: str, port: int) -> int:
    """`port`, or a free one for 0. Raises CommandError if the gateway can't listen on it.

    Without this check granian would silently share the port with another process (SO_REUSEPORT).
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            free: int = probe.getsockname()[1]
            return free
    except (OSError, OverflowError) as error:  # OverflowError: not a 16-bit number
        reason = error.strerror if isinstance(error, OSError) else "a port is a number up to 65535"
        problem = f"can't listen on {url_of(host, port)}: {reason}"
        raise CommandError(f"{problem}; choose another address with --host and --port") from error


def _tell_when_ready(
    server: AbstractServer[Any],
    host: str,
    port: int,
    stopped: threading.Event,
    on_ready: Callable[[str], None],
) -> None:
    """Call `on_ready` when the server answers."""
    # granian's hooks run before a worker has bound its socket, so only an answer proves that it serves. Until
    # all workers are forked this thread only sleeps: it must not hold a lock during a fork.
    while len(server.wrks) < server.workers or not is_up(host, port):
        if stopped.wait(_POLL_INTERVAL_S):
            return
    on_ready(url_of(host, port))


def is_up(host: str, port: int) -> bool:
    """True if `GET /healthz` answers 200."""
    connection = http.client.HTTPConnection(local_host(host), port, timeout=1.0)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
