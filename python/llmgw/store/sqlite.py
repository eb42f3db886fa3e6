"""A store in one SQLite file: how it is opened, used in transactions and migrated."""

import os
import pwd
import shlex
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from llmgw.config import SQLITE_PREFIX
from llmgw.config.files import make_private
from llmgw.store.engine import DialectName, Store, StoreError, StoreGoneError, Watch
from llmgw.store.revision import is_current

BUSY_TIMEOUT_S: Final = 5.0
"""How long a statement waits for another process's lock before it fails."""
_BEGIN: Final = "llmgw_begin"
_BUSY_TIMEOUT: Final = "llmgw_busy_timeout_s"
_PRIVATE: Final = 0o600


class SqliteStore(Store):
    """An open file.

    If it is replaced by another one, the next transaction uses that. Before each transaction the path
    is looked up; after a write it is looked up again, so that a write into a moved file counts as failed.
    """

    dialect: DialectName = "sqlite"

    def __init__(self, engine: Engine, path: Path) -> None:
        """Use `open_sqlite`, which also migrates."""
        self._engine = engine
        self._writer = engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
        self._path = path
        self._lock = threading.Lock()  # of the two below: several threads look for the file
        self._identity: tuple[int, int] | None = None
        self.generation = 0

    @contextmanager
    def read(self, *, statement_timeout_s: float | None = None) -> Iterator[Session]:
        """A consistent view. Never waits for a writer (WAL)."""
        del statement_timeout_s
        self._locate()
        with Session(self._engine) as session:
            yield session

    @contextmanager
    def write(
        self, *, busy_timeout_s: float | None = None, statement_timeout_s: float | None = None
    ) -> Iterator[Session]:
        """It takes the write lock at once, because upgrading a read lock later fails without waiting."""
        del statement_timeout_s
        identity = self._locate()
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            session.connection(execution_options={_BUSY_TIMEOUT: busy_timeout_s})
            yield session
        if self._look() != identity:
            message = f"{self._path} was replaced during a transaction"
            raise StoreGoneError(message)

    def append(self, *, busy_timeout_s: float | None = None) -> AbstractContextManager[Session]:
        """The same as `write`: a file has one writer at a time."""
        return self.write(busy_timeout_s=busy_timeout_s)

    def watch(self) -> Watch:
        """A poll: the file tells nobody."""
        return Watch(self)

    def _look(self) -> tuple[int, int]:
        """Device and inode of the file at the path."""
        try:
            found = os.stat(self._path)  # noqa: PTH116  (half the cost of Path.stat; the ledger calls it)
        except OSError as error:
            message = f"{self._path} is gone: {error.strerror}"
            raise StoreGoneError(message) from error
        return found.st_dev, found.st_ino

    def _locate(self) -> tuple[int, int]:
        with self._lock:
            identity = self._look()
            if self._identity is None:
                self._identity = identity
            elif identity != self._identity:
                # Pooled connections to the old file are closed when they are returned. Until then they keep
                # its inode in use, so that the new file can't have the same one.
                self._engine.dispose()
                self._identity = identity
                self.generation += 1
            return identity

    def prepare(self) -> None:
        """Set the journal mode and migrate. Raises StoreError."""
        try:
            self._locate()
            _use_write_ahead_log(self._engine)
            self._migrate()
        except (SQLAlchemyError, sqlite3.Error) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            message = f"can't open the database {self._path}: {cause}"
            raise _denied(self._path) or StoreError(message) from error

    def _migrate(self) -> None:
        """Migrate to the latest revision. Processes that start together take turns."""
        with self._engine.connect() as connection:
            if is_current(connection):
                return
        from llmgw.store.migrate import upgrade  # noqa: PLC0415  (Alembic is a third of a start's imports)

        with self._writer.begin() as connection:
            upgrade(connection, str(self._path))

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def open_sqlite(url: str) -> SqliteStore:
    """Open or create the database and migrate it.

    `url` is `sqlite:///PATH`. Raises StoreError.
    """
    path = _path(url)
    try:
        path.touch(mode=_PRIVATE)
    except OSError as error:
        message = f"can't open the database {path}: {error.strerror}"
        raise _no_folder(path) or _denied(path) or StoreError(message) from error
    for file in _files(path):
        make_private(file)
    store = sqlite_at(url)
    try:
        store.prepare()
    except StoreError:
        store.close()
        raise
    return store


def sqlite_at(url: str) -> SqliteStore:
    """A database that another process has prepared with `open_sqlite`. Opens nothing yet.

    So this succeeds while the database can't be used; transactions fail until it can.
    """
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S})
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return SqliteStore(engine, _path(url))


def _path(url: str) -> Path:
    return Path(url.removeprefix(SQLITE_PREFIX))


def _files(path: Path) -> list[Path]:
    """The database and what SQLite keeps beside it, as far as they exist."""
    return [file for suffix in ("", "-wal", "-shm") if (file := Path(f"{path}{suffix}")).exists()]


def _no_folder(path: Path) -> StoreError | None:
    folder = path.parent
    if folder.exists():
        return None
    problem = f"can't open the database {path}: its folder does not exist"
    return StoreError(problem, f"make it (mkdir -p {shlex.quote(str(folder))}), or name another")


def _denied(path: Path) -> StoreError | None:
    """What to say if a file or the folder is another user's: often root made it, and a service needs it."""
    for place in (path.parent, *_files(path)):
        if place.exists() and not os.access(place, os.R_OK | os.W_OK):
            status = place.stat()
            owner, mode, us = _user(status.st_uid), stat.S_IMODE(status.st_mode), _user(os.geteuid())
            if status.st_uid == os.geteuid() and mode & stat.S_IRUSR and mode & stat.S_IWUSR:
                # Its mode allows it, so the disk or an attribute of the file forbids it.
                problem = f"can't open the database {path}: {place} may only be read"
                return StoreError(problem, "look at how its disk is mounted, and at lsattr, or name another")
            problem = f"{place} belongs to {owner} (mode {mode:04o}), and this process runs as {us}"
            return StoreError(f"can't open the database {path}: {problem}", f"chown {us} {place}")
    return None


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # as in a container
        return str(uid)


def _on_connect(connection: sqlite3.Connection, _record: ConnectionPoolEntry) -> None:
    # The driver would begin transactions itself, late and never for DDL; `_on_begin` begins them instead.
    connection.isolation_level = None
    # A commit is on disk when it returns. This is SQLite's default, but some distributions change it.
    connection.execute("PRAGMA synchronous=FULL")


def _on_begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    busy_timeout_s = options.get(_BUSY_TIMEOUT)
    busy_timeout_s = BUSY_TIMEOUT_S if busy_timeout_s is None else busy_timeout_s
    connection.exec_driver_sql(f"PRAGMA busy_timeout={int(busy_timeout_s * 1000)}")
    connection.exec_driver_sql(options.get(_BEGIN, "BEGIN"))


def _use_write_ahead_log(engine: Engine) -> None:
    """Let readers work beside the writer. The file keeps the mode.

    SQLite does not wait for its lock when several processes switch a new file at the same time, so we retry.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    connection = engine.raw_connection()  # SQLAlchemy would begin a transaction, where the pragma can't run
    try:
        while True:
            try:
                connection.cursor().execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return
    finally:
        connection.close()
