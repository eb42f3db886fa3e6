"""`llmgw store copy`: everything arrives, once, unchanged, or nothing does."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from llmgw.access.keys import create_key, list_keys
from llmgw.ledger.journal import Journal
from llmgw.ledger.months import make_months_of
from llmgw.store import Base, LedgerRow, Store, open_store
from llmgw.store.bulk import PostgresRows, SqliteRows
from llmgw.store.copying import (
    CopyDiffersError,
    RowRefusedError,
    SourceChangedError,
    TargetNotEmptyError,
    copy_store,
    tables,
)
from llmgw.store.failures import cause_of
from tests.support.cli import Run
from tests.support.full_store import ROWS, SINGLE_ROWS, fill
from tests.support.postgres import PostgresServer

MORE_MEMORY_KIB = 24_000
"""That a large ledger may take beyond a small one. Its rows are 20 or 80 MB, three times that as objects."""
Opened = Callable[[str], Store]


@pytest.fixture
def opened(tmp_path: Path, postgres: PostgresServer, migrated: str) -> Iterator[Opened]:
    """Makes empty stores: `sqlite` or `postgresql`."""
    stores: list[Store] = []

    def make(kind: str) -> Store:
        url = f"sqlite:///{tmp_path / f'{len(stores)}.db'}"
        if kind == "postgresql":
            url = postgres.url(postgres.new_database(template=migrated))
        stores.append(open_store(url))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


def rows_of(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables, as the driver has them."""
    found = {}
    with store.read() as session:
        for table in tables():
            names = ", ".join(f'"{column.name}"' for column in table.columns)
            order = ", ".join(f'"{column.name}"' for column in table.primary_key.columns)
            query = f'SELECT {names} FROM "{table.name}" ORDER BY {order}'  # noqa: S608  (our own names)
            found[table.name] = [tuple(row) for row in session.connection().exec_driver_sql(query)]
    return found


def without_nul(rows: dict[str, list[tuple[Any, ...]]]) -> dict[str, list[tuple[Any, ...]]]:
    def changed(value: Any) -> Any:  # noqa: ANN401
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value

    return {name: [tuple(map(changed, row)) for row in table] for name, table in rows.items()}


def test_there_and_back_again_row_by_row(opened: Opened) -> None:
    """Every table; also texts that mean something to COPY, the largest numbers, JSON to its spaces."""
    here, there, again = opened("sqlite"), opened("postgresql"), opened("sqlite")
    fill(here)
    before = rows_of(here)
    assert {name: len(rows) for name, rows in before.items()} == {
        name: 1 if name in SINGLE_ROWS else ROWS for name in Base.metadata.tables
    }
    copied = copy_store(here, there, prepare=make_months_of)
    with there.read() as session:  # each row in its month, so that months can be dropped and made later
        assert session.scalar(text("SELECT count(*) FROM ledger_default")) == 0
    assert copied.replaced_texts == sum(
        isinstance(value, str) and "\0" in value for rows in before.values() for row in rows for value in row
    )
    assert {name: sum(each.rows for each in sums) for name, sums in copied.sums.items()} == {
        name: len(rows) for name, rows in before.items()
    }
    back = copy_store(there, again)
    assert back.sums == copied.sums
    assert back.replaced_texts == 0
    assert rows_of(again) == without_nul(before)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_copy_of_the_same_kind(opened: Opened, kind: str) -> None:
    origin, here, there = opened("sqlite"), opened(kind), opened(kind)
    fill(origin)
    copy_store(origin, here)
    copy_store(here, there)
    assert rows_of(there) == rows_of(here)


@pytest.mark.parametrize(("source", "target"), [("sqlite", "postgresql"), ("postgresql", "sqlite")])
def test_keys_work_and_ids_go_on(opened: Opened, source: str, target: str) -> None:
    here, there = opened(source), opened(target)
    made = [create_key(here, actor="test", name=f"key {number}") for number in range(3)]
    copy_store(here, there)
    assert [key.id for key in list_keys(there)] == [each.key.id for each in made]
    later = create_key(there, actor="test", name="later")
    assert later.key.id > made[-1].key.id


def test_nothing_is_mixed_with_what_is_there(opened: Opened) -> None:
    here, there = opened("sqlite"), opened("postgresql")
    create_key(here, actor="test", name="mine")
    create_key(there, actor="test", name="theirs")
    before = rows_of(there)
    with pytest.raises(TargetNotEmptyError, match="1 of api_keys") as raised:
        copy_store(here, there)
    assert raised.value.rows == {"api_keys": 1, "audit": 1}
    assert rows_of(there) == before


