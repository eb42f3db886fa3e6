"""A gateway whose database fails: it serves on, raises an alarm, and its ledger is whole afterwards."""

import json
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx
import pytest

from llmgw.ledger.journal import pending
from tests.support.chat import body, streamed
from tests.support.disk import bounded_files
from tests.support.frames import check_stream
from tests.support.gateway import Gateway, config_text
from tests.support.processes import wait_until, worker_pids
from tests.support.scripted import ScriptedUpstream
from tests.support.simulator import SimulatorProcess

TIMEOUT_S = 30.0
REQUESTS = 4
"""As many rows as fit into the journal beside `full`."""
STREAM = streamed("glm-5", include_usage=True)
SLOW_STREAM = streamed("glm-5", include_usage=True, simulate={"delay_ms": 15})
"""One that comes in several blocks."""


@pytest.fixture(scope="module", params=["relaxed", "strict"])
def durable(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    simulator: SimulatorProcess,
    scripted: ScriptedUpstream,
) -> Iterator[Gateway]:
    config = config_text(simulator.url, scripted.base_url)
    config += f'\n[ledger]\ndurability = "{request.param}"\n'
    with Gateway(tmp_path_factory.mktemp(request.param), config) as gateway:
        yield gateway


@contextmanager
def locked(gateway: Gateway) -> Iterator[None]:
    other = sqlite3.connect(gateway.database, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.rollback()
        other.close()


@contextmanager
def full(gateway: Gateway) -> Iterator[None]:
    """No page fits into the database any more, a few lines into the journal."""
    with bounded_files(gateway, 4096):
        yield


@contextmanager
def gone(gateway: Gateway) -> Iterator[None]:
    folder = gateway.database.parent
    away = folder / "away"
    away.mkdir(exist_ok=True)

    def move(source: Path, target: Path) -> None:
        for path in source.glob("gateway.db*"):
            if path.is_file():
                path.rename(target / path.name)

    move(folder, away)
    try:
        yield
    finally:
        move(away, folder)


FAULTS = {fault.__name__: fault for fault in (locked, full, gone)}


def ready(gateway: Gateway) -> tuple[int, dict[str, Any]]:
    response = gateway.client.get("/readyz")
    report: dict[str, Any] = response.json()
    return response.status_code, report


def metric(gateway: Gateway, name: str) -> float:
    lines = gateway.client.get("/metrics").text.splitlines()
    [value] = [line.rsplit(" ", 1)[1] for line in lines if line.rsplit(" ", 1)[0] == name]
    return float(value)


def completion_tokens(answer: bytes, *, streamed: bool) -> int:
    """What the client was told. Fails if the answer is not whole."""
    usage = check_stream(answer, include_usage=True).usage if streamed else json.loads(answer)["usage"]
    assert usage is not None
    tokens: int = usage["completion_tokens"]
    return tokens


def answers(gateway: Gateway, count: int = REQUESTS) -> dict[str, int]:
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


@pytest.mark.parametrize("fault", FAULTS)
def test_it_serves_on_and_the_ledger_is_whole_afterwards(durable: Gateway, fault: str) -> None:
    expected = answers(durable)
    assert_complete(durable, expected)
    wait_until(lambda: ready(durable) == (200, {"status": "ok"}), "healthy", timeout_s=TIMEOUT_S)
    journal = durable.database.with_name("gateway.db.journal")
    with FAULTS[fault](durable):
        during = answers(durable)
        assert len(during) == REQUESTS
        wait_until(
            lambda: metric(durable, "llmgw_ledger_journal_rows") == REQUESTS, "journaled", timeout_s=TIMEOUT_S
        )
        assert metric(durable, "llmgw_ledger_journal_bytes") > 0
        assert metric(durable, 'llmgw_store_healthy{purpose="ledger"}') == 0
        assert pending(journal).rows == REQUESTS
        status, report = ready(durable)
        # It can serve, so it stays in rotation; but it says what is wrong.
        assert (status, report["status"]) == (200, "degraded")
        assert "the database can't be written; ledger rows wait in the journal" in report["warnings"]
        if fault == "gone":
            wait_until(
                lambda: metric(durable, 'llmgw_store_healthy{purpose="keys"}') == 0,
                "seen",
                timeout_s=TIMEOUT_S,
            )
            assert durable.get("/v1/models", key="sk-gtw-" + "x" * 32).status == 401  # unknown stays unknown
    assert_complete(durable, expected | during)
    wait_until(lambda: ready(durable) == (200, {"status": "ok"}), "healthy", timeout_s=TIMEOUT_S)
    wait_until(lambda: metric(durable, "llmgw_ledger_journal_rows") == 0, "replayed", timeout_s=TIMEOUT_S)
    assert metric(durable, 'llmgw_store_healthy{purpose="ledger"}') == 1
    assert metric(durable, 'llmgw_store_healthy{purpose="keys"}') == 1
    assert pending(journal).rows == 0


def is_strict(gateway: Gateway) -> bool:
    return 'durability = "strict"' in gateway.config.read_text("utf-8")


def test_where_nothing_can_be_written(durable: Gateway) -> None:
    """Relaxed serves on from memory; strict reports no success that is not on disk."""
    with bounded_files(durable, 0):
        outcomes = [durable.post(request) for request in (body("glm-5"), STREAM, SLOW_STREAM)]
        wait_until(lambda: ready(durable)[1]["status"] == "degraded", "alarm", timeout_s=TIMEOUT_S)
        assert "ledger rows wait in memory only" in ready(durable)[1]["warnings"][-1]
    ids = [outcome.headers["x-request-id"] for outcome in outcomes]
    if is_strict(durable):
        plain, _, slow = outcomes
        assert (plain.status, plain.error["code"]) == (503, "overloaded")
        assert slow.status == 200  # the head was out already
        error = check_stream(slow.body, include_usage=True).error
        assert error is not None
        assert error["code"] == "overloaded"
        assert b"[DONE]" not in slow.body
    else:
        assert [outcome.status for outcome in outcomes] == [200, 200, 200]
    rows = [durable.ledger(request_id) for request_id in ids]
    kinds = ["ledger_failed"] * 3 if is_strict(durable) else [None] * 3
    assert [row["error_kind"] for row in rows] == kinds
    assert all(row["completion_tokens"] > 0 for row in rows)  # they were paid for, either way


@pytest.fixture
def strict(tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream) -> Iterator[Gateway]:
    """A gateway of the test's own."""
    config = config_text(simulator.url, scripted.base_url) + '\n[ledger]\ndurability = "strict"\n'
    with Gateway(tmp_path, config) as gateway:
        yield gateway


def test_strict_the_row_is_there_when_the_answer_ends(strict: Gateway) -> None:
    def stored(request_id: str) -> list[dict[str, Any]]:
        return [row for row in strict.ledger_rows() if row["request_id"] == request_id]

    for request in (STREAM, SLOW_STREAM):
        received = b""
        with strict.stream(request) as response:
            for piece in response.iter_raw():
                received += piece
                if b"[DONE]" in received:
                    [row] = stored(response.headers["x-request-id"])
                    break
            else:
                pytest.fail("no [DONE]")
        usage = check_stream(received, include_usage=True).usage
        assert usage is not None
        assert row["completion_tokens"] == usage["completion_tokens"]
        assert (row["status"], row["error_kind"], row["finish_reason"]) == (200, None, "stop")
        assert 0 < row["first_event_s"] <= row["total_s"]
    answer = strict.post(body("glm-5"))
    [row] = stored(answer.headers["x-request-id"])
    assert row["completion_tokens"] == answer.json()["usage"]["completion_tokens"]


def test_strict_a_stream_that_broke_and_a_refusal_have_their_rows(strict: Gateway) -> None:
    broken = strict.post(streamed("glm-5", simulate={"fail_after_chunks": 4}))
    refused = strict.post(body("no-such-model"))
    assert strict.ledger(broken.headers["x-request-id"])["error_kind"] in {"reset", "truncated"}
    assert strict.ledger(refused.headers["x-request-id"])["error_kind"] == "model_not_found"


class Clients:
    """Some clients that send one request after another, whatever happens."""

    def __init__(self, gateway: Gateway, count: int) -> None:
        """Starts them."""
        self._gateway = gateway
        self._stop = threading.Event()
        self.answered: dict[str, int] = {}
        """Of answers that came whole: request id and completion tokens."""
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(count)]
        for thread in self._threads:
            thread.start()

    def _run(self, number: int) -> None:
        request = STREAM if number % 2 else body("glm-5")
        with httpx.Client(base_url=self._gateway.url, trust_env=False, timeout=TIMEOUT_S) as client:
            while not self._stop.is_set():
                try:
                    answer = client.post(
                        "/v1/chat/completions", json=request, headers=self._gateway.headers()
                    )
                except httpx.TransportError:
                    self._stop.wait(0.02)  # the worker was killed; another one is on its way
                    continue
                assert answer.status_code == 200
                tokens = completion_tokens(answer.content, streamed=bool(number % 2))
                self.answered[answer.headers["x-request-id"]] = tokens

    def stop(self) -> None:
        """End them."""
        self._stop.set()
        for thread in self._threads:
            thread.join()


