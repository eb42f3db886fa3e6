"""How large is the database? Told without counting, so it costs the same, however many rows there are."""

from typing import NamedTuple

from sqlalchemy import make_url, select

from llmgw.store.engine import Store
from llmgw.store.tables import LedgerRow

_SQLITE = "sqlite"


class StoreFacts(NamedTuple):
    """What is known of a database that can be read."""

    size_bytes: int | None
    """With the free pages in it; None: it is no SQLite file."""
    ledger_rows: int
    """About so many: from the first id to the last."""


def store_facts(store: Store) -> StoreFacts:
    """Blocking. Raises SQLAlchemyError."""
    with store.read() as session:
        connection = session.connection()
        size_bytes = None
        if connection.dialect.name == _SQLITE:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            size_bytes = pages * connection.exec_driver_sql("PRAGMA page_size").scalar_one()
        # Two statements: asked for both in one, SQLite reads all rows.
        first = session.scalar(select(LedgerRow.id).order_by(LedgerRow.id).limit(1))
        last = session.scalar(select(LedgerRow.id).order_by(LedgerRow.id.desc()).limit(1))
    return StoreFacts(size_bytes, 0 if first is None or last is None else last - first + 1)


def kind_of(url: str) -> str:
    """Which database a URL is of: `sqlite`."""
    return make_url(url).get_backend_name()


def shown_url(url: str) -> str:
    """Without the password that a URL may have."""
    return make_url(url).render_as_string(hide_password=True)
