"""How the parent process runs the gateway under granian, for `serve` and `demo`."""

import functools
import http.client
import logging
import logging.config
import math
import os
import signal
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings, HTTP2Settings
from granian.log import LogLevels
from granian.server.common import AbstractServer
from sqlalchemy.exc import SQLAlchemyError

from llmgw.access.keys import has_admin_key
from llmgw.admin.console import ROOT as CONSOLE
from llmgw.asgi.request import MAX_HEAD_BYTES
from llmgw.budgets.spend import open_current
from llmgw.config import MULTIPROC_ENV, Config
from llmgw.config.address import local_host, url_of
from llmgw.config.files import make_private
from llmgw.errors import CommandError
from llmgw.ledger.days import ensure_days
from llmgw.ledger.months import make_months
from llmgw.limits.files import check_file_limit, possible_connections, raise_file_limit
from llmgw.limits.table import check_table
from llmgw.observe.logs import log_config
from llmgw.serving.admin_context import GATEWAY_URL_ENV
from llmgw.serving.admin_process import AdminProcess
from llmgw.serving.bulletin import Bulletin
from llmgw.serving.ports import claim
from llmgw.serving.processes import Server, kill_timeout_s
from llmgw.serving.reloader import SERVER_SIGNALS, Reloader
from llmgw.serving.run_folder import RUN_FOLDER_ENV, RunFolder
from llmgw.serving.worker import load_app, preload
from llmgw.store import Store
from llmgw.store.open import opened_store

logger = logging.getLogger(__name__)

BACKLOG: Final = 4096
MAX_STREAMS: Final = 32
"""Of one HTTP/2 connection at once."""
STREAM_BUFFER_BYTES: Final = 65_536
"""What the server keeps of one HTTP/2 stream beyond what the client has room for."""
_POLL_INTERVAL_S: Final = 0.02


class Listening(NamedTuple):
    """Where a gateway answers."""

    url: str
    console: str | None
    """The console's address on this machine; None: the admin API is off."""
    has_admin: bool
    """At its start there was a key that the admin API takes. True where that is off."""


def run_gateway(
    config: Config, *, host: str, port: int, workers: int, on_ready: Callable[[Listening], None]
) -> None:
    """Serve until SIGINT or SIGTERM; then streams get `drain_timeout_s` to finish.

    SIGTERM: only after `stop_delay_s`, unless a second signal comes.

    `on_ready` is called from a thread once the gateway answers. Raises CommandError if the address or
    the database can't be used, or if no worker can be started. Later, one that dies is started again.
    """
    logging.config.dictConfig(log_config(config.server.log_level))
    raise_file_limit()
    check_file_limit(workers)
    with ExitStack() as stack:
        address = stack.enter_context(closing(claim(host, port)))
        with opened_store(config.store) as store:  # a bad one stops the start
            _prepare_months(store)
            _prepare_sums(store, config)
            has_admin = not config.admin.enabled or _has_admin(store)
        # It is closed, because it must not cross a fork.
        # `Reloader` waits for them. A worker inherits the mask, so a signal during its start stays pending
        # until its handlers are set.
        signal.pthread_sigmask(signal.SIG_BLOCK, SERVER_SIGNALS)
        folder = _run_folder(config)
        check_table(config)
        stack.callback(folder.remove)
        os.environ[RUN_FOLDER_ENV] = str(folder.path)
        os.environ.pop(MULTIPROC_ENV, None)
        if workers > 1:
            metrics = tempfile.TemporaryDirectory(prefix="llmgw-metrics-")
            os.environ[MULTIPROC_ENV] = stack.enter_context(metrics)
        preload()
        bulletin = Bulletin(config)
        stack.callback(bulletin.board.close)
        os.environ[GATEWAY_URL_ENV] = url_of(local_host(host), address.port)
        server = _server(config, host, address.port, workers)
        console = url_of(local_host(host), address.port) if config.admin.enabled else None
        if config.admin.enabled and config.admin.port is not None:
            admin_host = config.admin.host or host
            admin = stack.enter_context(closing(claim(admin_host, config.admin.port)))
            server.admin = AdminProcess(config, bulletin.board, host=admin_host, port=admin.port)
            console = url_of(local_host(admin_host), admin.port)
            logger.info("the admin API listens on %s", url_of(admin_host, admin.port))
        reloader = Reloader(
            folder,
            bulletin,
            workers=server.pids,
            on_config=server.take_over,
            on_stop=lambda at_once: server.stop_soon(at_once=at_once),
        )
        server.watch(folder, bulletin, on_restart=reloader.check_secrets)
        reloader.start()
        stack.callback(reloader.stop)
        stopped = threading.Event()
        stack.callback(stopped.set)

        url = url_of(host, address.port)
        listening = Listening(url, None if console is None else f"{console}{CONSOLE}/", has_admin)

        def ready() -> None:
            server.has_answered = True
            on_ready(listening)

        arguments = (server, host, address.port, stopped, ready)
        threading.Thread(target=_tell_when_ready, args=arguments, name="llmgw-ready", daemon=True).start()
        with suppress(SystemExit):  # granian takes a worker that stops before its parent for a failed one
            server.serve(target_loader=functools.partial(load_app, bulletin.board), wrap_loader=False)
        if server.failure:
            raise CommandError(server.failure)


