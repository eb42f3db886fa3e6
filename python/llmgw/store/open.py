"""How a command opens the database: with errors that a user can act on."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DBAPIError

from llmgw.config import StoreConfig
from llmgw.errors import CommandError
from llmgw.store.engine import Store, StoreError
from llmgw.store.failures import cause_of, sqlstate_of
from llmgw.store.opening import open_store

_PRIMARY_CODE: Final = 0xFF
"""Of SQLite's codes, which say more in their higher bits."""


_OF_SQLITE: Final = {
    sqlite3.SQLITE_BUSY: "another process writes to it: try again",
    sqlite3.SQLITE_READONLY: "its file or its disk may only be read",
    sqlite3.SQLITE_FULL: "make room on its disk",
}
_OF_POSTGRESQL: Final = {
    "25006": "it is a standby: name the primary, or add target_session_attrs=read-write to store.url",
    "53100": "make room on its disk",
    "55P03": "another process writes to it: try again",
    "57014": "it was too slow: try again",
}
"""By SQLSTATE."""


@contextmanager
def opened_store(config: StoreConfig) -> Iterator[Store]:
    """The migrated database. Errors of the database become a CommandError."""
    try:
        store = open_store(config.url)
    except StoreError as error:
        raise CommandError(f"{error}; {error.remedy} in store.url") from error
    try:
        yield store
    except DBAPIError as error:
        raise CommandError(f"the database failed: {cause_of(error)}{_remedy(error)}") from error
    finally:
        store.close()


def _remedy(error: DBAPIError) -> str:
    if isinstance(error.orig, sqlite3.Error):
        remedy = _OF_SQLITE.get(error.orig.sqlite_errorcode & _PRIMARY_CODE)
    else:
        remedy = _OF_POSTGRESQL.get(sqlstate_of(error) or "")
    return "" if remedy is None else f"; {remedy}"
