"""The ledger's partitions: made ahead, once, without harm if that fails; dropped when they are too old."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from llmgw.budgets.verify import verify
from llmgw.ledger import months
from llmgw.ledger.entry import LedgerEntry
from llmgw.ledger.months import Month, drop_months, make_months, make_months_of, months_between
from llmgw.ledger.usage import sum_usage
from llmgw.ledger.writer import Ledger
from llmgw.store import LedgerRow, Pruned, Store, open_store
from llmgw.store.copying import copy_store
from tests.support.postgres import PostgresServer, store_urls

ZONE = ZoneInfo("Asia/Kolkata")
"""Its months begin half an hour beside those of UTC's hours."""
NOW = datetime(2026, 11, 26, 3, 30, tzinfo=UTC)
AHEAD = [Month(2026, 11), Month(2026, 12), Month(2027, 1)]


@pytest.fixture
def url(postgres: PostgresServer) -> Iterator[str]:
    yield from store_urls(postgres)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(months, "TRIES", 2)


def fill(store: Store, *times: datetime) -> None:
    ledger = Ledger(store, zone=ZONE)
    for at in times:
        ledger._write([LedgerEntry(at.timestamp(), f"req_{at:%Y%m%d%H%M%S%f}", 200, 1.0, key_id=1)])


def rows(store: Store) -> dict[str, int]:
    """Of each partition."""
    with store.read() as session:
        query = text("SELECT tableoid::regclass::text, count(*) FROM ledger GROUP BY 1")
        return dict(session.execute(query).all())


def test_a_month_ends_where_the_next_begins() -> None:
    end = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)
    assert list(months_between(end, datetime(2027, 1, 1, tzinfo=UTC))) == AHEAD
    assert Month(2026, 12).following == Month(2027, 1)
    assert Month.of(datetime(2026, 12, 1, 5, tzinfo=ZoneInfo("Asia/Shanghai"))) == Month(2026, 11)


def test_this_month_and_the_next_two_are_made(store: Store) -> None:
    fill(store, NOW)
    assert rows(store) == {"ledger_default": 1}
    assert make_months(store, NOW) == AHEAD
    assert make_months(store, NOW) == []
    begin = datetime(2026, 12, 1, tzinfo=UTC)
    fill(store, begin - timedelta(microseconds=1), begin, datetime(2027, 2, 1, tzinfo=UTC))
    assert rows(store) == {"ledger_2026_11": 2, "ledger_2026_12": 1, "ledger_default": 1}
    assert make_months(store, begin) == [Month(2027, 2)]
    assert rows(store) == {"ledger_2026_11": 2, "ledger_2026_12": 1, "ledger_2027_02": 1}


def test_a_row_that_was_moved_is_known(store: Store) -> None:
    """From the default partition; its journal is replayed later."""
    entry = LedgerEntry(NOW.timestamp(), "req_1", 200, 1.0, key_id=1)
    ledger = Ledger(store, zone=ZONE)
    ledger._write([entry])
    with store.read() as session:
        before = session.scalar(select(LedgerRow.id))
    make_months(store, NOW)
    ledger._write([entry, entry._replace(request_id="req_2")])
    with store.read() as session:
        ids = dict(session.execute(select(LedgerRow.request_id, LedgerRow.id)).all())
    assert ids["req_1"] == before
    assert ids["req_2"] > ids["req_1"]
    assert verify(store, ZONE, NOW).is_right


@pytest.mark.usefixtures("store")
def test_many_machines_make_each_month_once(url: str) -> None:
    made: list[Month] = []
    barrier = threading.Barrier(4)

    def run() -> None:
        own = open_store(url)
        barrier.wait()
        made.extend(make_months(own, NOW, wait=lambda _seconds: False))
        own.close()

    machines = [threading.Thread(target=run) for _ in range(4)]
    for machine in machines:
        machine.start()
    for machine in machines:
        machine.join()
    assert sorted(made) == AHEAD


def test_while_the_table_is_read_others_hardly_wait(store: Store) -> None:
    """A report that takes long: the month is made later, and rows go to the default partition."""
    with store.read() as session:
        session.scalar(select(func.count()).select_from(LedgerRow))
        with pytest.raises(SQLAlchemyError):
            make_months(store, NOW, wait=lambda _seconds: False)
        fill(store, NOW)
    assert rows(store) == {"ledger_default": 1}
    assert make_months(store, NOW) == AHEAD
    assert rows(store) == {"ledger_2026_11": 1}


def test_a_stop_ends_the_attempts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(months, "TRIES", 1000)
    with store.read() as session:
        session.scalar(select(func.count()).select_from(LedgerRow))
        with pytest.raises(SQLAlchemyError):
            make_months(store, NOW, wait=lambda _seconds: True)


def test_old_months_are_dropped_and_sums_stay(store: Store) -> None:
    times = [datetime(2026, month, day, 12, tzinfo=UTC) for month in (8, 9, 10, 11) for day in (1, 15, 26)]
    make_months(store, datetime(2026, 8, 1, tzinfo=UTC))
    make_months(store, NOW)
    fill(store, *times)
    before = sum_usage(store, ["day"], ZONE)
    oldest = datetime(2026, 10, 1, tzinfo=UTC)
    assert drop_months(store, oldest, machine="a", now=NOW) == [Month(2026, 8), Month(2026, 9)]
    assert drop_months(store, oldest, machine="a", now=NOW) == []
    assert rows(store) == {"ledger_2026_10": 3, "ledger_2026_11": 3}
    with store.read() as session:
        assert session.scalar(select(Pruned.until)) == datetime(2026, 9, 26, 12, tzinfo=UTC)
    assert sum_usage(store, ["day"], ZONE) == before
    assert verify(store, ZONE, NOW, keep_days=50).is_right


def test_one_machine_drops(store: Store) -> None:
    make_months(store, datetime(2026, 8, 1, tzinfo=UTC))
    drop_months(store, datetime(2026, 9, 1, tzinfo=UTC), machine="a", now=NOW)
    oldest = datetime(2026, 10, 1, tzinfo=UTC)
    assert drop_months(store, oldest, machine="b", now=NOW) == []
    assert drop_months(store, oldest, machine="b", now=NOW + timedelta(minutes=1)) == [Month(2026, 9)]


def test_a_copy_has_a_partition_for_each_month_that_has_rows(store: Store, tmp_path: Path) -> None:
    source = open_store(f"sqlite:///{tmp_path}/llmgw.db")
    times = [datetime(year, month, 3, tzinfo=UTC) for year, month in ((1970, 1), (2026, 9), (2026, 11))]
    fill(source, *times, times[-1] + timedelta(days=1))
    copy_store(source, store, prepare=make_months_of)
    source.close()
    assert rows(store) == {"ledger_1970_01": 1, "ledger_2026_09": 1, "ledger_2026_11": 2}
    assert verify(store, ZONE, NOW).is_right
    fill(store, *times)  # they are known
    assert sum(rows(store).values()) == 4
    fill(store, NOW)
    with store.read() as session:  # a new row's id follows those that were copied
        newest = session.scalars(select(LedgerRow.id).order_by(LedgerRow.time.desc()).limit(1)).one()
    assert newest > 4


def test_a_month_made_by_hand_is_left_alone(store: Store) -> None:
    with store.write() as session:
        session.execute(
            text("CREATE TABLE of_old PARTITION OF ledger FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')")
        )
    make_months(store, NOW)
    assert drop_months(store, NOW, machine="a", now=NOW) == []
    fill(store, datetime(2020, 5, 1, tzinfo=UTC))
    assert rows(store) == {"of_old": 1}
