"""The simulated providers as a process, and what they received."""

import base64
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from tests.support.processes import Process, free_port, wait_until


@dataclass(frozen=True)
class UpstreamRequest:
    """One request as the provider received it."""

    path: str
    headers: dict[str, str]
    body: bytes
    state: str
    chunks: int


class SimulatorProcess:
    """`python -m llmgw.simulator` on a free port, by default without pauses."""

    def __init__(self, folder: Path, *, delay_ms: float = 0) -> None:
        """Starts it and waits until it answers. `delay_ms`: its pause before each chunk of an answer."""
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        arguments = ("--port", str(port), "--delay-ms", f"{delay_ms:g}")
        self.process = Process("llmgw.simulator", *arguments, folder=folder)
        self.process.wait_ready(f"{self.url}/healthz")
        self._client = httpx.Client(base_url=self.url, trust_env=False)

    def requests(self, contains: str) -> list[UpstreamRequest]:
        """The requests whose body contains this text, oldest first."""
        found = self._client.get("/_requests", params={"contains": contains}).raise_for_status().json()
        return [
            UpstreamRequest(
                r["path"], dict(r["headers"]), base64.b64decode(r["body"]), r["state"], r["chunks"]
            )
            for r in found["requests"]
        ]

    def request(self, contains: str) -> UpstreamRequest:
        """The one request whose body contains this text."""
        [only] = self.requests(contains)
        return only

    def wait_for(self, contains: str, state: str, *, timeout_s: float, chunks: int = 0) -> float:
        """Until the one request with this text is in a state, with so many chunks sent; seconds that took."""

        def reached() -> bool:
            return any(r.state == state and r.chunks >= chunks for r in self.requests(contains))

        return wait_until(reached, f"upstream request {state}", timeout_s=timeout_s)

    def wait_for_number(self, contains: str, state: str, number: int, *, timeout_s: float) -> float:
        """Until so many requests with this text are in a state; seconds that took."""

        def reached() -> bool:
            return sum(r.state == state for r in self.requests(contains)) == number

        return wait_until(reached, f"{number} upstream requests {state}", timeout_s=timeout_s)

    def __enter__(self) -> Self:
        """Already started."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End it."""
        self._client.close()
        self.process.kill()
