"""Which engine is it? A database is opened by its URL."""

from llmgw.config import POSTGRESQL_PREFIX
from llmgw.store.engine import Store, StoreError
from llmgw.store.sqlite import open_sqlite, sqlite_at


def open_store(url: str) -> Store:
    """Open or create the database and migrate it.

    `url` is `sqlite:///PATH` or `postgresql+psycopg://…`, of a database that is there. Raises StoreError.
    """
    if not url.startswith(POSTGRESQL_PREFIX):
        return open_sqlite(url)
    store = store_at(url)
    try:
        store.prepare()
    except BaseException:
        store.close()
        raise
    return store


def store_at(url: str) -> Store:
    """A database that another process has prepared with `open_store`. Opens nothing yet.

    So this succeeds while the database can't be used; transactions fail until it can.
    """
    if not url.startswith(POSTGRESQL_PREFIX):
        return sqlite_at(url)
    try:
        from llmgw.store.postgres import PostgresStore  # noqa: PLC0415  (the driver is an extra)
    except ImportError as error:
        raise StoreError(
            "the package psycopg is not installed", "install llmgw[postgres], or name another"
        ) from error
    return PostgresStore(url)
