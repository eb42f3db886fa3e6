"""One machine of the cluster: a gateway of two workers, with its own config, journal and run folder."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from tests.support.processes import STOP_TIMEOUT_S, Process, free_port, worker_pids

_ASK_TIMEOUT_S = 5.0


class Machine:
    """Can be killed, stopped and started again: the same port, folder and config."""

    def __init__(self, name: str, folder: Path, config: str, env: Mapping[str, str]) -> None:
        """Not started yet."""
        self.name = name
        self.folder = folder
        folder.mkdir(parents=True)
        self.config = folder / "llmgw.toml"
        self.config.write_text(config, "utf-8")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._env = env
        self._processes: list[Process] = []

    def start(self) -> None:
        """Begin to start it."""
        arguments = ("serve", "--config", str(self.config), "--port", str(self.port))
        self._processes.append(Process("llmgw", *arguments, folder=self.folder, env=self._env))

    @property
    def process(self) -> Process:
        """The last one that was started."""
        return self._processes[-1]

    def wait_ready(self) -> None:
        """Until it can serve. Raises RuntimeError, with what it printed."""
        self.process.wait_ready(f"{self.url}/readyz")

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """SIGTERM, and wait until it has drained; its exit status. Raises subprocess.TimeoutExpired."""
        self.process.terminate()
        return self.process.process.wait(timeout_s)

    def kill(self) -> None:
        """SIGKILL to parent and workers, as the machine's end."""
        self.process.kill()

    def workers(self) -> list[int]:
        """Their process ids."""
        return worker_pids(self.process)

    def reload(self) -> tuple[int, str]:
        """`llmgw reload`: its exit status, and what it printed."""
        done = self.llmgw("reload")
        return done.returncode, done.stdout + done.stderr

    def llmgw(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command with this machine's config."""
        command = [sys.executable, "-m", "llmgw", *arguments, "--config", str(self.config)]
        return subprocess.run(
            command, capture_output=True, text=True, env={**self._env}, timeout=60, check=False
        )

    def metrics(self) -> dict[str, float]:
        """Each sample by its name and labels. Raises httpx.TransportError."""
        text = httpx.get(f"{self.url}/metrics", trust_env=False, timeout=_ASK_TIMEOUT_S).text
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    def outputs(self) -> list[str]:
        """What it printed, one start after the other."""
        return [process.output for process in self._processes]

    def troubles(self) -> list[str]:
        """Why it is not calm: of `/readyz`, and of metrics. Empty: it is."""
        try:
            answer = httpx.get(f"{self.url}/readyz", trust_env=False, timeout=_ASK_TIMEOUT_S)
            metrics = self.metrics()
        except httpx.TransportError as error:
            return [f"{self.name}: {type(error).__name__}"]
        report = answer.json()
        troubles = [*report.get("problems", []), *report.get("warnings", [])]
        waited_for = {
            "llmgw_limits_redis_up": 1,
            'llmgw_store_healthy{purpose="ledger"}': 1,
            'llmgw_store_healthy{purpose="keys"}': 1,
            "llmgw_ledger_journal_rows": 0,
            "llmgw_ledger_dropped_rows_total": 0,
        }
        troubles += [
            f"{sample} {metrics.get(sample)}"
            for sample, wanted in waited_for.items()
            if metrics.get(sample) != wanted
        ]
        return [f"{self.name}: {trouble}" for trouble in troubles]
