"""A store on a PostgreSQL server: what it shares with SQLite, and that no wait for the server is endless."""

import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError

from llmgw.access.keyring import KeyRing
from llmgw.access.keys import create_key, get_key, revoke_key
from llmgw.config import StoreConfig
from llmgw.errors import CommandError
from llmgw.store import (
    AuditRow,
    Base,
    KeyEpoch,
    LedgerRow,
    Project,
    Store,
    StoreError,
    Watch,
    open_store,
    raise_epoch,
    store_at,
)
from llmgw.store.failures import is_of_the_database
from llmgw.store.listening import PostgresWatch
from llmgw.store.migrate import alembic_config
from llmgw.store.open import opened_store
from llmgw.store.wire import shown
from tests.support.access import ACTOR
from tests.support.postgres import PostgresServer, store_urls
from tests.support.processes import free_port, wait_until

PROCESSES = 4
SOON_S = 1.0
"""The timeouts of these tests, and more than a statement ever takes."""
HANGING_S = 4.5
"""Less than the timeouts that hold without these tests' own."""
TOLD_S = 10.0
"""Far less than the minute after which it would be seen without being told."""


@pytest.fixture
def url(postgres: PostgresServer, migrated: str) -> Iterator[str]:
    yield from store_urls(postgres, template=migrated)


@pytest.fixture
def opened(url: str) -> Iterator[Store]:
    with closing(open_store(url)) as store:
        yield store


def epoch(store: Store) -> int:
    with store.read(statement_timeout_s=SOON_S) as session:
        return session.scalars(select(KeyEpoch.epoch)).one()


def count_up(store: Store) -> None:
    with store.write(busy_timeout_s=SOON_S / 4, statement_timeout_s=SOON_S) as session:
        raise_epoch(session)


def alembic(store: Store, verb: str, revision: str) -> None:
    config = alembic_config()
    with store.write() as session:
        config.attributes["connection"] = session.connection()
        getattr(command, verb)(config, revision)


def _is_no_partition(name: str | None, kind: str, _: object) -> bool:
    return kind != "table" or re.fullmatch(r"ledger_(default|\d{4}_\d\d)", name or "") is None


def test_migrations_lead_to_the_models(opened: Store) -> None:
    with opened.read() as session:
        context = MigrationContext.configure(session.connection(), opts={"include_name": _is_no_partition})
        found = compare_metadata(context, Base.metadata)
    # The ledger's unique index has the column there by which the table is partitioned.
    assert {(kind, index.name) for kind, index in found} == {
        ("remove_index", "ux_ledger_request_id"),
        ("add_index", "ux_ledger_request_id"),
    }


def test_processes_that_start_together_migrate_once(postgres: PostgresServer) -> None:
    [url] = store_urls_of(postgres, 1)
    program = f"from llmgw.store import open_store; open_store({url!r}).close()"
    processes = [
        subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) for _ in range(PROCESSES)
    ]
    assert [process.communicate()[1] for process in processes] == [b""] * PROCESSES
    with closing(store_at(url)) as store, store.read() as session:
        assert session.scalars(select(Project.name)).all() == ["default"]
        assert session.scalars(select(KeyEpoch.epoch)).all() == [0]


def store_urls_of(server: PostgresServer, number: int) -> list[str]:
    return [server.url(server.new_database()) for _ in range(number)]


def test_there_and_back(opened: Store) -> None:
    row = {
        "time": datetime(2026, 11, 24, tzinfo=UTC), "request_id": "r", "status": 200, "stream": False,
        "usage_source": "none", "thinking_observed": False, "total_s": 1.0,
    }  # fmt: skip
    with opened.write() as session:
        session.add(LedgerRow(**row))
    for verb, revision in (
        ("downgrade", "0006"),
        ("upgrade", "head"),
        ("downgrade", "0006"),
        ("upgrade", "head"),
    ):
        alembic(opened, verb, revision)
        with opened.write() as session:
            last = session.scalars(select(LedgerRow).order_by(LedgerRow.id)).all()[-1]
            session.add(LedgerRow(**(row | {"request_id": f"{last.request_id}+"})))
    with opened.read() as session:
        found = session.execute(select(LedgerRow.id, LedgerRow.request_id).order_by(LedgerRow.id)).all()
    assert [tuple(each) for each in found] == [(number + 1, "r" + "+" * number) for number in range(5)]
    alembic(opened, "downgrade", "base")
    with opened.read() as session:
        named = text(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
        )
        assert session.scalars(named).all() == ["alembic_version"]


def test_a_database_of_a_newer_version(opened: Store, url: str) -> None:
    with opened.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(
        StoreError, match=r"/test_.* is no database that this version of llmgw knows: .*9999"
    ) as caught:
        open_store(url)
    assert url not in str(caught.value)


