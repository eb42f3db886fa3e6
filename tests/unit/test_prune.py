"""Old rows go, sums and younger rows stay, and nobody has to wait for it."""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from llmgw.budgets.verify import verify
from llmgw.config import Config, parse_config
from llmgw.ledger import prune
from llmgw.ledger.entry import LedgerEntry
from llmgw.ledger.journal import Journal
from llmgw.ledger.prune import Pruner
from llmgw.ledger.usage import sum_usage
from llmgw.ledger.writer import Ledger
from llmgw.store import LedgerRow, Store, open_store
from tests.support.budgets import add_budget, spent

ZONE = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 11, 26, 3, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = open_store(store_url)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune, "PAUSE_S", 0.001)
    monkeypatch.setattr(prune, "BATCH_ROWS", 10)


def config(tmp_path: Path, keep_days: int | None) -> Config:
    ledger = {} if keep_days is None else {"keep_days": keep_days}
    data = {
        "store": {"url": f"sqlite:///{tmp_path}/llmgw.db"},
        "ledger": ledger,
        "upstreams": {"u": {"base_url": "http://127.0.0.1:1/v1"}},
        "models": [{"id": "m", "upstream": "u"}],
    }
    return parse_config(data, tmp_path / "llmgw.toml", {})


def pruner(store: Store, tmp_path: Path, keep_days: int | None = 2) -> Pruner:
    return Pruner(store, config(tmp_path, keep_days), now=lambda: NOW)


def fill(store: Store, hours: int = 100) -> None:
    """A row for each hour until now."""
    ledger = Ledger(store, zone=ZONE)
    for number in range(hours):
        at = (NOW - number * HOUR).timestamp()
        ledger.record(LedgerEntry(at, f"req_{number}", 200, 1.0, key_id=1, model="m", cost=5, currency="CNY"))
    ledger.close_blocking()


def rows(store: Store) -> int:
    with store.read() as session:
        return session.scalar(select(func.count()).select_from(LedgerRow)) or 0


def test_old_rows_go_and_sums_stay(store: Store, tmp_path: Path) -> None:
    add_budget(store, ZONE, period="total", created_at=NOW - timedelta(days=50))
    fill(store)
    usage, before = sum_usage(store, ["key", "day"], ZONE), spent(store)
    assert pruner(store, tmp_path).prune() == 100 - 49
    with store.read() as session:
        assert session.scalar(select(func.min(LedgerRow.time))) == NOW - timedelta(days=2)
    assert sum_usage(store, ["key", "day"], ZONE) == usage
    assert spent(store) == before
    assert verify(store, ZONE, NOW, keep_days=2).is_right
    assert pruner(store, tmp_path).prune() == 0


def test_without_keep_days_all_rows_stay(store: Store, tmp_path: Path) -> None:
    fill(store)
    assert pruner(store, tmp_path, None).prune() == 0
    assert rows(store) == 100


def test_rows_wait_for_the_journal(store: Store, tmp_path: Path) -> None:
    """A row that is stored and in a journal too must be known when the journal is replayed."""
    fill(store)
    journal = Journal(tmp_path / "llmgw.db.journal", max_bytes=10_000)
    journal.append([LedgerEntry(NOW.timestamp(), "req_0", 200, 1.0)._asdict()])
    assert pruner(store, tmp_path).prune() == 0
    journal.read(10)
    journal.forget()
    assert pruner(store, tmp_path).prune() == 51


def test_one_process_at_a_time(store: Store, tmp_path: Path) -> None:
    fill(store)
    folder = config(tmp_path, 2).limits_folder
    with prune._lock(folder) as is_ours:
        assert is_ours
        assert pruner(store, tmp_path).prune() == 0
    assert pruner(store, tmp_path).prune() == 51


def test_writers_hardly_wait(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While thousands of rows are deleted, others are written: no wait is longer than a batch.

    They are deleted in three parts, in one of which this must be seen: a busy machine may hold a writer up.
    """
    monkeypatch.setattr(prune, "BATCH_ROWS", 100)
    monkeypatch.setattr(prune, "PAUSE_S", 0.01)
    fill(store, 5000)

    def run(keep_days: int, done: threading.Event) -> None:
        try:
            left = 1
            while left:
                with suppress(SQLAlchemyError):  # somebody writes: it is tried again
                    left = pruner(store, tmp_path, keep_days).prune()
        finally:
            done.set()

    ledger, number, shares = Ledger(store, zone=ZONE), 0, []
    for keep_days in (140, 70, 2):
        done, longest_s, began_s = threading.Event(), 0.0, time.perf_counter()
        deleting = threading.Thread(target=run, args=(keep_days, done))
        deleting.start()
        while not done.wait(0.005):
            begun_s = time.perf_counter()
            ledger._write([LedgerEntry(NOW.timestamp(), f"new_{number}", 200, 1.0)])
            longest_s, number = max(longest_s, time.perf_counter() - begun_s), number + 1
        deleting.join()
        shares.append(longest_s / (time.perf_counter() - began_s))
    assert number > 10
    assert min(shares) < 0.5, "a writer waited for more than a batch"
    assert rows(store) == 49 + number


def test_it_stops_at_once(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune, "_FIRST_S", 0.0)
    monkeypatch.setattr(prune, "PAUSE_S", 60.0)
    fill(store)
    running = pruner(store, tmp_path)
    running.start()
    begun_s = time.perf_counter()
    running.close()
    assert time.perf_counter() - begun_s < 5.0
