"""What is told of a ledger of any size at the same cost: its size, and what became of thinking lately."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import sqlite

from llmgw.ledger.thinking import MAX_ROWS, newest_thinking, sum_thinking
from llmgw.store import Store, open_store
from llmgw.store.facts import kind_of, shown_url, store_facts
from llmgw.store.sqlite import SqliteStore

BEGIN = datetime(2026, 11, 20, tzinfo=UTC)


def filled(path: Path, rows: int) -> Store:
    """A ledger of so many rows, one a second; each tenth got no answer."""
    store = open_store(f"sqlite:///{path}")
    insert = """
        WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :rows)
        INSERT INTO ledger (
            time, request_id, model, status, stream, usage_source, total_s, finish_reason,
            thinking_asked, thinking_sent, thinking_observed
        )
        SELECT strftime('%Y-%m-%d %H:%M:%S', '2026-11-20', i || ' seconds') || '.000000', 'req_' || i,
               CASE i % 4 WHEN 0 THEN 'm' WHEN 1 THEN NULL ELSE 'n' END, 200, 1, 'upstream', 1.0,
               CASE i % 10 WHEN 9 THEN NULL ELSE 'stop' END,
               CASE i % 3 WHEN 0 THEN 'on' WHEN 1 THEN 'off' END,
               CASE i % 3 WHEN 2 THEN NULL ELSE 'native' END, i % 3 = 0
        FROM n
    """
    with store.write() as session:
        session.execute(text(insert), {"rows": rows})
    return store


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Store]]:
    """One that is just long enough, and one that is much longer."""
    folder = tmp_path_factory.mktemp("ledgers")
    stores = filled(folder / "short.db", MAX_ROWS + 100), filled(folder / "long.db", 30 * MAX_ROWS)
    yield stores
    for store in stores:
        store.close()


def sql(rows: int) -> str:
    """The statement of a sum."""
    options = {"literal_binds": True}
    return str(newest_thinking(rows).compile(dialect=sqlite.dialect(), compile_kwargs=options))


def steps(store: Store) -> int:
    """What SQLite's machine does for a sum, in hundreds of instructions."""
    assert isinstance(store, SqliteStore)
    number = 0

    def step() -> None:
        nonlocal number
        number += 1

    with closing(sqlite3.connect(store._path)) as connection:
        connection.set_progress_handler(step, 100)
        assert connection.execute(sql(MAX_ROWS)).fetchall()
    return number


def test_thinking_lately(ledgers: tuple[Store, Store]) -> None:
    _, store = ledgers
    found = sum_thinking(store, 120)
    last = 30 * MAX_ROWS - 1
    assert (found.rows, found.since) == (120, BEGIN + timedelta(seconds=last - 119))
    expected: dict[tuple[str | None, str | None, str | None, bool], int] = {}
    for i in range(last - 119, last + 1):
        if i % 10 != 9:
            asked = ("on", "off", None)[i % 3]
            group = ("m", None, "n", "n")[i % 4], asked, None if asked is None else "native", i % 3 == 0
            expected[group] = expected.get(group, 0) + 1
    assert {tuple(each[:4]): each.requests for each in found.sums} == expected
    assert [each.model or "" for each in found.sums] == sorted(each.model or "" for each in found.sums)


def test_thinking_of_an_empty_ledger(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/empty.db")
    assert sum_thinking(store, MAX_ROWS) == (0, None, [])
    assert store_facts(store).ledger_rows == 0
    store.close()


def test_the_sum_walks_the_primary_key_backwards(ledgers: tuple[Store, Store]) -> None:
    with ledgers[1].read() as session:
        plan = [row.detail for row in session.execute(text(f"EXPLAIN QUERY PLAN {sql(MAX_ROWS)}"))]
        program = session.execute(text(f"EXPLAIN {sql(MAX_ROWS)}")).all()
    # By its row ids: no index is named, and nothing is sorted.
    assert [step for step in plan if "ledger" in step] == ["SCAN ledger"]
    assert not [step for step in plan if "ORDER BY" in step]
    codes = {row.opcode for row in program}
    assert {"Last", "Prev"} <= codes, "it begins at the end and goes backwards"


def test_it_costs_the_same_in_a_ledger_of_any_size(ledgers: tuple[Store, Store]) -> None:
    short, long = map(steps, ledgers)
    assert short > 100
    assert long < 1.2 * short


def test_a_ledger_s_size_is_estimated(ledgers: tuple[Store, Store], tmp_path: Path) -> None:
    for store, rows in zip(ledgers, (MAX_ROWS + 100, 30 * MAX_ROWS), strict=True):
        facts = store_facts(store)
        assert facts.ledger_rows == rows
        assert facts.size_bytes is not None
        assert facts.size_bytes > 100 * rows
    begun = time.monotonic()
    for _ in range(100):
        store_facts(ledgers[1])
    assert time.monotonic() - begun < 5
    store = filled(tmp_path / "pruned.db", 1000)
    with store.write() as session:
        session.execute(text("DELETE FROM ledger WHERE id <= 900"))
    assert store_facts(store).ledger_rows == 100
    store.close()


def test_a_url_is_shown_without_its_password() -> None:
    assert shown_url("sqlite:////var/lib/llmgw.db") == "sqlite:////var/lib/llmgw.db"
    assert shown_url("postgresql://llmgw:s3cret@host/db") == "postgresql://llmgw:***@host/db"
    assert kind_of("sqlite:////var/lib/llmgw.db") == "sqlite"
