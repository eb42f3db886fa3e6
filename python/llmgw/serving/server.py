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
from llmgw.serving.reloader import Reloader
from llmgw.serving.run_folder import RUN_FOLDER_ENV, RunFolder
from llmgw.serving.worker import STOP_SIGNALS, load_app
from llmgw.store.open import opened_store

BACKLOG: Final = 4096
MAX_HEAD_BYTES: Final = 131_072
"""Limit of request line and headers together; beyond it the answer is 431."""
_KILL_GRACE_S: Final = 5
"""Time for a worker to write its ledger after `drain_timeout_s`."""
_POLL_INTERVAL_S: Final = 0.02
_REMIND_INTERVAL_S: Final = 0.5


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
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a reload may be asked for as soon as the folder exists
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
        threading.Thread(target=_watch_workers, args=arguments, name="llmgw-watch", daemon=True).start()
        _keep_stops_for_new_workers()
        try:
            server.serve(target_loader=load_app, wrap_loader=False)
        except SystemExit:
            # granian takes a worker that stops before its parent for a failed one; this stop was asked for.
            if not server.interrupt_signal:
                raise


class _Server(Granian):  # type: ignore[misc, valid-type]  # which class this is depends on the interpreter
    """granian with other signal handling in the parent process."""

    def signal_handler_reload(self, *_: object) -> None:
        """SIGHUP is for `Reloader`. granian would replace its workers and cut off their requests."""

    def signal_handler_interrupt(self, *_: object) -> None:
        """SIGINT and SIGTERM too. granian would set the event here, and deadlock at a second signal."""

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


def _keep_stops_for_new_workers() -> None:
    """Keep a stop signal from being lost while a worker starts.

    A new worker has its parent's signal handlers, which do nothing there, until it sets its own after its
    imports. A signal in between would be lost, and the parent would wait until the kill timeout.
    """

    def restore() -> None:
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS),
        after_in_child=restore,
    )


def _watch_workers(
    server: AbstractServer[Any],
    host: str,
    port: int,
    stopped: threading.Event,
    on_ready: Callable[[str], None],
) -> None:
    """Call `on_ready` when the server answers, and repeat the stop signal until the workers have stopped."""
    # granian's hooks run before a worker has bound its socket, so only an answer proves that it serves. Until
    # all workers are forked this thread only sleeps: it must not hold a lock during a fork.
    while len(server.wrks) < server.workers or not is_up(host, port):
        if stopped.wait(_POLL_INTERVAL_S):
            return
    on_ready(url_of(host, port))
    # uvloop loses signals between the startup and the first request, and granian sends SIGTERM only once.
    while not stopped.wait(_REMIND_INTERVAL_S):
        for worker in list(server.wrks) if server.interrupt_signal else []:
            worker.terminate()


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
