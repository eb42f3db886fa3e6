"""What the tables of a database come to, so that two databases can be compared: counts and exact sums."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Integer,
    Table,
    cast,
    func,
    literal_column,
    null,
    select,
)

from llmgw.store.tables.base import UtcDateTime

_LOW_BITS: Final = 31
_SHIFT: Final = literal_column(str(_LOW_BITS), Integer)
"""PostgreSQL shifts only by a small type, so it must not be a parameter of the other's."""
_LOW: Final = (1 << _LOW_BITS) - 1
_GROUP: Final = "currency"


@dataclass(frozen=True)
class Sums:
    """Of a table, or of those of its rows that have a currency in common."""

    group: str | None
    """The currency; None: the table has no such column; empty: the row has none."""
    rows: int
    figures: Mapping[str, object]
    """`sum of COLUMN`, `values in COLUMN` (that are there), `first COLUMN` and `last COLUMN` of times."""


def count_rows(connection: Connection, tables: Iterable[Table]) -> dict[str, int]:
    """By table. Raises SQLAlchemyError."""
    return {
        table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
        for table in tables
    }


def sums_of(connection: Connection, table: Table) -> list[Sums]:
    """Reads the whole table once. Raises SQLAlchemyError."""
    figures: dict[str, ColumnElement[Any]] = {}
    for column in table.columns:
        figures[f"values in {column.name}"] = func.count(column)
        if isinstance(column.type, (Integer, Boolean)):
            # In two parts, because SQLite fails where a sum needs more than 64 bits.
            figures[f"high sum of {column.name}"] = func.sum(_number(column).bitwise_rshift(_SHIFT))
            figures[f"low sum of {column.name}"] = func.sum(_number(column).bitwise_and(_LOW))
        if isinstance(column.type, UtcDateTime):
            figures[f"first {column.name}"] = func.min(column)
            figures[f"last {column.name}"] = func.max(column)
    if _GROUP in table.columns:
        group = func.coalesce(table.columns[_GROUP], "").label("of")
        query = select(group, func.count(), *figures.values()).select_from(table).group_by("of")
    else:
        query = select(null(), func.count(), *figures.values()).select_from(table)
    return [
        Sums(found, rows, _joined(dict(zip(figures, values, strict=True))))
        for found, rows, *values in connection.execute(query)
    ]


def _number(column: Column[Any]) -> ColumnElement[int]:
    if isinstance(column.type, Boolean):
        return cast(cast(column, Integer), BigInteger)
    return cast(column, BigInteger)


def _joined(figures: dict[str, Any]) -> dict[str, object]:
    joined: dict[str, object] = {}
    for name, value in figures.items():
        if name.startswith("high "):
            low = figures[f"low {name.removeprefix('high ')}"]
            joined[name.removeprefix("high ")] = None if low is None else (int(value) << _LOW_BITS) + int(low)
        elif not name.startswith("low "):
            joined[name] = value
    return joined
