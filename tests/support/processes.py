"""Programs under test, started as real processes and ended again whatever happens."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx

READY_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
POLL_INTERVAL_S = 0.02
NOISE = 5
"""How many times as long as promised a thing may take here: the benchmarks measure it, on a quiet machine."""
ROOT = Path(__file__).parents[2]
_RANDOM = random.SystemRandom()
"""Not the module's own generator, which Hypothesis seeds alike in every run."""
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_given_ports: set[int] = set()
"""A port is never given twice: it may be meant to have nobody behind it, or somebody who starts later."""


def free_port() -> int:
    """A TCP port of loopback that is unused right now.

    It lies below the ports that the kernel gives to connections: one of those could take it before the
    server does. Each of several test processes has ports of its own.
    """
    for _ in range(1000):
        port = _RANDOM.randrange(10_000 + _WORKER, 32_768, _WORKERS)
        if port in _given_ports:
            continue
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            _given_ports.add(port)
            return port
    message = "no port of loopback is free"
    raise OSError(message)


def wait_until(
    condition: Callable[[], bool], what: str, *, timeout_s: float, interval_s: float = POLL_INTERVAL_S
) -> float:
    """Poll until the condition holds; seconds that took. Raises TimeoutError."""
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun > timeout_s:
            message = f"not within {timeout_s} s: {what}"
            raise TimeoutError(message)
        time.sleep(interval_s)
    return time.monotonic() - begun


class Process:
    """A program; what it prints goes to a file that failures quote."""

    def __init__(
        self,
        program: str | Path,
        *arguments: str,
        folder: Path,
        env: Mapping[str, str] | None = None,
        files: int | None = None,
    ) -> None:
        """`python -m PROGRAM ARGUMENTS`, or the executable at a path; in its own process group.

        `files`: its limit of open ones.
        """
        self.name = Path(program).name
        command = [str(program)] if isinstance(program, Path) else [sys.executable, "-m", program]
        self._log = folder / f"{self.name}-{free_port()}.log"
        source = str(ROOT / "python")
        path = os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH"))))
        limited = ("/bin/sh", "-c", f'ulimit -n {files}; exec "$@"', "sh") if files else ()
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*limited, *command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **(env or {})},
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """Everything that the program has printed, stdout and stderr together."""
        try:
            return self._log.read_text("utf-8", "replace")
        except (
            FileNotFoundError
        ):  # pytest has removed the folder of a test that passed, and its teardown fails
            return ""

    def wait_ready(self, url: str) -> None:
        """Until `url` answers 200. Raises RuntimeError, quoting the program, if it ends or takes too long."""
        with httpx.Client(trust_env=False, timeout=2) as client:

            def ready() -> bool:
                if self.process.poll() is not None:
                    message = f"{self.name} ended with {self.process.returncode}:\n{self.output}"
                    raise RuntimeError(message)
                try:
                    return client.get(url).status_code == httpx.codes.OK
                except httpx.TransportError:
                    return False

            try:
                wait_until(ready, url, timeout_s=READY_TIMEOUT_S)
            except TimeoutError as error:
                self.kill()
                message = f"{self.name} is not ready:\n{self.output}"
                raise RuntimeError(message) from error

    def terminate(self) -> None:
        """SIGTERM to the program: an orderly stop begins."""
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """An orderly stop; its exit status. What does not stop in time is killed: TimeoutError."""
        if self.process.poll() is None:
            self.terminate()
        try:
            return self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            message = f"{self.name} did not stop within {STOP_TIMEOUT_S} s:\n{self.output}"
            raise TimeoutError(message) from None
        finally:
            self.kill()

    def kill(self) -> None:
        """End the whole process group, workers too."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.process.wait()


def worker_pids(process: "Process") -> list[int]:
    """The processes that it has forked, the oldest first (Linux). Their numbers begin anew at some time."""
    pid = process.process.pid
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    workers = [int(child) for children in tasks for child in children.read_text("ascii").split()]
    return sorted(workers, key=_started)


def _started(pid: int) -> int:
    """When, in ticks since the machine's start; 0 if it has ended meanwhile."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(stat.rpartition(")")[2].split()[19])


def resident_bytes(pid: int) -> int:
    """The memory that a process has in use (Linux)."""
    return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