def test_a_source_that_is_written_to_is_noticed(opened: Opened) -> None:
    here, there = opened("sqlite"), opened("postgresql")
    create_key(here, actor="test", name="before")
    empty = rows_of(there)

    def write(name: str, done: int, _count: int) -> None:
        if name == "api_keys" and done:
            create_key(here, actor="test", name="meanwhile")

    with pytest.raises(SourceChangedError, match=r"\+1 of api_keys"):
        copy_store(here, there, told=write)
    assert rows_of(there) == empty
    copied = copy_store(here, there, told=write, keep_changed=True)
    assert copied.changes == {"api_keys": 1, "audit": 1, "key_epoch": 0}
    # One consistent view: what came later is in no table.
    rows = rows_of(there)
    assert (len(rows["api_keys"]), len(rows["audit"])) == (2, 2)


def test_a_row_that_is_refused_leaves_nothing(opened: Opened) -> None:
    here, there = opened("sqlite"), opened("postgresql")
    key = create_key(here, actor="test", name="n").key
    with here.write() as session:
        session.execute(text("UPDATE api_keys SET name = :name"), {"name": "x" * 201})
    empty = rows_of(there)
    with pytest.raises(RowRefusedError, match=r"api_keys.*too long"):
        copy_store(here, there)
    assert rows_of(there) == empty
    assert key.id == 1


