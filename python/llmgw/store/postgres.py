"""A store on a PostgreSQL server, which several machines share.

Writers take turns by an advisory lock, so that what reads and then writes is as right here as on SQLite,
which has one writer at a time. The ledger's writers take it shared: any number of them run beside each other,
and none beside a change of keys or budgets.

A transaction costs three round trips: one that begins it, with its lock and its timeouts, one for its
statement, and its end.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Final, NamedTuple

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from llmgw.config import POSTGRESQL_PREFIX
from llmgw.store import wire
from llmgw.store.engine import DialectName, Store, StoreError, Watch
from llmgw.store.failures import cause_of
from llmgw.store.listening import PostgresWatch
from llmgw.store.revision import is_current
from llmgw.store.tables.limits import HAS_EXTRA, BudgetWindow
from llmgw.store.wire import STATEMENT_TIMEOUT_S, StatementTimeoutError

logger = logging.getLogger(__name__)

BUSY_TIMEOUT_S: Final = 5.0
"""How long a transaction waits for other writers before it fails."""

MIGRATION_TIMEOUT_S: Final = 600.0
"""How long a start waits for another machine that migrates."""

IDLE_S: Final = 10.0
"""A client that says nothing for so long within a transaction that writes has died with its machine: the
server ends it, so that others can write."""

CONNECTIONS: Final = 8
"""Of one process at once, beside the one that listens; one of them is kept open."""

KEPT_S: Final = 60.0
"""How long it is kept without being used."""

_WRITERS: Final = 0x6C6C_6D67_77
"""Of the advisory lock: `llmgw` in ASCII."""
_OPTION: Final = "llmgw_begin"
_MARGIN_S: Final = 0.5
"""The server gives up a statement so much earlier than we give up the server."""
_IDENTITY: Final = (
    "SELECT set_config('TimeZone', 'UTC', false), pg_postmaster_start_time()::text,"
    " (SELECT oid::text FROM pg_database WHERE datname = current_database())"
)

for _index in BudgetWindow.__table__.indexes:  # type: ignore[attr-defined]  # it is a table
    if "where" in _index.dialect_options["sqlite"]:
        _index.dialect_options["postgresql"]["where"] = text(HAS_EXTRA)


class _Begin(NamedTuple):
    """How a transaction begins."""

    mode: str
    lock: str | None
    """The function that takes the advisory lock; None: it writes nothing."""
    busy_timeout_s: float = BUSY_TIMEOUT_S
    statement_timeout_s: float = STATEMENT_TIMEOUT_S

    @property
    def deadline_s(self) -> float:
        """For the first statement, which only waits for the lock, however long the others may take."""
        answer_s = min(self.statement_timeout_s, STATEMENT_TIMEOUT_S)
        return answer_s if self.lock is None else max(answer_s, self.busy_timeout_s + 2 * _MARGIN_S)

    @property
    def sql(self) -> str:
        """All in one, so that it is one round trip."""
        limit_s = self.statement_timeout_s - _MARGIN_S
        timeout_ms = 0 if limit_s == float("inf") else max(1, round(limit_s * 1000))
        parts = [f"BEGIN ISOLATION LEVEL {self.mode}"]
        if self.lock is not None:
            parts += [
                f"SET LOCAL lock_timeout = {max(1, round(self.busy_timeout_s * 1000))}",
                f"SET LOCAL idle_in_transaction_session_timeout = {round(IDLE_S * 1000)}",
                f"SELECT {self.lock}({_WRITERS})",
            ]
        return "; ".join([*parts, f"SET LOCAL statement_timeout = {timeout_ms}"])


_READ: Final = _Begin("REPEATABLE READ READ ONLY", None)
_WRITE: Final = _Begin("READ COMMITTED", "pg_advisory_xact_lock")
_APPEND: Final = _Begin("READ COMMITTED", "pg_advisory_xact_lock_shared")


class PostgresStore(Store):
    """The database of a server. It is found out at each new connection whether it is still the same one."""

    dialect: DialectName = "postgresql"

    def __init__(self, url: str) -> None:
        """Opens nothing yet. Raises psycopg.ProgrammingError: the URL is none of libpq's."""
        self._parameters = wire.parameters_of(url)
        self._shown = wire.shown(url)
        self._lock = threading.Lock()  # of the identity and the generation
        self._identity: tuple[str, ...] | None = None
        self._used_s = float("-inf")
        self.generation = 0
        self._engine = self.make_engine(spare=CONNECTIONS - 1)

    @contextmanager
    def read(self, *, statement_timeout_s: float | None = None) -> Iterator[Session]:
        """A snapshot: all of it is of the moment of its first statement."""
        with self._begun(_READ, None, statement_timeout_s) as session:
            yield session

    @contextmanager
    def write(
        self, *, busy_timeout_s: float | None = None, statement_timeout_s: float | None = None
    ) -> Iterator[Session]:
        """Alone: it sees what all earlier writers have committed."""
        with self._begun(_WRITE, busy_timeout_s, statement_timeout_s) as session:
            yield session
            session.commit()

    @contextmanager
    def append(self, *, busy_timeout_s: float | None = None) -> Iterator[Session]:
        """Beside other appends."""
        with self._begun(_APPEND, busy_timeout_s, None) as session:
            yield session
            session.commit()

    def watch(self) -> Watch:
        """It listens, on a connection of its own."""
        return PostgresWatch(self)

    def make_engine(self, *, spare: int) -> Engine:
        """Keeps one connection, and has at most `spare` more at once."""
        engine = create_engine(
            POSTGRESQL_PREFIX,
            creator=self._connect,
            pool_size=1,
            max_overflow=spare,
            pool_timeout=BUSY_TIMEOUT_S,
            use_native_hstore=False,
        )
        event.listen(engine, "begin", _on_begin)
        return engine

    def read_by(self, engine: Engine) -> AbstractContextManager[Session]:
        """As `read`, with a connection of this engine of `make_engine`."""
        return _begun(engine, _READ)

    def close_idle(self) -> None:
        """Close the connection that is kept, if it was of no use for a while."""
        pool = self._engine.pool
        is_used = isinstance(pool, QueuePool) and pool.checkedout() > 0
        if not is_used and time.monotonic() - self._used_s > KEPT_S:
            self._engine.dispose()

    def prepare(self) -> None:
        """Migrate. Raises StoreError."""
        try:
            with self.read() as session:
                if is_current(session.connection()):
                    return
            from llmgw.store.migrate import upgrade  # noqa: PLC0415  (as in `sqlite`)

            with self.write(busy_timeout_s=MIGRATION_TIMEOUT_S, statement_timeout_s=float("inf")) as session:
                upgrade(session.connection(), self._shown)
        except SQLAlchemyError as error:
            message = f"can't open the database {self._shown}: {cause_of(error)}"
            raise StoreError(message, _remedy(error)) from error

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _connect(self) -> wire.Connection:
        """A new connection. Raises psycopg.Error."""
        connection = wire.connect(self._parameters)
        try:
            row = connection.execute(_IDENTITY).fetchone()
        except BaseException:
            connection.close()
            raise
        identity = tuple((row or ())[1:])
        with self._lock:
            if self._identity not in (None, identity):
                # Another server took over, or this one was restarted, maybe from a backup.
                self.generation += 1
            self._identity = identity
        return connection

    def _begun(
        self, begin: _Begin, busy_timeout_s: float | None, statement_timeout_s: float | None
    ) -> AbstractContextManager[Session]:
        self._used_s = time.monotonic()
        if busy_timeout_s is not None:
            begin = begin._replace(busy_timeout_s=busy_timeout_s)
        if statement_timeout_s is not None:
            begin = begin._replace(statement_timeout_s=statement_timeout_s)
        return _begun(self._engine, begin)


