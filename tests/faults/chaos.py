"""The chaos upstream as a process, and what can be asked about it."""

import asyncio
import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.faults.script import Exchange
from tests.support.processes import ROOT, Process, free_port

PYTHONPATH = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "python")))}
"""The environment in which modules of the tests are found, whatever the folder."""


async def control(port: int, path: str) -> Any:  # noqa: ANN401 - any JSON value
    """Ask the chaos upstream something."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return json.loads(answer.partition(b"\r\n\r\n")[2])


@dataclass(frozen=True)
class Chaos:
    """Use `running`."""

    control_port: int
    ports: Mapping[str, int]
    """Of each upstream."""

    @classmethod
    @contextlib.contextmanager
    def running(cls, folder: Path, upstreams: Sequence[str]) -> Iterator[Self]:
        """Start it, and end it whatever happens."""
        ports = {name: free_port() for name in upstreams}
        control_port, trap = free_port(), free_port()
        arguments = ["--control", str(control_port), "--trap", str(trap)]
        arguments += [f"{name}={port}" for name, port in ports.items()]
        process = Process("tests.faults.upstream", *arguments, folder=folder, env=PYTHONPATH)
        try:
            process.wait_ready(f"http://127.0.0.1:{control_port}/state")
            yield cls(control_port, ports)
        finally:
            process.kill()

    async def state(self) -> dict[str, int]:
        """Connections, open exchanges and so on."""
        state: dict[str, int] = await control(self.control_port, "/state")
        return state

    async def exchanges(self, *, since: int = 0) -> list[Exchange]:
        """The upstream's ledger."""
        return [Exchange(**line) for line in await control(self.control_port, f"/exchanges/{since}")]

    async def exchanges_of(self, mark: str) -> list[Exchange]:
        """All that the upstream was asked for one request."""
        return [Exchange(**line) for line in await control(self.control_port, f"/of/{mark}")]

    async def asked(self, mark: str) -> bool:
        """Whether an upstream was asked for it."""
        return bool(await control(self.control_port, f"/asked/{mark}"))

    async def close_idle(self) -> None:
        """The upstreams close the connections that the gateway keeps in its pools."""
        await control(self.control_port, "/close-idle")
