"""Many rows in one statement of PostgreSQL: each column travels as the text of one array.

The texts come from `json.dumps`, whose arrays differ from PostgreSQL's in brackets and escapes. So a row of
the ledger takes 7 µs of this process's time in a batch of 500. In psycopg's lists it takes 36; by COPY into a
temporary table 8, but then the server takes nearly twice as long.
"""

import json
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Dialect, String

if TYPE_CHECKING:
    from sqlalchemy.sql.elements import KeyedColumnElement

    from llmgw.store.tables import Base


def array_text(values: Sequence[object]) -> str:
    """The array of numbers, texts, truth values and None as PostgreSQL reads it.

    U+0000, which its texts can't have, becomes U+FFFD. Raises TypeError for values of other types.
    """
    text = json.dumps(values, ensure_ascii=False)
    if "\\" in text:  # PostgreSQL knows no other escapes than those of a quote and of a backslash
        return f"{{{','.join(map(_element, values))}}}"
    return f"{{{text[1:-1]}}}"


def storable(text: str) -> str:
    """The text with U+FFFD for U+0000, which PostgreSQL has in no text."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def insertion_of_arrays(table: "type[Base]", names: Iterable[str]) -> str:
    """`INSERT INTO … SELECT …`, with a placeholder for the array of each column, for the driver itself.

    Rows are inserted in the order of the arrays. A text that is longer than its column takes is cut. What
    follows, such as `ON CONFLICT`, is the caller's.
    """
    columns = [table.__table__.columns[name] for name in names]
    quoted = ", ".join(quote(column.name) for column in columns)
    arrays = ", ".join(f"%s::{_type(column)}[]" for column in columns)
    into = f"INSERT INTO {quote(table.__tablename__)} ({quoted})"
    return f"{into} SELECT * FROM unnest({arrays})"  # noqa: S608  (names of our own tables)


def quote(name: str) -> str:
    """A name as PostgreSQL's SQL has it; `user` is a word of that."""
    return _dialect().identifier_preparer.quote(name)


def _element(value: object) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    escaped = storable(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _type(column: "KeyedColumnElement[Any]") -> str:
    kind = column.type.dialect_impl(_dialect())
    if isinstance(kind, String):  # without its collation, which is no part of a cast's type
        return "TEXT" if kind.length is None else f"VARCHAR({kind.length})"
    return str(kind.compile(dialect=_dialect()))


@cache
def _dialect() -> Dialect:
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415  (few have that database)

    dialect: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    return dialect
