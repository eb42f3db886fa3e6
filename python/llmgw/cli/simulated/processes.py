"""The processes that the demo runs beside the gateway. Each ends with it, even if the gateway is killed."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from llmgw.errors import CommandError
from llmgw.serving.ports import claim_port
from llmgw.serving.server import is_up

_LOCALHOST: Final = "127.0.0.1"
_START_S: Final = 15.0
_STOP_S: Final = 5.0
_POLL_INTERVAL_S: Final = 0.02


class Simulator:
    """The simulated providers, which are starting."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self.port = port

    def wait(self) -> None:
        """Until they answer. Raises CommandError."""
        deadline = time.monotonic() + _START_S
        while not is_up(_LOCALHOST, self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise CommandError("the simulated providers did not start")
            time.sleep(_POLL_INTERVAL_S)


@contextmanager
def simulator_process() -> Iterator[Simulator]:
    """The simulated providers in a process of their own, on a free port."""
    port = claim_port(_LOCALHOST, 0)
    with _process("llmgw.simulator", "--host", _LOCALHOST, "--port", str(port), "--until-eof") as process:
        yield Simulator(process, port)


@contextmanager
def live_process(url: str, tokens: Mapping[str, str]) -> Iterator[None]:
    """A client that asks the gateway as soon as it answers. `tokens`: texts of the simulated keys by name."""
    with _process("llmgw.cli.simulated.live") as process:
        if process.stdin is not None:  # and not an argument, which every user of the machine could read
            process.stdin.write(json.dumps({"url": url, "tokens": tokens}).encode() + b"\n")
            process.stdin.flush()
        yield


@contextmanager
def _process(module: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A module that ends with its standard input: it does when this process does, even if that is killed."""
    # In its own session, so that Ctrl-C reaches only the gateway, which first lets its streams finish.
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
