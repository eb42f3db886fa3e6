"""How the simulated providers run as a server."""

import argparse
import http.client
import os
import signal
import threading
from collections.abc import Sequence
from typing import Any

from granian import Granian
from granian.constants import Interfaces, Loops
from granian.log import LogLevels
from granian.server.common import AbstractServer

from llmgw.simulator.app import DELAY_VARIABLE
from llmgw.simulator.providers import PROVIDERS

DEFAULT_PORT = 9100
DEFAULT_DELAY_MS = 15.0
"""Slow enough to see a stream move, fast enough not to be boring."""
POLL_INTERVAL_S = 0.02
# The gateway has the same table in config/address; the simulator knows nothing of the gateway, on purpose.
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not bound to


def serve(host: str = "127.0.0.1", port: int = DEFAULT_PORT, *, delay_ms: float = DEFAULT_DELAY_MS) -> None:
    """Serve until SIGINT or SIGTERM. Prints one line when the server answers.

    There is one worker process, because it keeps the record of requests in its memory.
    """
    os.environ[DELAY_VARIABLE] = str(delay_ms)
    server = Granian(
        "llmgw.simulator.app:create_app",
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        # uvloop loses a SIGTERM before the first request.
        loop=Loops.asyncio,
        websockets=False,
        backpressure=10_000,
        log_level=LogLevels.warning,
        # Streams that stall on purpose must not delay the stop.
        workers_kill_timeout=2,
    )
    stopped = threading.Event()
    threading.Thread(target=_announce, args=(server, host, port, stopped), daemon=True).start()
    try:
        server.serve()
    finally:
        stopped.set()


def _announce(server: AbstractServer[Any], host: str, port: int, stopped: threading.Event) -> None:
    # Only an answer proves that it serves. Until the fork this thread sleeps, so that no lock is copied.
    while not server.wrks or not _answers(host, port):
        if stopped.wait(POLL_INTERVAL_S):
            return
    mounts = ", ".join(f"/{name}/v1" for name in PROVIDERS)
    print(f"llmgw simulator: http://{host}:{port} ({mounts})", flush=True)  # noqa: T201 - for the terminal


def _answers(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(_WILDCARDS.get(host, host), port, timeout=1.0)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _stop_at_eof() -> None:
    """Whoever started this process holds the other end, however it dies."""
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m llmgw.simulator", description="Simulated LLM providers.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    parser.add_argument("--delay-ms", type=float, default=DEFAULT_DELAY_MS, help="pause between chunks")
    parser.add_argument("--until-eof", action="store_true", help="stop at the end of standard input")
    options = parser.parse_args(argv)
    if options.until_eof:
        threading.Thread(target=_stop_at_eof, daemon=True).start()
    serve(options.host, options.port, delay_ms=options.delay_ms)
