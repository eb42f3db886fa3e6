"""nginx in front of the gateways, with the very file of deploy/nginx."""

import json
import os
import signal
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from tests.support.nginx import nginx_program
from tests.support.processes import ROOT, Process, free_port, wait_until, worker_pids

DEPLOYED: Final = ROOT / "deploy" / "nginx" / "llmgw.conf"
_UNAVAILABLE: Final = json.loads(DEPLOYED.with_name("unavailable.json").read_text("utf-8"))
_WORKERS: Final = 2
_SOON_S: Final = 20.0
_MAIN: Final = f"""
daemon off;
pid nginx.pid;
error_log stderr notice;
worker_processes {_WORKERS};
{"user root root;" if os.geteuid() == 0 else ""}
events {{ worker_connections 4096; }}
http {{
    client_body_temp_path body;
    proxy_temp_path proxy;
    include llmgw.conf;
}}
"""


class Balancer:
    """Listens on a free port of loopback."""

    def __init__(self, folder: Path, gateways: Sequence[int]) -> None:
        """Start it before the gateways at these ports."""
        self.port = free_port()
        self._folder = folder
        self._gateways = gateways
        self._log = folder / "access.log"
        self._read_bytes = 0
        (folder / "nginx.conf").write_text(_MAIN, "utf-8")
        self._write(())
        self.process = Process(
            nginx_program(), "-p", f"{folder}/", "-c", "nginx.conf", "-e", "stderr", folder=folder
        )
        self.wait_ready()

    def wait_ready(self) -> None:
        """Until each of its workers is there. Raises RuntimeError, with what it printed."""

        def ready() -> bool:
            if (status := self.process.process.poll()) is not None:
                raise RuntimeError(f"nginx ended with {status}:\n{self.process.output}")
            return self._log.exists() and len(self._workers()) >= _WORKERS

        wait_until(ready, "nginx is ready", timeout_s=_SOON_S)

    def reload(self, *, down: Collection[int] = ()) -> None:
        """New workers, and the old ones end with their last request. `down`: ports that get no request."""
        before = self._workers()
        self._write(down)
        os.kill(self.process.process.pid, signal.SIGHUP)
        wait_until(
            lambda: len(self._workers() - before) >= _WORKERS, "nginx's new workers", timeout_s=_SOON_S
        )

    def gateway_of(self) -> dict[str, int]:
        """Which gateway answered a request, by the request's id: the port. Of all since the last call."""
        with self._log.open("rb") as log:
            log.seek(self._read_bytes)
            new = log.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read_bytes += len(whole)
        entries = [json.loads(line) for line in whole.splitlines()]
        # Several, with commas between, if the first could not be connected to.
        return {
            entry["request"]: int(entry["gateway"].rpartition(":")[2])
            for entry in entries
            if entry["request"]
        }

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()

    def _workers(self) -> set[int]:
        return set(worker_pids(self.process))

    def _write(self, down: Collection[int]) -> None:
        text = DEPLOYED.read_text("utf-8")
        changes = {
            "listen 80;": f"listen 127.0.0.1:{self.port} backlog=4096;",
            "/var/log/nginx/llmgw.log": str(self._log),
            "/etc/nginx/llmgw;": f"{DEPLOYED.parent};",
        }
        for number, port in enumerate(self._gateways, 1):
            out = " down" if port in down else ""
            server = f"server 192.0.2.1{number}:8000 max_fails=1 fail_timeout=5s"
            changes[server] = f"server 127.0.0.1:{port} max_fails=1 fail_timeout=5s{out}"
        for placeholder, value in changes.items():
            assert text.count(placeholder) == 1, f"{DEPLOYED.name}: {placeholder}"
            text = text.replace(placeholder, value)
        (self._folder / "llmgw.conf").write_text(text, "utf-8")


def is_of_balancer(body: bytes) -> bool:
    """An answer that nginx gave because no gateway did."""
    try:
        return bool(json.loads(body) == _UNAVAILABLE)
    except ValueError:
        return False
