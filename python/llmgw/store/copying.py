"""The whole of one store copied into another, empty one: from SQLite to PostgreSQL, or back.

All of it in one transaction of the target, which is committed once the copy has been compared: a copy that
fails leaves nothing behind, so it is simply made again. What is copied is one consistent view of the source;
if that has changed meanwhile, a gateway still writes to it, and the copy is not kept unless that was wished.

Rows pass in batches, so that memory does not grow with the ledger.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Row,
    Table,
    Text,
    cast,
    delete,
    select,
    type_coerce,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from llmgw.errors import LlmgwError
from llmgw.store.bulk import PostgresRows, SqliteRows, set_sequences
from llmgw.store.comparing import Sums, count_rows, sums_of
from llmgw.store.engine import Store
from llmgw.store.failures import cause_of, is_of_the_database
from llmgw.store.tables import Base, KeyEpoch, Project, Pruned, Secret
from llmgw.store.tables.base import UtcDateTime

BATCH_ROWS: Final = 2_000
_FIRST_ROWS: Final = {each.__tablename__: 1 for each in (Project, KeyEpoch, Secret, Pruned)}
"""How many rows a new database has; those of the source take their place."""
_NO_END: Final = float("inf")

Told = Callable[[str, int, int], None]
"""Called with a table's name, and how many of how many rows have been copied."""


class TargetNotEmptyError(LlmgwError):
    """The target has something that would be mixed with what is copied."""

    def __init__(self, rows: Mapping[str, int]) -> None:
        """`rows`: of its tables that have some."""
        self.rows = rows
        super().__init__(", ".join(f"{count:,} of {name}" for name, count in rows.items()))


class SourceChangedError(LlmgwError):
    """The source was written to while it was copied; the copy was not kept."""

    def __init__(self, changes: Mapping[str, int]) -> None:
        """`changes`: by how many rows tables have grown; 0: their rows were changed."""
        self.changes = changes
        super().__init__(", ".join(f"{count:+,} of {name}" for name, count in changes.items()))


class CopyDiffersError(LlmgwError):
    """What was copied does not sum up to what it was copied from; the copy was not kept."""

    def __init__(self, differences: Sequence["Difference"]) -> None:
        self.differences = differences
        super().__init__("; ".join(map(str, differences)))


class RowRefusedError(LlmgwError):
    """The target does not take a row; the copy was not kept."""

    def __init__(self, table: str, cause: str) -> None:
        super().__init__(f"a row of {table}: {cause}")


class Difference(NamedTuple):
    """One figure that is not the same on both sides."""

    table: str
    figure: str
    source: object
    target: object

    def __str__(self) -> str:
        """For a message."""
        return f"{self.table}: {self.figure} is {self.source} in FROM and {self.target} in TO"


@dataclass
class Copied:
    """What was done."""

    sums: dict[str, list[Sums]] = field(default_factory=dict)
    """By table; the same on both sides."""
    replaced_texts: int = 0
    """Texts in which U+0000 was replaced, which PostgreSQL does not take."""
    changes: dict[str, int] = field(default_factory=dict)
    """As of SourceChangedError, where such a copy is kept."""


def tables() -> list[Table]:
    """All, each after those that it refers to."""
    return Base.metadata.sorted_tables


