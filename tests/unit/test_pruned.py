"""Rows of a journal that come back after others of their time were deleted: none counts twice."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from llmgw.config import Config, parse_config
from llmgw.ledger.entry import LedgerEntry
from llmgw.ledger.journal import Journal
from llmgw.ledger.prune import Pruner
from llmgw.ledger.pruned import TURN, note_pruned, take_turn, too_late
from llmgw.ledger.usage import sum_usage
from llmgw.ledger.writer import Ledger
from llmgw.store import LedgerRow, Pruned, Store, open_store
from tests.support.budgets import add_budget, spent

ZONE = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 11, 26, 3, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = open_store(store_url)
    yield opened
    opened.close()


def machine(folder: Path) -> Config:
    """Another machine's files, beside the same database."""
    folder.mkdir()
    data = {
        "store": {"url": f"sqlite:///{folder}/llmgw.db"},
        "ledger": {"keep_days": 2},
        "upstreams": {"u": {"base_url": "http://127.0.0.1:1/v1"}},
        "models": [{"id": "m", "upstream": "u"}],
    }
    return parse_config(data, folder / "llmgw.toml", {})


def prune(store: Store, config: Config, name: str = "a") -> int:
    return Pruner(store, config, now=lambda: NOW, machine=name).prune()


def entries(first: int, last: int) -> list[LedgerEntry]:
    """Of hours before now."""
    return [
        LedgerEntry(
            (NOW - number * HOUR).timestamp(), f"req_{number}", 200, 1.0, key_id=1, cost=5, currency="CNY"
        )
        for number in range(first, last)
    ]


def stored(store: Store) -> set[str]:
    with store.read() as session:
        return set(session.scalars(select(LedgerRow.request_id)))


def replay(store: Store, folder: Path, rows: list[LedgerEntry]) -> Ledger:
    """A machine starts, with these rows in its journal."""
    journal = Journal(folder, max_bytes=10_000_000)
    journal.append(entry._asdict() for entry in rows)
    journal.close()
    ledger = Ledger(store, journal=Journal(folder, max_bytes=10_000_000), zone=ZONE)
    ledger._adopt()
    while ledger._guarded_round():
        pass
    ledger.close_blocking()
    return ledger


def test_a_row_that_was_deleted_is_not_counted_again(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Another machine has committed it, and its journal still has it."""
    add_budget(store, ZONE, period="total", created_at=NOW - timedelta(days=50))
    ledger = Ledger(store, zone=ZONE)
    ledger._write(entries(0, 100))
    assert prune(store, machine(tmp_path / "a")) > 0
    kept, usage, budgets = stored(store), sum_usage(store, ["day"], ZONE), spent(store)
    returned = replay(store, tmp_path / "b.journal", entries(40, 60))
    assert (stored(store), sum_usage(store, ["day"], ZONE), spent(store)) == (kept, usage, budgets)
    assert returned.dropped == len([each for each in entries(40, 60) if each.request_id not in kept])
    assert "come too late" in caplog.text


def test_a_row_that_is_late_but_younger_is_counted(store: Store, tmp_path: Path) -> None:
    ledger = Ledger(store, zone=ZONE)
    ledger._write(entries(20, 100))
    assert prune(store, machine(tmp_path / "a")) > 0
    before = sum_usage(store, [], ZONE).sums[0].totals.requests
    returned = replay(store, tmp_path / "b.journal", entries(0, 30))
    assert returned.dropped == 0
    assert sum_usage(store, [], ZONE).sums[0].totals.requests == before + 20
    assert {f"req_{number}" for number in range(40)} <= stored(store)


def test_before_anything_was_deleted_the_oldest_row_is_counted(store: Store, tmp_path: Path) -> None:
    returned = replay(store, tmp_path / "b.journal", entries(0, 1000))
    assert returned.dropped == 0
    assert len(stored(store)) == 1000


def test_a_new_row_is_stored_whatever_its_clock_says(store: Store, tmp_path: Path) -> None:
    """Only a journal's may have been there before."""
    Ledger(store, zone=ZONE)._write(entries(0, 100))
    prune(store, machine(tmp_path / "a"))
    ledger = Ledger(store, zone=ZONE)
    ledger._write([LedgerEntry(5.0, "req_of_1970", 200, 1.0)])
    assert "req_of_1970" in stored(store)


def test_a_clock_that_is_ahead_deletes_rows_but_refuses_none_of_later(store: Store, tmp_path: Path) -> None:
    Ledger(store, zone=ZONE)._write(entries(0, 100))
    config = machine(tmp_path / "a")
    Pruner(store, config, now=lambda: NOW + timedelta(days=50_000), machine="a").prune()
    assert stored(store) == set()
    later = LedgerEntry((NOW + HOUR).timestamp(), "req_later", 200, 1.0)
    assert replay(store, tmp_path / "b.journal", [later]).dropped == 0
    assert stored(store) == {"req_later"}


def test_rows_with_the_time_of_the_last_deleted_one(store: Store) -> None:
    at = NOW - timedelta(days=3)
    [there, gone] = [LedgerEntry(at.timestamp(), name, 200, 1.0) for name in ("req_there", "req_gone")]
    Ledger(store, zone=ZONE)._write([there])
    with store.write() as session:
        note_pruned(session.connection(), at)
        note_pruned(session.connection(), at - HOUR)  # another batch, of what came late
        assert session.scalar(select(Pruned.until)) == at
    younger = gone._replace(time_s=gone.time_s + 1e-6, request_id="req_younger")
    with store.append() as session:
        assert too_late(session.connection(), [there, gone, younger]) == {"req_gone"}


def test_one_machine_deletes_at_a_time(store: Store, tmp_path: Path) -> None:
    Ledger(store, zone=ZONE)._write(entries(0, 100))
    with store.append() as session:
        assert take_turn(session.connection(), "a", NOW)
        assert take_turn(session.connection(), "a", NOW)
    assert prune(store, machine(tmp_path / "b"), "b") == 0
    with store.append() as session:
        assert not take_turn(session.connection(), "b", NOW + TURN / 2)
        assert take_turn(session.connection(), "b", NOW + TURN)
        assert take_turn(session.connection(), "a", NOW - timedelta(days=700))  # whose clock is wrong