LIFE_S = 6.0
"""granian ends itself where a worker lives for less than 5.5 s (a crash loop)."""


def kill_worker(gateway: Gateway) -> float:
    """SIGKILL, and wait for the one that takes its place; the time of then."""
    [worker] = worker_pids(gateway.process)
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: worker_pids(gateway.process) not in ([worker], []), "a worker", timeout_s=TIMEOUT_S)
    return time.monotonic()


@pytest.mark.parametrize("fault", [nullcontext, locked], ids=["database", "journal"])
def test_strict_a_killed_worker_loses_no_row_of_an_answer(
    strict: Gateway, fault: Callable[[Gateway], AbstractContextManager[None]]
) -> None:
    clients = Clients(strict, 6)

    def more_answers(count: int) -> None:
        now = len(clients.answered)
        wait_until(lambda: len(clients.answered) >= now + count, "answers", timeout_s=TIMEOUT_S)

    try:
        with fault(strict):
            more_answers(20)
            # The next one starts though the database can't be written.
            born_s = kill_worker(strict)
            more_answers(20)
        wait_until(lambda: time.monotonic() > born_s + LIFE_S, "an age", timeout_s=TIMEOUT_S)
        kill_worker(strict)
        more_answers(20)
    finally:
        clients.stop()
    journal = strict.database.with_name("gateway.db.journal")
    wait_until(lambda: pending(journal).rows == 0, "replayed", timeout_s=TIMEOUT_S)
    assert_complete(strict, clients.answered)
    ids = [row["request_id"] for row in strict.ledger_rows()]
    assert len(ids) == len(set(ids))


