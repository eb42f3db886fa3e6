"""How large is the database? Told without counting, so it costs the same, however many rows there are."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import make_url, select, text

from llmgw.config import POSTGRESQL_PREFIX
from llmgw.store.engine import Store
from llmgw.store.tables import LedgerRow

_SQLITE = "sqlite"
_SECRETS = ("password", "sslpassword")
"""Of libpq's parameters."""


class StoreFacts(NamedTuple):
    """What is known of a database that can be read."""

    size_bytes: int | None
    """With the free pages in it; None: that may not be known."""
    ledger_rows: int
    """About so many: from the first id to the last."""


def store_facts(store: Store) -> StoreFacts:
    """Blocking. Raises SQLAlchemyError."""
    with store.read() as session:
        connection = session.connection()
        if store.dialect == "postgresql":
            size_bytes = connection.scalar(text("SELECT pg_database_size(current_database())"))
        else:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            size_bytes = pages * connection.exec_driver_sql("PRAGMA page_size").scalar_one()
        # Two statements: asked for both in one, SQLite reads all rows.
        first = session.scalar(select(LedgerRow.id).order_by(LedgerRow.id).limit(1))
        last = session.scalar(select(LedgerRow.id).order_by(LedgerRow.id.desc()).limit(1))
    return StoreFacts(size_bytes, 0 if first is None or last is None else last - first + 1)


def kind_of(url: str) -> str:
    """Which database a URL is of: `sqlite` or `postgresql`."""
    return "postgresql" if url.startswith(POSTGRESQL_PREFIX) else _SQLITE


def shown_url(url: str) -> str:
    """Without what may be secret."""
    if not url.startswith(POSTGRESQL_PREFIX):
        return make_url(url).render_as_string(hide_password=True)
    from llmgw.store.wire import shown  # noqa: PLC0415  (the driver is an extra)

    return shown(url)


def secrets_of(url: str) -> Sequence[str]:
    """What of a database's URL must be shown nowhere."""
    if not url.startswith(POSTGRESQL_PREFIX):
        return ()
    from llmgw.store.wire import parameters_of  # noqa: PLC0415  (as above)

    parameters = parameters_of(url)
    return [str(parameters[name]) for name in _SECRETS if parameters.get(name)]
