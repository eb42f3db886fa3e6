"""Did the database fail, or did it refuse what it was given? Told by types and SQLSTATE, for both drivers."""

from typing import Final

from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    ProgrammingError,
    SQLAlchemyError,
    StatementError,
)

_OF_VALUES: Final = frozenset({"21", "22", "23", "54"})
"""The classes of SQLSTATE that are about values: a key twice, bad ones, known keys, too large an index."""


def is_of_the_database(error: Exception) -> bool:
    """True if the database failed; False if it refused these values and would do so again."""
    if isinstance(error, DBAPIError):
        sqlstate = sqlstate_of(error)
        if error.connection_invalidated or sqlstate is not None:
            return sqlstate is None or sqlstate[:2] not in _OF_VALUES
        return not isinstance(error, (IntegrityError, DataError, InterfaceError, ProgrammingError))
    return isinstance(error, SQLAlchemyError) and not isinstance(error, StatementError)


def cause_of(error: Exception) -> str:
    """What the driver or the server said, in one line, without the statement and its values.

    PostgreSQL's details are left out too: they may quote a whole row, and keys are in some.
    """
    cause = error.orig if isinstance(error, DBAPIError) else error
    said = getattr(getattr(cause, "diag", None), "message_primary", None)
    return " ".join(str(said or cause).split())


def sqlstate_of(error: DBAPIError) -> str | None:
    """PostgreSQL's code; None: of SQLite, or no server has said it."""
    sqlstate = getattr(error.orig, "sqlstate", None)
    return sqlstate if isinstance(sqlstate, str) else None