def test_a_worker_that_starts_without_a_database_waits_for_it(strict: Gateway) -> None:
    """It knows no key yet, so it admits nobody; but it lives, and its server with it."""
    with gone(strict):
        kill_worker(strict)
        wait_until(lambda: is_alive(strict), "a worker that answers", timeout_s=TIMEOUT_S)
        status, report = ready(strict)
        assert (status, report["status"]) == (503, "unavailable")
        assert report["problems"] == ["no key is in force: the keys can't be read"]
        refused = strict.post(body("glm-5"))
        assert (refused.status, refused.error["code"]) == (503, "overloaded")
        assert refused.headers["retry-after"] == "10"
    wait_until(lambda: ready(strict) == (200, {"status": "ok"}), "ready", timeout_s=TIMEOUT_S)
    assert_complete(strict, answers(strict))


def is_alive(gateway: Gateway) -> bool:
    try:
        return gateway.client.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False


def test_two_workers_have_a_journal_each(
    tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> None:
    config = config_text(simulator.url, scripted.base_url, server="workers = 2")
    journal = tmp_path / "rows"
    with Gateway(tmp_path, f'{config}\n[ledger]\njournal = "rows"\n') as gateway:
        healthy = 'llmgw_store_healthy{purpose="ledger"}'
        with locked(gateway):
            expected: dict[str, int] = {}

            def both_write() -> bool:
                # A connection of its own: either worker may take it.
                url = f"{gateway.url}/v1/chat/completions"
                with httpx.Client(trust_env=False, timeout=TIMEOUT_S) as client:
                    answer = client.post(url, json=body("glm-5"), headers=gateway.headers())
                tokens = completion_tokens(answer.content, streamed=False)
                expected[answer.headers["x-request-id"]] = tokens
                return len(list(journal.glob("*.journal"))) == 2

            wait_until(both_write, "two journals", timeout_s=TIMEOUT_S)
            wait_until(lambda: pending(journal).rows == len(expected), "all rows", timeout_s=TIMEOUT_S)
            # Any worker answers for both.
            rows = "llmgw_ledger_journal_rows"
            wait_until(lambda: metric(gateway, rows) == len(expected), "counted", timeout_s=TIMEOUT_S)
            assert metric(gateway, healthy) == 0
        wait_until(lambda: pending(journal).rows == 0, "replayed", timeout_s=TIMEOUT_S)
        assert_complete(gateway, expected)
        wait_until(lambda: metric(gateway, healthy) == 1, "healthy", timeout_s=TIMEOUT_S)
