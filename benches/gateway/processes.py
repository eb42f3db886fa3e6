"""The programs of a run: each in a session of its own, on one core, and gone at the end whatever happens."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from benches.gateway.machine import ROOT

LOCALHOST: Final = "127.0.0.1"
BENCH_BINARY: Final = ROOT / "target" / "release" / "llmgw-bench"
_POLL_INTERVAL_S: Final = 0.002
_REQUEST_TIMEOUT_S: Final = 10.0


class BenchError(Exception):
    """Something that ends a case or the run; the message says what, for a reader."""


def free_port() -> int:
    """A TCP port of loopback that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind((LOCALHOST, 0))
        port: int = probe.getsockname()[1]
        return port


class Program:
    """A running program, with everything that it starts."""

    def __init__(
        self, name: str, command: Sequence[str], *, core: int, log: Path, env: Mapping[str, str]
    ) -> None:
        """Starts it. What it prints goes to `log`."""
        self.name = name
        self._log = log
        self.begun = time.monotonic()
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                ["taskset", "--cpu-list", str(core), *command],  # noqa: S607
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=log.parent,
                env={**_inherited(), **env},
                start_new_session=True,
            )

    @property
    def session(self) -> int:
        """The id of its session, which is also that of its process group."""
        return self._process.pid

    def output(self) -> str:
        """The last it has printed."""
        return self._log.read_text("utf-8", "replace")[-2000:]

    def wait_line(self, pattern: str, *, timeout_s: float) -> str:
        """The first group of the first match in what it prints. Raises BenchError."""
        while (match := re.search(pattern, self._log.read_text("utf-8", "replace"))) is None:
            self._tick(timeout_s)
        return match[1]

    def wait_answer(self, port: int, path: str, *, timeout_s: float) -> float:
        """Seconds from its start to its first answer that is not a server error. Raises BenchError."""
        while not _answers(port, path):
            self._tick(timeout_s)
        return time.monotonic() - self.begun

    def _tick(self, timeout_s: float) -> None:
        if self._process.poll() is not None:
            raise BenchError(f"{self.name} ended with {self._process.returncode}:\n{self.output()}")
        if time.monotonic() - self.begun > timeout_s:
            raise BenchError(f"{self.name} was not ready within {timeout_s:g} s:\n{self.output()}")
        time.sleep(_POLL_INTERVAL_S)

    def freeze(self) -> None:
        """Stop all its processes until `thaw`: whoever is not measured uses nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it and all its processes, at once."""
        self._signal(signal.SIGKILL)  # works on frozen ones too
        self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # who has died shows by giving no answers
            os.killpg(self.session, number)


class Mock(Program):
    """The mock upstream (rust/bench/src/mock.rs)."""

    def __init__(self, folder: Path, *, core: int) -> None:
        """Starts it on a free port."""
        config = json.dumps({"listen": f"{LOCALHOST}:0"})
        super().__init__(
            "mock", [str(BENCH_BINARY), "mock", config], core=core, log=folder / "mock.log", env={}
        )
        try:
            self.port = int(self.wait_line(r'"port":(\d+)', timeout_s=5))
        except BenchError:
            self.stop()
            raise

    def play(self, script: Mapping[str, Any]) -> None:
        """Say how it answers from now on."""
        self._request("POST", "/_script", json.dumps(script))

    def stats(self) -> dict[str, int]:
        """What has come in since `play`."""
        stats: dict[str, int] = json.loads(self._request("GET", "/_stats"))
        return stats

    def _request(self, method: str, path: str, body: str | None = None) -> bytes:
        connection = http.client.HTTPConnection(LOCALHOST, self.port, timeout=_REQUEST_TIMEOUT_S)
        try:
            connection.request(method, path, body)
            return connection.getresponse().read()
        finally:
            connection.close()


def _inherited() -> dict[str, str]:
    """What programs get of the shell's environment: no proxies, keys or databases."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(LOCALHOST, port, timeout=1.0)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < http.client.INTERNAL_SERVER_ERROR
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