def _prepare_sums(store: Store, config: Config) -> None:
    """So that sums and budgets are of the configured time zone, if that has changed."""
    zone = ZoneInfo(config.prices.timezone)
    try:
        ensure_days(store, zone)
        open_current(store, zone, datetime.now(UTC))
    except SQLAlchemyError as error:
        logger.warning("what was used before can't be summed: %s", error)


def _prepare_months(store: Store) -> None:
    """Of PostgreSQL, so that no row has to be moved later. A worker tries again (`ledger.prune`)."""
    try:
        make_months(store, datetime.now(UTC), wait=lambda _seconds: True)
    except SQLAlchemyError as error:
        logger.warning("the ledger's partitions can't be made, its rows go to the default one: %s", error)


def _has_admin(store: Store) -> bool:
    """True also where that can't be known: nobody is told then to make a key."""
    try:
        return has_admin_key(store)
    except SQLAlchemyError:
        return True


def _server(config: Config, host: str, port: int, workers: int) -> Server:
    return Server(
        "llmgw.app:create_app",  # a name only: load_app makes it
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        http=HTTPModes.auto if config.server.http2 else HTTPModes.http1,
        websockets=False,
        workers=workers,
        backlog=BACKLOG,
        # Further connections wait to be accepted; the app sheds load long before. With no file descriptor
        # left, granian would retry to accept in a busy loop.
        backpressure=possible_connections(config.server),
        http1_settings=HTTP1Settings(
            max_buffer_size=MAX_HEAD_BYTES, header_read_timeout=math.ceil(config.server.head_timeout_s * 1000)
        ),
        http2_settings=HTTP2Settings(
            max_headers_size=MAX_HEAD_BYTES,
            max_concurrent_streams=MAX_STREAMS,
            max_send_buffer_size=STREAM_BUFFER_BYTES,
        ),
        workers_kill_timeout=kill_timeout_s(config),
        log_level=LogLevels.debug if config.server.log_level == "debug" else LogLevels.warning,
        log_dictconfig=log_config(config.server.log_level),
    )


def _run_folder(config: Config) -> RunFolder:
    try:
        journal = config.journal_folder
        if (
            journal.is_dir() and config.ledger.journal is None
        ):  # a folder that was named may be for others too
            make_private(journal)
        return RunFolder.create(config.run_folder)
    except OSError as error:
        problem = f"can't write beside the database ({error.filename}: {error.strerror})"
        raise CommandError(f"{problem}; check the permissions of its folder") from error


def _tell_when_ready(
    server: AbstractServer[Any],
    host: str,
    port: int,
    stopped: threading.Event,
    on_ready: Callable[[], None],
) -> None:
    """Call `on_ready` when the server answers."""
    # granian's hooks run before a worker has bound its socket, so only an answer proves that it serves. Until
    # all workers are forked this thread only sleeps: it must not hold a lock during a fork.
    while len(server.wrks) < server.workers or not is_up(host, port):
        if stopped.wait(_POLL_INTERVAL_S):
            return
    on_ready()


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
