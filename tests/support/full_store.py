"""A store in whose every table are odd rows: what a copy must not change."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    Integer,
    LargeBinary,
    String,
    Table,
    delete,
)

from llmgw.store import Base, Store
from llmgw.store.tables.base import UtcDateTime

ROWS: Final = 7
"""Of each table that has not just one."""
SINGLE_ROWS: Final = ("key_epoch", "ledger_pruned")
TEXTS: Final = (
    "plain",
    "",
    "naïve 名字 🦀 \U0010ffff",
    "a\tb\nc\rd\\N\\.\\x00'\"%s",
    "\\N",
    "  spaces\u2028 \u00a0",
    "with\0nul",
)
NUL_FREE: Final = tuple(text.replace("\0", "\N{REPLACEMENT CHARACTER}") for text in TEXTS)
_INTS: Final = (0, 1, -1, 2**31 - 1, 1_000_000_007, 5, 42)
_BIG: Final = (0, 2**63 - 1, -(2**63) + 1, 2**62, 2**53 + 1, 10**18, 2**40)
_FLOATS: Final = (0.0, 0.1, 1e-9, 1.7976931348623157e308, 2.5, 1 / 3, 123456.789)
_BLOBS: Final = (b"", bytes(range(256)), b"\x00", b"\\x00", b"COPY", b"\xff" * 40, b"x")
_BEGIN: Final = datetime(2026, 1, 31, 23, 59, 59, 999_999)  # noqa: DTZ001  (UTC, as it is stored)
_JSON: Final[tuple[Any, ...]] = (
    {},
    [],
    {"name": "名字", "nested": [1, 2.5, None, True, {"a": "\u0000"}]},
    {"b": 1, "a": 2},
    ["glm-5"],
    {"big": 2**80, "quote": "'\"\\"},
    {"x": None},
)


def fill(store: Store) -> None:
    """Rows in every table, in place of those that a new store has."""
    with store.write() as session:
        connection = session.connection()
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(delete(table))
        for table in Base.metadata.sorted_tables:
            _fill(table, connection)


def _fill(table: Table, connection: Connection) -> None:
    """By plain SQL: what a type of SQLAlchemy would not let through is in old files all the same."""
    makers = [_maker(table, column) for column in table.columns]
    rows = [
        tuple(make(number) for make in makers) for number in range(1 if table.name in SINGLE_ROWS else ROWS)
    ]
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    marks = ", ".join("?" for _ in table.columns)
    sql = f'INSERT INTO "{table.name}" ({names}) VALUES ({marks})'  # noqa: S608  (our own names)
    connection.exec_driver_sql(sql, rows)


def _maker(table: Table, column: Column[Any]) -> Callable[[int], Any]:
    """A value for each row's number; some are NULL where that may be."""
    value = _value(table, column)
    if not column.nullable:
        return value
    gap = sum(map(ord, column.name)) % ROWS
    return lambda number: None if number == gap else value(number)


def _value(table: Table, column: Column[Any]) -> Callable[[int], Any]:  # noqa: PLR0911  (a table of types)
    kind = column.type
    if column.primary_key and isinstance(kind, Integer) and not column.foreign_keys:
        return lambda number: 1 if table.name in SINGLE_ROWS else 10 + 3 * number
    if column.foreign_keys:
        return lambda number: 10 + 3 * (number % 2)
    if isinstance(kind, JSON):
        return lambda number: json.dumps(_JSON[number], separators=(", ", ":"))
    if isinstance(kind, UtcDateTime):
        return lambda number: (
            f"{_BEGIN + timedelta(days=31 * number, microseconds=number):%Y-%m-%d %H:%M:%S.%f}"
        )
    if isinstance(kind, Boolean):
        return lambda number: number % 2
    if isinstance(kind, BigInteger):
        return lambda number: _BIG[number]
    if isinstance(kind, Integer):
        return lambda number: _INTS[number]
    if isinstance(kind, Float) or kind.python_type is float:
        return lambda number: _FLOATS[number]
    if isinstance(kind, LargeBinary):
        return lambda number: _BLOBS[number] + (b"%d" % number if kind.length else b"")
    assert isinstance(kind, String), column
    length = kind.length or 200
    return lambda number: f"{number}{TEXTS[number]}"[:length]
