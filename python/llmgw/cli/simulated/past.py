"""Changes that admins made in the demo's past: through the functions of the command line, then dated back.

Those functions know only the present. So `settle` moves what they have written: the times in the audit, and
those of keys and projects that an entry of the audit names.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final, ParamSpec, TypeVar

from sqlalchemy import select

from llmgw.access.documents import time_text
from llmgw.cli.simulated import ACTOR
from llmgw.store import ApiKey, AuditRow, Project, Store

P = ParamSpec("P")
T = TypeVar("T")
_MOVED: Final = ("created_at", "blocked_at", "revoked_at", "rotated_at", "previous_expires_at")
"""What happened, other than what was chosen, such as `expires_at`."""
_TABLES: Final[dict[str, type[ApiKey | Project]]] = {"key": ApiKey, "project": Project}


class Past:
    """Makes changes, each of which leaves one row in the audit, from the oldest to the latest."""

    def __init__(self, store: Store) -> None:
        """Of a database without an audit."""
        self._store = store
        self._times: list[datetime] = []

    def did(self, time: datetime, change: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """Make a change that was made at this time. Its actor must be `ACTOR`."""
        self._times.append(time)
        return change(*arguments, **options)

    def settle(self) -> None:
        """Date all of them back. Raises SQLAlchemyError; ValueError if one left no row, or several."""
        with self._store.write() as session:
            rows = session.scalars(select(AuditRow).where(AuditRow.actor == ACTOR).order_by(AuditRow.id))
            for row, time in zip(rows.all(), self._times, strict=True):
                age, row.time = row.time - time, time
                changed = row.after or {}
                kind, _, number = row.target.partition(" ")
                found = session.get(_TABLES[kind], int(number))
                moved = {name: getattr(found, name) - age for name in _MOVED if changed.get(name) is not None}
                for name, value in moved.items():
                    setattr(found, name, value)
                # A new object: SQLAlchemy does not see changes within one.
                row.after = changed | {name: time_text(value) for name, value in moved.items()}
