"""Requests whose answers are compared with the ledger's rows, while something fails."""

import json
import os
import signal
import threading
import time
from typing import Any

import httpx

from tests.support.chat import body, streamed
from tests.support.frames import check_stream
from tests.support.gateway import Gateway
from tests.support.processes import wait_until, worker_pids

TIMEOUT_S = 30.0
STREAM = streamed("glm-5", include_usage=True)
SLOW_STREAM = streamed("glm-5", include_usage=True, simulate={"delay_ms": 15})
"""One that comes in several blocks."""
SHOWN_CHARS = 4000
IN_A_ROW = 8
"""Connections of which each worker takes some, most likely."""
LIFE_S = 6.0
"""granian ends itself where a worker lives for less than 5.5 s (a crash loop)."""


def ready(gateway: Gateway) -> tuple[int, dict[str, Any]]:
    """The status and the report of /readyz, by any worker: a connection that is kept asks one for ever."""
    response = gateway.client.get("/readyz", headers={"connection": "close"})
    report: dict[str, Any] = response.json()
    return response.status_code, report


def wait_healthy(gateway: Gateway) -> float:
    """Until no worker that answers has anything to warn of; seconds that took."""

    def healthy() -> bool:
        return all(ready(gateway) == (200, {"status": "ok"}) for _ in range(IN_A_ROW))

    try:
        return wait_until(healthy, "healthy", timeout_s=TIMEOUT_S)
    except TimeoutError as error:
        message = f"{error}: {ready(gateway)}\n{gateway.process.output[-SHOWN_CHARS:]}"
        raise TimeoutError(message) from error


def metric(gateway: Gateway, name: str) -> float:
    """One sample, which must be there."""
    lines = gateway.client.get("/metrics").text.splitlines()
    [value] = [line.rsplit(" ", 1)[1] for line in lines if line.rsplit(" ", 1)[0] == name]
    return float(value)


def is_alive(gateway: Gateway) -> bool:
    """Whether a worker answers."""
    try:
        return gateway.client.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False


def completion_tokens(answer: bytes, *, streamed: bool) -> int:
    """What the client was told. Fails if the answer is not whole."""
    usage = check_stream(answer, include_usage=True).usage if streamed else json.loads(answer)["usage"]
    assert usage is not None
    tokens: int = usage["completion_tokens"]
    return tokens


def answers(gateway: Gateway, count: int) -> dict[str, int]:
    """Whole streams and plain answers: request id and completion tokens."""
    found: dict[str, int] = {}
    for number in range(count):
        answer = gateway.post(STREAM if number % 2 else body("glm-5"))
        assert answer.status == 200
        found[answer.headers["x-request-id"]] = completion_tokens(answer.body, streamed=bool(number % 2))
    return found


def assert_complete(gateway: Gateway, expected: dict[str, int]) -> None:
    """Each answer has its one row, sooner or later, with the tokens that its client saw."""

    def rows() -> list[tuple[str, int]]:
        kept = [row for row in gateway.ledger_rows() if row["request_id"] in expected]
        return [(row["request_id"], row["completion_tokens"]) for row in kept]

    wait_until(lambda: len(rows()) >= len(expected), f"{len(expected)} rows", timeout_s=TIMEOUT_S)
    assert sorted(rows()) == sorted(expected.items())


class Clients:
    """Some clients that send one request after another, whatever happens."""

    def __init__(self, gateway: Gateway, count: int, *, connection_each: bool = False) -> None:
        """Starts them. `connection_each`: for each request, so that any worker may take it."""
        self._gateway = gateway
        self._stop = threading.Event()
        self._headers = {"connection": "close"} if connection_each else {}
        self._failures: list[AssertionError] = []
        self.answered: dict[str, int] = {}
        """Of answers that came whole: request id and completion tokens."""
        self.slowest_s = 0.0
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(count)]
        for thread in self._threads:
            thread.start()

    def more(self, count: int) -> None:
        """Wait for so many answers."""
        now = len(self.answered)
        wait_until(
            lambda: bool(self._failures) or len(self.answered) >= now + count,
            f"{count} answers",
            timeout_s=TIMEOUT_S,
        )

    def stop(self) -> None:
        """End them. Raises AssertionError for an answer that was none."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for failure in self._failures:
            raise failure

    def _run(self, number: int) -> None:
        try:
            with httpx.Client(base_url=self._gateway.url, trust_env=False, timeout=TIMEOUT_S) as client:
                while not self._stop.is_set():
                    self._ask(client, streamed=bool(number % 2))
        except AssertionError as failure:
            self._failures.append(failure)

    def _ask(self, client: httpx.Client, *, streamed: bool) -> None:
        request = STREAM if streamed else body("glm-5")
        headers = self._gateway.headers() | self._headers
        begun_s = time.monotonic()
        try:
            answer = client.post("/v1/chat/completions", json=request, headers=headers)
        except httpx.TransportError:
            self._stop.wait(0.02)  # the worker was killed; another one is on its way
            return
        assert answer.status_code == 200, answer.text
        self.slowest_s = max(self.slowest_s, time.monotonic() - begun_s)
        tokens = completion_tokens(answer.content, streamed=streamed)
        self.answered[answer.headers["x-request-id"]] = tokens


def kill_worker(gateway: Gateway) -> float:
    """SIGKILL to one, and wait for the one that takes its place; the time of then."""
    before = worker_pids(gateway.process)
    os.kill(before[0], signal.SIGKILL)

    def replaced() -> bool:
        now = worker_pids(gateway.process)
        return before[0] not in now and len(now) == len(before)

    wait_until(replaced, "a worker", timeout_s=TIMEOUT_S)
    return time.monotonic()
