"""The two statements of the ledger that are written for speed, each for SQLite and for PostgreSQL."""

from collections.abc import Sequence
from functools import cache
from typing import Protocol

from sqlalchemy import Connection, Dialect

from llmgw.ledger.entry import LedgerEntry
from llmgw.ledger.rows import Groups, SqliteStatements
from llmgw.ledger.rows_postgres import PostgresStatements
from llmgw.store import UsageDay, UsageHour


class Statements(Protocol):
    """For one database. They run within a transaction of `Store.append` or `Store.write`."""

    appends_alone: bool
    """True: no other transaction writes beside one of `Store.append`."""

    def insert(self, connection: Connection, batch: Sequence[LedgerEntry]) -> Sequence[LedgerEntry]:
        """Insert the rows that are not there yet, and return those.

        Raises SQLAlchemyError, or whatever an entry with values of other types leads to.
        """
        ...

    def add(self, connection: Connection, table: type[UsageHour | UsageDay], groups: Groups) -> None:
        """Add to the sums of these groups, of which there is at least one. Raises SQLAlchemyError."""
        ...


@cache
def statements_of(dialect: Dialect) -> Statements:
    """Those for a connection's dialect."""
    return SqliteStatements() if dialect.name == "sqlite" else PostgresStatements()