@contextmanager
def _begun(engine: Engine, begin: _Begin) -> Iterator[Session]:
    """A transaction that has its locks. It is rolled back at the end of the block."""
    session = _begin_on_kept(engine, begin) or _begin(engine, begin)
    try:
        yield session
    except BaseException:
        # The error of the block is the one to tell, not that its connection can't be used any more.
        with suppress(SQLAlchemyError):
            session.rollback()
        with suppress(SQLAlchemyError):
            session.close()
        raise
    session.close()


def _begin(engine: Engine, begin: _Begin) -> Session:
    session = Session(engine, expire_on_commit=False)
    try:
        session.connection(execution_options={_OPTION: begin})
    except BaseException:
        session.close()
        raise
    return session


def _begin_on_kept(engine: Engine, begin: _Begin) -> Session | None:
    """None: the connection that was kept was broken. Nothing was done on it yet, so another may be tried."""
    try:
        return _begin(engine, begin)
    except DBAPIError as error:
        if error.connection_invalidated and not isinstance(error.orig, StatementTimeoutError):
            return None
        raise


def _on_begin(connection: Connection) -> None:
    begin: _Begin = connection.get_execution_options().get(_OPTION, _READ)
    driver: Any = connection.connection.driver_connection
    driver.deadline_s = begin.deadline_s
    connection.exec_driver_sql(begin.sql)
    driver.deadline_s = begin.statement_timeout_s


def _remedy(error: SQLAlchemyError) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, psycopg.errors.InsufficientPrivilege):
        return "let its user own the database or its schema (GRANT CREATE ON SCHEMA), or name another"
    if isinstance(cause, psycopg.errors.ReadOnlySqlTransaction):
        return "name the primary server, or add target_session_attrs=read-write to the URL"
    return "see that the server runs, and correct host, port, user, password or database"
