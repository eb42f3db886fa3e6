"""How a database gets the tables of this version. Each engine sees to it that processes take turns."""

from enum import Enum
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection

from llmgw.store.engine import StoreError

MIGRATIONS: Final = Path(__file__).with_name("migrations")


class Tables(Enum):
    """What a database has, seen from this version of llmgw."""

    CURRENT = "current"
    MISSING = "missing"
    OLDER = "older"
    UNKNOWN = "unknown"
    """A newer version has migrated it."""


def tables(connection: Connection) -> Tables:
    """Compare revisions. It takes no lock, so that a worker can start while others write."""
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision is None:
        return Tables.MISSING
    script = ScriptDirectory.from_config(_config())
    if revision == script.get_current_head():
        return Tables.CURRENT
    known = {one.revision for one in script.walk_revisions()}
    return Tables.OLDER if revision in known else Tables.UNKNOWN


def is_current(connection: Connection) -> bool:
    """True if nothing is to be done."""
    return tables(connection) is Tables.CURRENT


def upgrade(connection: Connection, shown: str) -> None:
    """Migrate within the transaction of this connection, which holds the write lock.

    `shown`: the database's name for an error. Raises StoreError: a newer llmgw has migrated it.
    """
    config = _config()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        message = f"{shown} is no database that this version of llmgw knows: {error}"
        raise StoreError(message) from error


def _config() -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
