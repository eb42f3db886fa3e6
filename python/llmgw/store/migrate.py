"""How a database gets the tables of this version. Each engine sees to it that processes take turns."""

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.util.exc import CommandError
from sqlalchemy import Connection

from llmgw.store.engine import StoreError
from llmgw.store.revision import MIGRATIONS


def upgrade(connection: Connection, shown: str) -> None:
    """Migrate within the transaction of this connection, which holds the write lock.

    `shown`: the database's name for an error. Raises StoreError: a newer llmgw has migrated it.
    """
    config = alembic_config()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        message = f"{shown} is no database that this version of llmgw knows: {error}"
        raise StoreError(message) from error


def alembic_config() -> AlembicConfig:
    """Where Alembic finds the migrations."""
    config = AlembicConfig()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
