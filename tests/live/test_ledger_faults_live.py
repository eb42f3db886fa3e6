"""A gateway whose database fails: it serves on, raises an alarm, and its ledger is whole afterwards."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx
import pytest

from llmgw.ledger.journal import pending
from tests.support.answered import (
    LIFE_S,
    SLOW_STREAM,
    STREAM,
    TIMEOUT_S,
    Clients,
    answers,
    assert_complete,
    completion_tokens,
    is_alive,
    kill_worker,
    metric,
    ready,
    wait_healthy,
)
from tests.support.chat import body, streamed
from tests.support.disk import bounded_files
from tests.support.frames import check_stream
from tests.support.gateway import Gateway, config_text
from tests.support.processes import wait_until
from tests.support.scripted import ScriptedUpstream
from tests.support.simulator import SimulatorProcess

REQUESTS = 4
"""As many rows as fit into the journal beside `full`."""


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


@pytest.mark.parametrize("fault", FAULTS)
def test_it_serves_on_and_the_ledger_is_whole_afterwards(durable: Gateway, fault: str) -> None:
    expected = answers(durable, REQUESTS)
    assert_complete(durable, expected)
    wait_healthy(durable)
    journal = durable.database.with_name("gateway.db.journal")
    with FAULTS[fault](durable):
        during = answers(durable, REQUESTS)
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
    wait_healthy(durable)
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


@pytest.mark.parametrize("fault", [nullcontext, locked], ids=["database", "journal"])
def test_strict_a_killed_worker_loses_no_row_of_an_answer(
    strict: Gateway, fault: Callable[[Gateway], AbstractContextManager[None]]
) -> None:
    clients = Clients(strict, 6)

    try:
        with fault(strict):
            clients.more(20)
            # The next one starts though the database can't be written.
            born_s = kill_worker(strict)
            clients.more(20)
        wait_until(lambda: time.monotonic() > born_s + LIFE_S, "an age", timeout_s=TIMEOUT_S)
        kill_worker(strict)
        clients.more(20)
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
    assert_complete(strict, answers(strict, REQUESTS))


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
