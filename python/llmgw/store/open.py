"""How a command opens the database: with errors that a user can act on."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DBAPIError

from llmgw.config import StoreConfig
from llmgw.errors import CommandError
from llmgw.store.engine import Store, StoreError, open_store

_PRIMARY_CODE: Final = 0xFF
"""Of SQLite's codes, which say more in their higher bits."""


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
        raise CommandError(f"the database failed: {error.orig}{_remedy(error.orig)}") from error
    finally:
        store.close()


def _remedy(error: BaseException | None) -> str:
    if not isinstance(error, sqlite3.Error):
        return ""
    match error.sqlite_errorcode & _PRIMARY_CODE:
        case sqlite3.SQLITE_BUSY:
            return "; another process writes to it: try again"
        case sqlite3.SQLITE_READONLY:
            return "; its file or its disk may only be read"
        case sqlite3.SQLITE_FULL:
            return "; make room on its disk"
        case _:
            return ""