def copy_store(
    source: Store,
    target: Store,
    *,
    told: Told = lambda _name, _done, _of: None,
    prepare: Callable[[Session, Session], None] = lambda _source, _target: None,
    keep_changed: bool = False,
    batch_rows: int = BATCH_ROWS,
) -> Copied:
    """Copy everything, with its ids. Blocking.

    `prepare` gets source and target before any row is copied. `keep_changed`: also if the source was written
    to meanwhile. Raises TargetNotEmptyError, SourceChangedError, CopyDiffersError, RowRefusedError, and
    SQLAlchemyError.
    """
    copied = Copied()
    with (
        target.write(statement_timeout_s=_NO_END) as writing,
        source.read(statement_timeout_s=_NO_END) as reading,
    ):
        ours, theirs = reading.connection(), writing.connection()
        if theirs.dialect.name == "postgresql":
            # Summing up the source may take longer than a writer may be silent.
            theirs.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        _check_empty(theirs)
        counts = count_rows(ours, tables())
        prepare(reading, writing)
        for name in _FIRST_ROWS:
            theirs.execute(delete(Base.metadata.tables[name]))
        for table in tables():
            copied.replaced_texts += _copy_table(table, ours, theirs, counts[table.name], told, batch_rows)
        set_sequences(theirs, tables())
        for table in tables():
            copied.sums[table.name] = sums_of(ours, table)
        _compare(copied.sums, theirs)
        epoch = ours.scalar(select(KeyEpoch.epoch))
        copied.changes = _changes(source, counts, epoch)
        if copied.changes and not keep_changed:
            raise SourceChangedError(copied.changes)
    return copied


def _check_empty(connection: Connection) -> None:
    counts = count_rows(connection, tables())
    if more := {name: count for name, count in counts.items() if count > _FIRST_ROWS.get(name, 0)}:
        raise TargetNotEmptyError(more)


def _copy_table(
    table: Table, source: Connection, target: Connection, count: int, told: Told, batch_rows: int
) -> int:
    """How many texts were changed."""
    writer = PostgresRows(table, target) if target.dialect.name == "postgresql" else SqliteRows(table, target)
    done = 0
    told(table.name, 0, count)
    try:
        with writer:
            for batch in _batches(table, source, batch_rows):
                writer.add(batch)
                done += len(batch)
                told(table.name, done, count)
    except DBAPIError as error:
        if is_of_the_database(error):
            raise
        raise RowRefusedError(table.name, cause_of(error)) from error
    return writer.replaced_texts


def _batches(table: Table, source: Connection, batch_rows: int) -> Iterator[Sequence[Row[Any]]]:
    """All rows in the order of their primary key. Times are naive UTC, JSON is its text."""
    query = select(*map(_plain, table.columns)).order_by(*table.primary_key.columns)
    rows = source.execution_options(stream_results=True, yield_per=batch_rows).execute(query)
    yield from rows.partitions()


def _plain(column: Column[Any]) -> ColumnElement[Any]:
    if isinstance(column.type, JSON):
        return cast(column, Text)  # not even its spaces change
    return type_coerce(column, DateTime()) if isinstance(column.type, UtcDateTime) else column


def _compare(ours: Mapping[str, Sequence[Sums]], target: Connection) -> None:
    differences: list[Difference] = []
    for table in tables():
        theirs = {sums.group: sums for sums in sums_of(target, table)}
        for mine in ours[table.name]:
            other = theirs.pop(mine.group, Sums(mine.group, 0, {}))
            differences += _differences(table.name, mine, other)
        for other in theirs.values():
            differences += _differences(table.name, Sums(other.group, 0, {}), other)
    if differences:
        raise CopyDiffersError(differences)


def _differences(table: str, ours: Sums, theirs: Sums) -> Iterator[Difference]:
    group = f" ({ours.group})" if ours.group else ""
    if ours.rows != theirs.rows:
        yield Difference(table, f"the number of rows{group}", ours.rows, theirs.rows)
    for name in ours.figures.keys() | theirs.figures.keys():
        mine, other = ours.figures.get(name), theirs.figures.get(name)
        if mine != other and ours.rows and theirs.rows:
            yield Difference(table, f"{name}{group}", mine, other)


def _changes(source: Store, counts: Mapping[str, int], epoch: int | None) -> dict[str, int]:
    """What another transaction has done since the view that was copied: which tables grew or shrank.

    A change of keys or limits adds no row to theirs, but it raises the epoch and adds to the audit.
    """
    with source.read(statement_timeout_s=_NO_END) as session:
        connection = session.connection()
        now = count_rows(connection, tables())
        changes = {name: now[name] - count for name, count in counts.items() if now[name] != count}
        if connection.scalar(select(KeyEpoch.epoch)) != epoch:
            changes.setdefault(KeyEpoch.__tablename__, 0)
    return changes
