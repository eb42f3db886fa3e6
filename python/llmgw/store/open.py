"""How a command opens the database: with errors that a user can act on."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from llmgw.config import Config
from llmgw.errors import CommandError
from llmgw.store.engine import Store, StoreError, open_store


@contextmanager
def opened_store(config: Config) -> Iterator[Store]:
    """The migrated database. Errors of the database become a CommandError."""
    try:
        store = open_store(config.store.url)
    except StoreError as error:
        raise CommandError(f"{error}; {error.remedy} in store.url") from error
    try:
        yield store
    except DBAPIError as error:
        raise CommandError(f"the database failed: {error.orig}") from error
    finally:
        store.close()
