"""The words of SQL that SQLite and PostgreSQL say differently."""

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sqlalchemy import Connection, TableClause
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import BigInteger, String

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

CHANNEL: Final = "llmgw_keys"
"""On which PostgreSQL tells that keys have changed, or what goes with them."""
Insert: TypeAlias = "sqlite.Insert | postgresql.Insert"
"""Both have `on_conflict_do_nothing`, `on_conflict_do_update` and `excluded`."""


def insert_into(connection: Connection, table: TableClause | type[Any]) -> Insert:
    """The INSERT of this connection's dialect, which can say what to do about a row that is there."""
    if connection.dialect.name == sqlite.dialect.name:
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415  (few have that database)

    return postgresql.insert(table)


def tell(session: Session) -> None:
    """Let who listens (`Store.watch`) see this transaction once it is committed. SQLite tells nobody."""
    connection = session.connection()
    if connection.dialect.name != sqlite.dialect.name:
        connection.exec_driver_sql(f"NOTIFY {CHANNEL}")


class least(GenericFunction[int]):  # noqa: N801  (a function of SQL)
    """The smallest of its arguments: `min` of SQLite with several arguments."""

    type = BigInteger()
    inherit_cache = True


class greatest(GenericFunction[int]):  # noqa: N801  (a function of SQL)
    """The largest of its arguments: `max` of SQLite with several arguments."""

    type = BigInteger()
    inherit_cache = True


@compiles(least, "sqlite")
def _least(element: least, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401  (as SQLAlchemy passes them)
    return f"min({compiler.process(element.clauses, **options)})"


@compiles(greatest, "sqlite")
def _greatest(element: greatest, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401  (as SQLAlchemy passes them)
    return f"max({compiler.process(element.clauses, **options)})"


class minute_text(GenericFunction[str]):  # noqa: N801  (as the two above)
    """The minute in which a time lies, in UTC: `2026-11-26 00:00`."""

    type = String()
    inherit_cache = True


@compiles(minute_text, "sqlite")
def _minute_of_text(element: minute_text, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401  (as above)
    return f"substr({compiler.process(element.clauses, **options)}, 1, {len('2026-11-26 00:00')})"


@compiles(minute_text, "postgresql")
def _minute_of_time(element: minute_text, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401  (as above)
    return f"to_char({compiler.process(element.clauses, **options)}, 'YYYY-MM-DD HH24:MI')"
