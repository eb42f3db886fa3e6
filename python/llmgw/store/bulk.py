"""Many rows of a table, put into a database as fast as its driver can.

Values are those of the table's columns, except that times are naive and JSON is its text.
"""

from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from sqlalchemy import JSON, Connection, DateTime, Integer, String, Table
from sqlalchemy.exc import DBAPIError

from llmgw.store.tables.base import UtcDateTime


class Rows(Protocol):
    """Takes rows within a transaction and a `with` block. It raises DBAPIError."""

    replaced_texts: int
    """Texts that had to be changed."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """Put them in."""
        ...


class SqliteRows:
    """By one INSERT, which is prepared once."""

    replaced_texts: int = 0

    def __init__(self, table: Table, connection: Connection) -> None:
        self._connection = connection
        marks = ", ".join("?" for _ in table.columns)
        self._sql = f"INSERT INTO {_named(table, connection)} VALUES ({marks})"  # noqa: S608  (our own names)
        text = DateTime().dialect_impl(connection.dialect).bind_processor(connection.dialect)
        self._text: Callable[[Any], Any] = text or (lambda time: time)
        self._times = [at for at, column in enumerate(table.columns) if isinstance(column.type, UtcDateTime)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """See `Rows`."""
        values = [list(row) for row in rows]
        for at in self._times:
            for row in values:
                row[at] = self._text(row[at])
        self._connection.exec_driver_sql(self._sql, list(map(tuple, values)))


class PostgresRows:
    """By one COPY of the driver's. The connection replaces U+0000 in texts (`wire.connect`)."""

    def __init__(self, table: Table, connection: Connection) -> None:
        self._connection = connection
        self._sql = f"COPY {_named(table, connection)} FROM STDIN"
        self._texts = [
            at for at, column in enumerate(table.columns) if isinstance(column.type, (String, JSON))
        ]
        self.replaced_texts = 0

    def __enter__(self) -> Self:
        self._cursor: Any = self._connection.connection.cursor()
        self._copying: Any = self._cursor.copy(self._sql)
        self._copy: Any = self._copying.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        from psycopg import Error  # noqa: PLC0415  (the driver is an extra)

        try:
            self._copying.__exit__(kind, error, traceback)  # the server has its say about the rows
        except Error as failure:
            raise self._told(failure) from failure
        finally:
            self._cursor.close()

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """See `Rows`."""
        from psycopg import Error  # noqa: PLC0415

        try:
            for row in rows:
                self.replaced_texts += sum(row[at] is not None and "\0" in row[at] for at in self._texts)
                self._copy.write_row(row)
        except Error as failure:
            raise self._told(failure) from failure

    def _told(self, failure: Exception) -> DBAPIError:
        """As SQLAlchemy tells of what it has run itself."""
        from psycopg import Error  # noqa: PLC0415

        invalidated = self._connection.connection.driver_connection.closed  # type: ignore[union-attr]
        told: DBAPIError = DBAPIError.instance(  # type: ignore[assignment]  # of the driver's own error
            self._sql,
            None,
            failure,
            Error,
            connection_invalidated=bool(invalidated),
            dialect=self._connection.dialect,
        )
        return told


def set_sequences(connection: Connection, tables: Iterable[Table]) -> None:
    """The next ids come after those that there are. SQLite sees to it by itself."""
    if connection.dialect.name != "postgresql":
        return
    for table in tables:
        [key, *more] = table.primary_key.columns
        if more or not isinstance(key.type, Integer):
            continue
        last = f"SELECT coalesce(max({key.name}), 0) + 1 FROM {table.name}"  # noqa: S608  (our own names)
        sequence = f"pg_get_serial_sequence('{table.name}', '{key.name}')"
        connection.exec_driver_sql(f"SELECT setval({sequence}, ({last}), false)")


def _named(table: Table, connection: Connection) -> str:
    """The table with its columns."""
    quote = connection.dialect.identifier_preparer.quote
    return f"{quote(table.name)} ({', '.join(quote(column.name) for column in table.columns)})"