def test_a_row_that_is_refused_is_quoted_nowhere(opened: Opened) -> None:
    """PostgreSQL's details have all its values, and some rows have the digest of a key, or a secret."""
    there = opened("postgresql")
    insertion = text("INSERT INTO projects (id, name, created_at) VALUES (1, 'confidential', now())")
    with pytest.raises(IntegrityError, match="already exists") as refused, there.write() as session:
        session.execute(insertion)
    said = cause_of(refused.value)
    assert "duplicate key" in said
    assert "(id)=(1)" in str(refused.value.orig)
    assert "(id)=(1)" not in said


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_a_copy_that_lost_something_is_not_kept(
    opened: Opened, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = opened("sqlite"), opened(target)
    fill(here)
    kind: type[SqliteRows | PostgresRows] = SqliteRows if target == "sqlite" else PostgresRows
    add = kind.add

    def lossy(self: SqliteRows, rows: Sequence[Sequence[Any]]) -> None:
        add(self, rows[1:] if len(rows[0]) == len(LedgerRow.__table__.columns) else rows)  # type: ignore[arg-type]

    empty = rows_of(there)
    monkeypatch.setattr(kind, "add", lossy)
    with pytest.raises(CopyDiffersError, match=r"ledger: .* in FROM and .* in TO") as raised:
        copy_store(here, there)
    assert {each.table for each in raised.value.differences} == {"ledger"}
    assert rows_of(there) == empty


def test_one_wrong_figure_is_told(opened: Opened) -> None:
    here, there = opened("sqlite"), opened("sqlite")
    fill(here)
    with there.write() as session:
        session.execute(
            text(
                "CREATE TRIGGER wrong AFTER INSERT ON ledger WHEN new.id = 10 BEGIN"
                " UPDATE ledger SET status = status + 1 WHERE id = 10; END"
            )
        )
    with pytest.raises(CopyDiffersError) as raised:
        copy_store(here, there)
    [difference] = raised.value.differences
    assert (difference.table, difference.figure.split(" (")[0]) == ("ledger", "sum of status")


def test_a_server_that_dies_leaves_nothing_and_the_next_copy_is_whole(opened: Opened) -> None:
    here = opened("sqlite")
    fill(here)
    with PostgresServer(durable=True) as server:
        there = open_store(server.url(server.new_database()))
        empty = rows_of(there)

        def kill(name: str, done: int, _count: int) -> None:
            if name == "ledger" and done:
                server.kill()

        with pytest.raises(Exception, match=r"connection|server"):
            copy_store(here, there, told=kill)
        server.start()
        assert rows_of(there) == empty
        copy_store(here, there)
        assert {name: len(rows) for name, rows in rows_of(there).items()} == {
            name: len(rows) for name, rows in rows_of(here).items()
        }
        there.close()


SQLITE_ROWS = """
WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {count})
INSERT INTO ledger (id, time, request_id, status, stream, usage_source, thinking_observed, total_s, model,
  upstream, prompt_tokens, completion_tokens, cost, currency, attempt_errors)
SELECT n, strftime('%Y-%m-%d %H:%M:%S.000000', 1700000000 + n * 60, 'unixepoch'), printf('req_%032d', n),
  200, 0, 'upstream', 0, 1.5, 'glm-5', 'glm', n, n * 2, n * 1000, 'CNY', printf('%0200d', n) FROM number"""
POSTGRES_ROWS = """
INSERT INTO ledger (id, time, request_id, status, stream, usage_source, thinking_observed, total_s, model,
  upstream, prompt_tokens, completion_tokens, cost, currency, attempt_errors)
SELECT n, timestamp '2023-11-14' + n * interval '1 minute', 'req_' || n, 200, false, 'upstream', false, 1.5,
  'glm-5', 'glm', n, n * 2, n * 1000, 'CNY', lpad(n::text, 200, '0')
FROM generate_series(1::bigint, {count}) AS made(n)"""
COPYING = """
import resource, sys
from llmgw.store import open_store
from llmgw.store.copying import copy_store
for pair in sys.argv[1:]:
    source, target = map(open_store, pair.split())
    [sums] = copy_store(source, target).sums["ledger"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(peak, sums.rows, sums.figures["sum of completion_tokens"], sums.figures["sum of cost"])
"""


@pytest.mark.parametrize(
    ("source", "target", "count"), [("sqlite", "postgresql", 200_000), ("postgresql", "sqlite", 50_000)]
)
def test_a_large_ledger_needs_no_more_memory(
    tmp_path: Path, postgres: PostgresServer, source: str, target: str, count: int
) -> None:
    def url(kind: str, name: str) -> str:
        if kind == "postgresql":
            return postgres.url(postgres.new_database())
        return f"sqlite:///{tmp_path / name}"

    pairs = []
    for rows in (2_000, count):  # the first shows what it needs in any case
        first, second = url(source, f"from-{rows}.db"), url(target, f"to-{rows}.db")
        store = open_store(first)
        with store.write(statement_timeout_s=60) as session:
            sql = SQLITE_ROWS if source == "sqlite" else POSTGRES_ROWS
            session.connection().exec_driver_sql(sql.format(count=rows))
        store.close()
        pairs.append(f"{first} {second}")
    done = subprocess.run(
        [sys.executable, "-c", COPYING, *pairs], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (small, *_), (large, *sums) = (map(int, line.split()) for line in done.stdout.splitlines())
    tokens = count * (count + 1)
    assert sums == [count, tokens, tokens * 500]
    assert large < small + MORE_MEMORY_KIB, (small, large)


def test_the_command(
    run: Run, tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'llmgw.db'}")
    create_key(store, actor="test", name="n")
    store.close()
    url = postgres.url(postgres.new_database())
    monkeypatch.setenv("TO_URL", url)
    done = run("store", "copy", "sqlite:///llmgw.db", "env:TO_URL")
    assert (done.status, done.err) == (0, "")
    assert "Counts and sums of all tables are the same on both sides." in done.out
    assert postgres.password not in done.out
    again = run("store", "copy", "sqlite:///llmgw.db", "env:TO_URL")
    assert again.status == 1
    assert again.err == (
        "llmgw: TO is not empty: it has 1 of api_keys, 1 of audit; name a new file, or drop the database and "
        "create it again\n"
    )
    back = run("store", "copy", "env:TO_URL", "sqlite:///back.db", "--json")
    assert back.status == 0
    document = json.loads(back.out)
    assert {each["table"]: each["rows"] for each in document["tables"]}["api_keys"] == 1
    assert (document["changes"], document["replaced_texts"]) == ({}, 0)
    assert postgres.password not in back.out


FAULTS = {
    "no such file": (("sqlite:///none.db", "sqlite:///to.db"), "FROM is no file: "),
    "no URL": (("llmgw.db", "sqlite:///to.db"), "FROM is not the URL of a SQLite file"),
    "no variable": (("sqlite:///llmgw.db", "env:NOBODY_SET_IT"), "TO "),
    "the same": (("sqlite:///llmgw.db", "sqlite:///./llmgw.db"), "FROM and TO are the same database"),
    "nobody there": (("sqlite:///llmgw.db", "postgresql+psycopg://u:secret@127.0.0.1:9/x"), "TO: can't open"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_said_of_a_wrong_command(run: Run, tmp_path: Path, name: str) -> None:
    open_store(f"sqlite:///{tmp_path / 'llmgw.db'}").close()
    arguments, message = FAULTS[name]
    done = run("store", "copy", *arguments)
    assert done.status == 1
    assert done.err.startswith(f"llmgw: {message}"), done.err
    assert "secret" not in done.err
    assert not (tmp_path / "none.db").exists()


def test_rows_that_wait_in_a_journal_are_not_left_behind(run: Run, tmp_path: Path) -> None:
    open_store(f"sqlite:///{tmp_path / 'llmgw.db'}").close()
    journal = Journal(tmp_path / "llmgw.db.journal", max_bytes=10_000)
    journal.append([{"time_s": 1.0, "request_id": "req_1", "status": 200, "total_s": 1.0}])
    journal.close()
    done = run("store", "copy", "sqlite:///llmgw.db", "sqlite:///to.db")
    assert done.status == 1
    assert "1 rows of the ledger wait in" in done.err
