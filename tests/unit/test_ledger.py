"""The ledger: nothing is lost, nothing blocks, and the sums are right."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from llmgw.access.keys import create_key
from llmgw.ledger.entry import LedgerEntry, LedgerState
from llmgw.ledger.usage import Totals, UsageBy, UsageSum, sum_usage
from llmgw.ledger.writer import Ledger
from llmgw.store import LedgerRow, Store, open_store
from tests.support.processes import wait_until

NOON_S = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
DAY_S = 86_400


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = open_store(store_url)
    yield opened
    opened.close()


def entry(request_id: str = "r", **changes: Any) -> LedgerEntry:  # noqa: ANN401
    return LedgerEntry(NOON_S, request_id, 200, 1.5)._replace(**changes)


def rows(store: Store) -> list[LedgerRow]:
    with store.read() as session:
        return list(session.query(LedgerRow).order_by(LedgerRow.id))


def test_an_entry_has_the_columns_of_a_row() -> None:
    columns = {column.name for column in LedgerRow.__table__.columns} - {"id", "time"}
    assert set(LedgerEntry._fields) - {"time_s"} == columns


def test_every_field_is_written(store: Store) -> None:
    full = LedgerEntry(
        time_s=NOON_S,
        request_id="req_1",
        status=200,
        total_s=2.5,
        key_id=3,
        model="m",
        upstream="u",
        stream=True,
        finish_reason="stop",
        error_kind="idle_timeout",
        prompt_tokens=1,
        completion_tokens=2,
        reasoning_tokens=3,
        cached_tokens=4,
        usage_source="partial",
        thinking_asked="off",
        thinking_sent="directive",
        thinking_observed=True,
        first_event_s=0.25,
        attempts=2,
        attempt_errors="a: status 503",
        api="messages",
    )
    ledger = Ledger(store)
    ledger.record(full)
    ledger.close_blocking()
    [row] = rows(store)
    assert row.time == datetime(2026, 11, 23, 12, tzinfo=UTC)
    for name in LedgerEntry._fields[1:]:
        assert getattr(row, name) == getattr(full, name), name


def test_an_orderly_stop_loses_nothing(store: Store) -> None:
    async def serve() -> None:
        ledger = Ledger(store, batch_rows=7)
        ledger.start()
        for number in range(1000):
            ledger.record(entry(str(number)))
        await ledger.close()
        assert (ledger.queued, ledger.dropped) == (0, 0)

    asyncio.run(serve())
    assert sorted(int(row.request_id) for row in rows(store)) == list(range(1000))


@pytest.mark.parametrize(
    ("count", "flush_interval_s", "batch_rows"), [(1, 0.01, 500), (5, 60.0, 5)], ids=["by time", "by number"]
)
def test_rows_are_written_without_a_stop(
    store: Store, count: int, flush_interval_s: float, batch_rows: int
) -> None:
    ledger = Ledger(store, flush_interval_s=flush_interval_s, batch_rows=batch_rows)
    ledger.start()
    for number in range(count):
        ledger.record(entry(str(number)))
    wait_until(lambda: len(rows(store)) == count, "written", timeout_s=5)
    ledger.close_blocking()


class Lock:
    """Holds the database's write lock, as another process would."""

    def __init__(self, file: Path) -> None:
        """Takes it at once."""
        self._connection = sqlite3.connect(file, isolation_level=None)
        self._connection.execute("BEGIN IMMEDIATE")

    def release(self) -> None:
        """Let it go."""
        self._connection.rollback()
        self._connection.close()


