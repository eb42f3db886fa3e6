"""Running the simulated providers as a server of their own."""

import argparse
import os
from collections.abc import Sequence

from granian import Granian
from granian.constants import Interfaces, Loops
from granian.log import LogLevels

from llmgw.simulator.app import DELAY_VARIABLE, READY_VARIABLE
from llmgw.simulator.families import FAMILIES

DEFAULT_PORT = 9100
DEFAULT_DELAY_MS = 15.0
"""Slow enough to see a stream move, fast enough not to wait for it."""


def serve(host: str = "127.0.0.1", port: int = DEFAULT_PORT, *, delay_ms: float = DEFAULT_DELAY_MS) -> None:
    """Serve until SIGINT or SIGTERM. Prints one line when requests are taken.

    One worker process: the record of requests lives in its memory.
    """
    os.environ[DELAY_VARIABLE] = str(delay_ms)
    mounts = ", ".join(f"/{name}/v1" for name in FAMILIES)
    os.environ[READY_VARIABLE] = f"llmgw simulator: http://{host}:{port} ({mounts})"
    Granian(
        "llmgw.simulator.app:create_app",
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        websockets=False,
        backpressure=10_000,
        log_level=LogLevels.warning,
        # Streams that stall on purpose must not hold up the end.
        workers_kill_timeout=2,
    ).serve()


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m llmgw.simulator", description="Simulated LLM providers.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    parser.add_argument("--delay-ms", type=float, default=DEFAULT_DELAY_MS, help="pause between chunks")
    options = parser.parse_args(argv)
    serve(options.host, options.port, delay_ms=options.delay_ms)
