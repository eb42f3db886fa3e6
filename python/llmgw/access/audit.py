"""Who changed what, and when. Rows are added by `llmgw.store.record`, in the transaction of the change."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import select

from llmgw.store import AuditRow, Store, record

__all__ = ["AuditEntry", "list_audit", "record"]

MAX_PAGE: Final = 1000
"""Entries that are read at once."""


class AuditEntry(NamedTuple):
    """One change."""

    id: int
    time: datetime
    actor: str
    """`key 7 (ops)`, or `cli user@host`."""
    action: str
    """Such as `key.create`."""
    target: str
    """Such as `key 12`."""
    before: Mapping[str, object] | None
    """What was there of all that has changed; None: nothing was."""
    after: Mapping[str, object] | None


def list_audit(
    store: Store,
    *,
    limit: int = 100,
    before_id: int | None = None,
    target: str | None = None,
    actor: str | None = None,
    action: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[AuditEntry]:
    """The latest entries first, at most `limit` (and `MAX_PAGE`) of them. Raises SQLAlchemyError.

    `before_id`: only older ones than this, for the next page. `action`: one, or with a dot at
    its end (`key.`) all that begin with it.
    """
    query = select(AuditRow).order_by(AuditRow.id.desc()).limit(min(limit, MAX_PAGE))
    if before_id is not None:
        query = query.where(AuditRow.id < before_id)
    if target is not None:
        query = query.where(AuditRow.target == target)
    if actor is not None:
        query = query.where(AuditRow.actor == actor)
    if action is not None:
        matches = AuditRow.action.startswith(action, autoescape=True)
        query = query.where(matches if action.endswith(".") else AuditRow.action == action)
    if since is not None:
        query = query.where(AuditRow.time >= since)
    if until is not None:
        query = query.where(AuditRow.time < until)
    with store.read() as session:
        return [
            AuditEntry(row.id, row.time, row.actor, row.action, row.target, row.before, row.after)
            for row in session.scalars(query)
        ]
