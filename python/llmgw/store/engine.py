"""What a database is to the rest of llmgw: transactions that are right on SQLite and on PostgreSQL."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final, Literal

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from llmgw.errors import LlmgwError

REPORT_TIMEOUT_S: Final = 30.0
"""For a statement that reads much, and for which somebody waits. See `Store.read`."""
DialectName = Literal["sqlite", "postgresql"]


class StoreError(LlmgwError):
    """The database can't be opened. The message says which and why."""

    def __init__(self, message: str, remedy: str = "repair it, restore a backup, or name another") -> None:
        """`remedy`: what an operator can do."""
        super().__init__(message)
        self.remedy = remedy


class StoreGoneError(LlmgwError, SQLAlchemyError):
    """The database's file was deleted or moved. SQLite itself would go on writing to the lost file."""


class Watch:
    """Waits for changes of keys and of what goes with them, and reads them. For one thread.

    This one can only wait: the database tells nobody, so it has to be asked again and again.
    """

    def __init__(self, store: "Store") -> None:
        self._store = store
        self._woken = threading.Event()

    @property
    def is_told(self) -> bool:
        """True: the database tells of a change at once, so that a rare poll is enough."""
        return False

    @contextmanager
    def read(self) -> Iterator[Session]:
        """As `Store.read`."""
        with self._store.read() as session:
            yield session

    def wait(self, timeout_s: float) -> None:
        """Return after a change that the database told of, after `wake`, or after this time. Never raises."""
        self._woken.wait(timeout_s)

    def wake(self) -> None:
        """Let `wait` return at once, now and later. From any thread."""
        self._woken.set()

    def close(self) -> None:
        """Close what it has opened."""


class Store(ABC):
    """The open database. Threads may share it; after a fork the child must open its own.

    All transactions raise SQLAlchemyError. After one that has failed nothing has changed; but a commit whose
    answer was lost may have happened.
    """

    dialect: DialectName
    generation: int
    """How often it was found to be another database: the file was replaced, the server restarted."""

    @abstractmethod
    def read(self, *, statement_timeout_s: float | None = None) -> AbstractContextManager[Session]:
        """A consistent view. Never waits for a writer.

        `statement_timeout_s`: of each statement on PostgreSQL; None: `postgres.STATEMENT_TIMEOUT_S`.
        """

    @abstractmethod
    def write(
        self, *, busy_timeout_s: float | None = None, statement_timeout_s: float | None = None
    ) -> AbstractContextManager[Session]:
        """One transaction, committed at the end of the block. Beside it nobody else writes, on any machine.

        `busy_timeout_s`: how long to wait for other writers; None: `BUSY_TIMEOUT_S` of the engine.
        After a StoreGoneError the change may be in a file that was moved.
        """

    @abstractmethod
    def append(self, *, busy_timeout_s: float | None = None) -> AbstractContextManager[Session]:
        """As `write`, but on PostgreSQL beside other appends.

        What it does must be right beside those: sums grow by `x = x + n`, and rows are taken in the order of
        their keys, so that two appends never wait for each other.
        """

    @abstractmethod
    def watch(self) -> Watch:
        """Sees changes of keys, for one thread. Opens nothing yet."""

    @abstractmethod
    def prepare(self) -> None:
        """Migrate to the tables of this version. Raises StoreError."""

    @abstractmethod
    def close(self) -> None:
        """Close all connections."""