def _unknown_user(server: PostgresServer) -> str:
    return server.url("postgres").replace("llmgw:", "nobody:")


def _wrong_password(server: PostgresServer) -> str:
    return server.url("postgres").replace(server.password, "geheim-falsch")


def _unknown_database(server: PostgresServer) -> str:
    return server.url("no_such_database")


def _nobody_listens(server: PostgresServer) -> str:
    return server.url("postgres", port=free_port())


def _may_make_no_table(server: PostgresServer) -> str:
    return server.url("postgres")


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (_unknown_user, "password authentication failed"),
        (_wrong_password, "password authentication failed"),
        (_unknown_database, 'database "no_such_database" does not exist'),
        (_nobody_listens, "Connection refused"),
        (_may_make_no_table, "permission denied for schema public"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_can_t_be_opened(
    postgres: PostgresServer, of: Callable[[PostgresServer], str], said: str
) -> None:
    url = of(postgres)
    with pytest.raises(CommandError) as caught, opened_store(StoreConfig(url=url)):
        pass
    text = str(caught.value)
    assert said in text
    assert "can't open the database postgresql+psycopg://" in text
    assert text.endswith(" in store.url")
    assert ("GRANT CREATE" in text) == (of is _may_make_no_table)
    assert not any(secret in text for secret in (postgres.password, "geheim"))
    assert "url" not in repr(StoreConfig(url=url))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("user:geheim@host/db", "user@host/db"),
        ("user:geheim@a:1,b:2/db?password=geheim&sslpassword=geheim", "user@a:1,b:2/db"),
        ("/db?host=a,b&port=5433&user=u&password=geheim", "u@a:5433,b:5433/db"),
        ("us%3Aer:ge%40heim@[::1]:5432/db", "us:er@::1:5432/db"),
        ("", "/"),
    ],
)
def test_what_is_shown_of_a_url(url: str, expected: str) -> None:
    assert shown(f"postgresql+psycopg://{url}") == f"postgresql+psycopg://{expected}"


def test_a_read_is_of_one_moment(opened: Store) -> None:
    with opened.read() as session:
        before = session.scalars(select(KeyEpoch.epoch)).one()
        count_up(opened)
        session.expire_all()
        assert session.scalars(select(KeyEpoch.epoch)).one() == before
    assert epoch(opened) == before + 1


def test_a_read_changes_nothing(opened: Store) -> None:
    with pytest.raises(InternalError, match="read-only"), opened.read() as session:
        raise_epoch(session)


def test_a_failed_block_changes_nothing(opened: Store) -> None:
    def fail() -> None:
        with opened.write() as session:
            raise_epoch(session)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert epoch(opened) == 0


@pytest.mark.parametrize(
    ("first", "second", "beside"),
    [
        ("write", "write", False),
        ("write", "append", False),
        ("append", "write", False),
        ("append", "append", True),
    ],
)
def test_who_writes_beside_whom(opened: Store, url: str, first: str, second: str, *, beside: bool) -> None:
    def enter() -> None:
        with closing(store_at(url)) as other, getattr(other, second)(busy_timeout_s=0.1):
            pass

    with getattr(opened, first)():
        if beside:
            enter()
        else:
            with pytest.raises(OperationalError) as caught:
                enter()
            assert isinstance(caught.value.orig, psycopg.errors.LockNotAvailable)
            assert is_of_the_database(caught.value)
    enter()


def test_what_reads_and_then_writes_is_right_beside_others(opened: Store) -> None:
    def step(_: int) -> None:
        with opened.write() as session:
            found = session.get_one(KeyEpoch, 1)
            found.epoch += 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(step, range(40)))
    assert epoch(opened) == 40


def test_a_connection_that_was_ended_costs_nothing(opened: Store, postgres: PostgresServer, url: str) -> None:
    epoch(opened)
    ended = postgres.ask(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", url.rpartition("/")[2]
    )
    assert (True,) in ended
    count_up(opened)
    assert (epoch(opened), opened.generation) == (1, 0)


def test_a_slow_statement_is_given_up(opened: Store) -> None:
    begun_s = time.monotonic()
    with (
        pytest.raises(OperationalError, match="statement timeout") as caught,
        opened.read(statement_timeout_s=SOON_S) as session,
    ):
        session.execute(text("SELECT pg_sleep(30)"))
    assert time.monotonic() - begun_s < HANGING_S
    assert is_of_the_database(caught.value)
    assert epoch(opened) == 0


