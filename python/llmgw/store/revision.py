"""Which tables does a database have? Asked at every start, so without Alembic, which takes half a second."""

from enum import Enum
from functools import cache
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect

MIGRATIONS: Final = Path(__file__).with_name("migrations")
_TABLE: Final = "alembic_version"


class Tables(Enum):
    """What a database has, seen from this version of llmgw."""

    CURRENT = "current"
    MISSING = "missing"
    OLDER = "older"
    UNKNOWN = "unknown"
    """A newer version has migrated it."""


def tables(connection: Connection) -> Tables:
    """Compare revisions. It takes no lock, so that a worker can start while others write."""
    if not inspect(connection).has_table(_TABLE):
        return Tables.MISSING
    found = connection.exec_driver_sql(f"SELECT version_num FROM {_TABLE}").scalars().all()  # noqa: S608  (ours)
    match list(found):
        case []:
            return Tables.MISSING
        case [revision] if revision == revisions()[-1]:
            return Tables.CURRENT
        case several:
            return Tables.OLDER if set(several) <= set(revisions()) else Tables.UNKNOWN


def is_current(connection: Connection) -> bool:
    """True if nothing is to be done."""
    return tables(connection) is Tables.CURRENT


@cache
def revisions() -> tuple[str, ...]:
    """All that this version knows, the newest last. The name of a migration's file begins with its own."""
    files = MIGRATIONS.joinpath("versions").glob("[0-9]*_*.py")
    return tuple(sorted(file.name.partition("_")[0] for file in files))