@pytest.fixture
def impatient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store that hardly waits for locks."""
    monkeypatch.setattr("llmgw.store.sqlite.BUSY_TIMEOUT_S", 0.01)
    opened = open_store(f"sqlite:///{tmp_path}/locked.db")
    yield opened
    opened.close()


def test_rows_wait_for_a_locked_database(
    impatient: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lock = Lock(tmp_path / "locked.db")
    ledger = Ledger(impatient, flush_interval_s=0.01)
    ledger.start()
    for number in range(10):
        ledger.record(entry(str(number)))
    wait_until(lambda: bool(caplog.records), "noticed", timeout_s=5)
    assert ledger.queued == 10
    lock.release()
    wait_until(lambda: ledger.queued == 0, "written", timeout_s=5)
    ledger.close_blocking()
    assert [row.request_id for row in rows(impatient)] == [str(number) for number in range(10)]
    assert ledger.dropped == 0
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_a_stop_waits_for_a_locked_database(impatient: Store, tmp_path: Path) -> None:
    lock = Lock(tmp_path / "locked.db")
    ledger = Ledger(impatient)
    ledger.record(entry())
    closing_thread = threading.Thread(target=ledger.close_blocking)
    closing_thread.start()
    lock.release()
    closing_thread.join()
    assert len(rows(impatient)) == 1


def test_a_stop_ends_even_if_the_database_never_comes_back(
    impatient: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lock = Lock(tmp_path / "locked.db")
    ledger = Ledger(impatient, close_timeout_s=0.05)
    ledger.record(entry())
    ledger.close_blocking()
    lock.release()
    assert (ledger.queued, ledger.dropped) == (0, 1)
    assert "1 ledger entries are lost" in caplog.text


def test_a_full_queue_drops_and_counts(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[LedgerState] = []
    ledger = Ledger(store, capacity_rows=3, observe=seen.append)
    for number in range(5):
        ledger.record(entry(str(number)))
    assert (ledger.queued, ledger.dropped) == (3, 2)
    assert len(caplog.records) == 1
    ledger.close_blocking()
    assert seen[-1] == LedgerState(0, 2, 0, 0, healthy=True)
    assert [row.request_id for row in rows(store)] == ["0", "1", "2"]


def test_one_bad_row_does_not_keep_back_the_others(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    ledger = Ledger(store)
    for bad in (entry("bad", status=None), entry("worse", key_id=2**70), entry("worst", time_s=float("nan"))):
        ledger.record(entry(f"before {bad.request_id}"))
        ledger.record(bad)
        ledger.record(entry(f"after {bad.request_id}"))
    ledger.close_blocking()
    expected = [f"{when} {bad}" for bad in ("bad", "worse", "worst") for when in ("before", "after")]
    assert [row.request_id for row in rows(store)] == expected
    assert ledger.dropped == 3
    assert len(caplog.records) == 3


def test_an_absurd_usage_can_be_stored_and_summed(store: Store) -> None:
    ledger = Ledger(store)
    for number in range(100):
        ledger.record(entry(str(number), prompt_tokens=2**64 - 1))
    ledger.close_blocking()
    [total] = sum_usage(store, ["model"], UTC).sums
    assert total.totals.prompt_tokens == 100 * 2**40


def test_record_does_no_io(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever records waits neither for the database nor for a file."""
    ledger = Ledger(store)
    with monkeypatch.context() as patch:
        for method in ("read", "write", "append"):
            patch.setattr(store, method, lambda *_, **__: pytest.fail("the database was asked"))
        patch.setattr("os.open", lambda *_, **__: pytest.fail("a file was opened"))
        for _ in range(10_000):
            ledger.record(entry())
    assert ledger.queued == 10_000
    assert rows(store) == []


def summed(group: Any, *numbers: int) -> UsageSum:  # noqa: ANN401
    """Requests, errors, unpriced, then tokens; none of them were written to a cache."""
    requests, errors, unpriced, prompt, completion, reasoning, cached = numbers
    return UsageSum(
        (group,), Totals(requests, errors, unpriced, prompt, completion, reasoning, cached, 0), {}
    )


SUMS: dict[UsageBy, list[UsageSum]] = {
    "key": [summed(0, 1, 1, 0, 0, 0, 0, 0), summed(1, 2, 0, 2, 15, 5, 1, 2), summed(7, 1, 1, 1, 1, 0, 0, 0)],
    "model": [
        summed("", 1, 1, 0, 0, 0, 0, 0),
        summed("a", 2, 1, 2, 11, 5, 1, 2),
        summed("b", 1, 0, 1, 5, 0, 0, 0),
    ],
    "day": [
        summed(datetime(2026, 11, 23, tzinfo=UTC), 3, 1, 2, 15, 5, 1, 2),
        summed(datetime(2026, 11, 24, tzinfo=UTC), 1, 1, 1, 1, 0, 0, 0),
    ],
}


@pytest.mark.parametrize("by", SUMS)
def test_sums(store: Store, by: UsageBy) -> None:
    key = create_key(store, actor="test", name="ci").key
    ledger = Ledger(store)
    ledger.record(
        entry(
            "1",
            key_id=key.id,
            model="a",
            prompt_tokens=10,
            completion_tokens=5,
            reasoning_tokens=1,
            cached_tokens=2,
        )
    )
    ledger.record(entry("2", key_id=key.id, model="b", prompt_tokens=5))
    ledger.record(entry("3", status=404))
    # A stream that broke, on the next day, with a key that the database does not have.
    broken = entry("4", time_s=NOON_S + DAY_S, key_id=7, model="a", prompt_tokens=1, error_kind="reset")
    ledger.record(broken)
    ledger.close_blocking()
    usage = sum_usage(store, [by], UTC)
    assert usage.sums == SUMS[by]
    assert usage.keys == ({key.id: "ci"} if by == "key" else {})


def test_sums_of_nothing(store: Store) -> None:
    assert sum_usage(store, ["key"], UTC).sums == []


def test_the_file_is_whole_afterwards(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/ledger.db")
    ledger = Ledger(store)
    ledger.record(entry())
    ledger.close_blocking()
    store.close()
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize(
    "time_s", [0.0, 1.5, 1_764_000_000.000001, 1_764_000_000.9999994, 1_764_000_000.9999996, 1_764_000_001.0]
)
def test_the_time_is_written_as_its_column_writes_it(store: Store, time_s: float) -> None:
    """Rows are made by picking, their time with less work than SQLAlchemy's: it must read the same."""
    ledger = Ledger(store)
    ledger.record(LedgerEntry(time_s, f"req_{time_s}", 200, 1.0))
    ledger.close_blocking()
    [row] = rows(store)
    assert row.time == datetime.fromtimestamp(round(time_s * 1e6) / 1e6, UTC)