def test_who_dies_in_a_transaction_does_not_lock_the_others_out(
    opened: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a machine that is gone without a word: its connection stays open on the server."""
    monkeypatch.setattr("llmgw.store.postgres.IDLE_S", 0.2)

    def die() -> None:
        with opened.write() as session:
            raise_epoch(session)
            with closing(store_at(url)) as other, other.write() as its:
                raise_epoch(its)

    with pytest.raises(DBAPIError, match="idle-in-transaction") as caught:
        die()
    assert is_of_the_database(caught.value)
    assert epoch(opened) == 1


def test_a_stopped_server_hangs_nobody() -> None:
    """SIGSTOP: its system still acknowledges what it is sent, and takes connections."""
    with PostgresServer() as server:
        [url] = store_urls_of(server, 1)
        store = open_store(url)

        def stop_within() -> None:
            with store.write(statement_timeout_s=SOON_S) as session:
                raise_epoch(session)
                server.pause()
                session.scalars(select(KeyEpoch.epoch)).one()

        for attempt in (stop_within, lambda: epoch(store), lambda: count_up(store)):
            begun_s = time.monotonic()
            with pytest.raises(OperationalError) as caught:
                attempt()
            # To connect takes the driver two seconds of its own, which is the least that it can.
            assert time.monotonic() - begun_s < HANGING_S
            assert is_of_the_database(caught.value)
        server.resume()
        count_up(store)
        assert epoch(store) == 1
        store.close()


def test_a_connection_on_which_nothing_comes_hangs_nobody() -> None:
    """One that is open when the server stops, and is used again."""
    with PostgresServer() as server:
        [url] = store_urls_of(server, 1)
        with closing(open_store(url)) as store:
            server.pause()
            begun_s = time.monotonic()
            with pytest.raises(OperationalError, match="did not answer within 1 s"):
                epoch(store)
            assert time.monotonic() - begun_s < HANGING_S
            server.resume()
            assert epoch(store) == 0


def test_a_long_statement_begins_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """So a report does not wait half a minute for a server that answers nobody."""
    monkeypatch.setattr("llmgw.store.postgres.STATEMENT_TIMEOUT_S", SOON_S)
    with PostgresServer() as server:
        [url] = store_urls_of(server, 1)
        with closing(open_store(url)) as store:
            server.pause()
            begun_s = time.monotonic()
            with pytest.raises(OperationalError), store.read(statement_timeout_s=60.0):
                pass
            assert time.monotonic() - begun_s < HANGING_S
            server.resume()
            with store.read(statement_timeout_s=60.0) as session:
                session.execute(text("SELECT pg_sleep(1.5)"))


def test_nobody_answers_a_connection(postgres: PostgresServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        store = store_at(postgres.url("postgres", port=deaf.getsockname()[1]))
        begun_s = time.monotonic()
        with pytest.raises(OperationalError, match="timeout"):
            epoch(store)
        assert time.monotonic() - begun_s < HANGING_S
        store.close()


def test_a_server_that_was_restarted_is_another_generation() -> None:
    with PostgresServer() as server:
        [url] = store_urls_of(server, 1)
        with closing(open_store(url)) as store:
            server.kill()
            with pytest.raises(OperationalError) as caught:
                epoch(store)
            assert is_of_the_database(caught.value)
            assert store.generation == 0
            server.start()
            assert (epoch(store), store.generation) == (0, 1)
            server.stop()
            server.start()
            count_up(store)  # nothing was sent on the broken connection, so there is another one
            assert store.generation == 2


def test_of_several_hosts_the_one_that_can_be_written(postgres: PostgresServer, url: str) -> None:
    hosts = f"127.0.0.1:{free_port()},127.0.0.1:{postgres.port}"
    several = url.replace(f"127.0.0.1:{postgres.port}", hosts) + "?target_session_attrs=read-write"
    with closing(open_store(several)) as store:
        count_up(store)
        assert epoch(store) == 1


def test_u_0000_is_replaced(opened: Store) -> None:
    create_key(opened, actor="a\0", name="x\0y", models=["m\0"])
    key = get_key(opened, "x\0y")
    assert (key.name, key.models) == ("x\N{REPLACEMENT CHARACTER}y", frozenset({"m\0"}))
    with opened.read() as session:
        assert session.scalars(select(AuditRow.actor)).all() == ["a\N{REPLACEMENT CHARACTER}"]


def test_texts_are_in_the_order_of_their_bytes(opened: Store) -> None:
    names = ["a", "B", "ä", "_", "Z", "旧", "b"]
    with opened.write() as session:
        session.add_all(Project(name=name, created_at=datetime.now(UTC), blocked_at=None) for name in names)
    with opened.read() as session:
        found = session.scalars(select(Project.name).where(Project.id > 1).order_by(Project.name)).all()
    assert found == sorted(names, key=str.encode)


def test_connections_say_whose_they_are(opened: Store, postgres: PostgresServer, url: str) -> None:
    epoch(opened)
    query = "SELECT DISTINCT application_name FROM pg_stat_activity WHERE datname = %s"
    assert postgres.ask(query, url.rpartition("/")[2]) == [("llmgw",)]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1/0", False),
        ("INSERT INTO projects VALUES (1, 'again', now())", False),
        ("INSERT INTO projects (name, created_at) VALUES (NULL, now())", False),
        ("INSERT INTO projects (name, created_at) VALUES (repeat('x', 201), now())", False),
        ("SELECT * FROM no_such_table", True),
        ("SELECT no_such_column FROM projects", True),
        ("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '53100'; END $$", True),  # the disk is full
        ("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '53300'; END $$", True),  # too many connections
        ("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$", True),
        ("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40P01'; END $$", True),  # a deadlock
        ("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '25006'; END $$", True),  # a standby
        ("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '42501'; END $$", True),  # not allowed
        ("SELECT pg_terminate_backend(pg_backend_pid())", True),
    ],
)
def test_a_failed_database_is_told_from_a_refused_value(opened: Store, sql: str, *, expected: bool) -> None:
    with pytest.raises(DBAPIError) as caught, opened.write() as session:
        session.execute(text(sql))
    assert is_of_the_database(caught.value) is expected


def connections(server: PostgresServer, url: str) -> int:
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
    return int(server.ask(query, url.rpartition("/")[2])[0][0])


def test_a_change_is_told(opened: Store, url: str) -> None:
    watch = opened.watch()
    with watch.read():
        pass
    assert listens(watch)
    with closing(store_at(url)) as other, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(watch.wait, 60.0)
        count_up(other)
        waiting.result(TOLD_S)
        # It is not forgotten what came while nobody waited, nor what came with an answer.
        count_up(other)
        watch.wait(60.0)
        with watch.read() as session:
            before = session.scalars(select(KeyEpoch.epoch)).one()
            count_up(other)
            session.scalars(select(KeyEpoch.epoch)).one()
        assert before == 2
        watch.wait(60.0)
        waiting = pool.submit(watch.wait, 60.0)
        watch.wake()
        waiting.result(TOLD_S)
    watch.close()


def listens(watch: Watch) -> bool:
    """By a call, since reading changes it."""
    return watch.is_told


def test_a_watch_survives_its_connection(opened: Store, postgres: PostgresServer, url: str) -> None:
    watch = opened.watch()
    with watch.read():
        pass
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(watch.wait, 60.0)
        postgres.ask(end, url.rpartition("/")[2])
        waiting.result(TOLD_S)  # a change may have been missed
    assert not listens(watch)
    with watch.read() as session:
        assert session.scalars(select(KeyEpoch.epoch)).one() == 0
    assert listens(watch)
    watch.close()


def test_a_connection_that_no_longer_listens_is_noticed(opened: Store) -> None:
    """As behind a pool of connections that gives each transaction another one."""
    watch = opened.watch()
    with watch.read():
        pass
    assert isinstance(watch, PostgresWatch)
    assert watch._connection is not None
    watch._connection.execute("UNLISTEN *")
    with watch.read():
        pass
    assert not listens(watch)
    watch.close()


def test_an_idle_worker_has_one_connection(
    opened: Store, postgres: PostgresServer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmgw.store.postgres.KEPT_S", 0.2)
    monkeypatch.setattr("llmgw.access.keyring.TOLD_INTERVAL_S", 0.05)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: epoch(opened), range(20)))
    ring = KeyRing(opened)
    ring.start()
    wait_until(lambda: connections(postgres, url) == 1, "one connection", timeout_s=5.0)
    count_up(opened)
    assert epoch(opened) == 1
    ring.close()
    opened.close()
    wait_until(lambda: connections(postgres, url) == 0, "none", timeout_s=5.0)


def test_a_worker_sees_a_change_at_once(opened: Store, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmgw.access.keyring.TOLD_INTERVAL_S", 60.0)
    ring = KeyRing(opened, poll_interval_s=0.05)
    ring.start()
    wait_until(lambda: ring._watch.is_told, "it listens", timeout_s=5.0)
    with closing(store_at(url)) as other:
        made = create_key(other, actor=ACTOR, name="k")
        wait_until(lambda: ring.lookup(made.token) is not None, "the key", timeout_s=TOLD_S)
        revoke_key(other, "k", actor=ACTOR)
        wait_until(lambda: ring.lookup(made.token) is None, "no key", timeout_s=TOLD_S)
    begun_s = time.monotonic()
    ring.close()
    assert time.monotonic() - begun_s < TOLD_S
