"""What one read of the database has found out about keys, and how the next one is made from it.

All keys are read once. After that, the audit says which keys and projects have changed, so that a change
among ten thousand keys costs a worker milliseconds and not half a second. Where the audit does not account
for every step of the epoch, all is read again.
"""

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from llmgw.access.key import Key
from llmgw.access.load import Access, load
from llmgw.store import ApiKey, AuditRow, BudgetRow, KeyEpoch

_MAX_CHANGES: Final = 100
"""Of more, all keys are read again."""


class Replaced(NamedTuple):
    """The secret before a rotation."""

    key: Key
    expires_at: datetime
    deadline_s: float
    """The same on the monotonic clock."""

    @property
    def is_accepted(self) -> bool:
        """As long as neither clock says otherwise.

        The wall clock may be set back, which must not bring a secret back that has ended.
        """
        return time.monotonic() < self.deadline_s and datetime.now(UTC) < self.expires_at


class Snapshot(NamedTuple):
    """All keys that were not revoked. It is never changed."""

    generation: int
    """Of the database's file (`Store.generation`)."""
    epoch: int
    audit_id: int
    """Of the last row of the audit."""
    by_digest: Mapping[bytes, Key]
    replaced: Mapping[bytes, Replaced]
    digests: Mapping[int, tuple[bytes, bytes | None]]
    """Of the secret of each key, by the key's id, and of the one before."""


NOTHING: Final = Snapshot(-1, -1, -1, {}, {}, {})


def next_snapshot(session: Session, old: Snapshot, generation: int) -> Snapshot:
    """The present state; `old` itself if nothing has changed. Raises SQLAlchemyError.

    `session` must be one transaction, so that all of it is from the same moment.
    """
    epoch = session.scalars(select(KeyEpoch.epoch)).one()
    if (generation, epoch) == (old.generation, old.epoch):
        return old
    audit_id = session.scalar(select(func.max(AuditRow.id))) or 0
    begun = old._replace(generation=generation, epoch=epoch, audit_id=audit_id)
    changed = _changed(session, old, epoch) if generation == old.generation else None
    if changed is None:
        return _with(begun._replace(by_digest={}, digests={}, replaced={}), load(session, _IN_FORCE), old)
    keys, projects = changed
    affected = {key.id for key in old.by_digest.values() if key.id in keys or key.project_id in projects}
    which = or_(ApiKey.id.in_(keys | affected), ApiKey.project_id.in_(projects))
    return _with(_without(begun, affected), load(session, _IN_FORCE & which), old)


_IN_FORCE: Final = ApiKey.revoked_at.is_(None)


def _changed(session: Session, old: Snapshot, epoch: int) -> tuple[set[int], set[int]] | None:
    """The ids of keys and projects that have changed since; None: that can't be told, or they are many."""
    query = select(AuditRow.target).where(AuditRow.id > old.audit_id).limit(_MAX_CHANGES + 1)
    targets = session.scalars(query).all()
    if len(targets) != epoch - old.epoch or len(targets) > _MAX_CHANGES:
        return None
    changed: dict[str, set[int]] = {"key": set(), "project": set(), "budget": set()}
    for target in targets:
        kind, _, number = target.partition(" ")
        if kind not in changed or not number.isdecimal():
            return None
        changed[kind].add(int(number))
    query_budgets = select(BudgetRow.scope, BudgetRow.scope_id).where(BudgetRow.id.in_(changed["budget"]))
    for scope, scope_id in session.execute(query_budgets):
        changed[scope].add(scope_id)
    return changed["key"], changed["project"]


def _without(snapshot: Snapshot, key_ids: Iterable[int]) -> Snapshot:
    """All keys but these."""
    by_digest, replaced, digests = dict(snapshot.by_digest), dict(snapshot.replaced), dict(snapshot.digests)
    for key_id in key_ids:
        digest, previous = digests.pop(key_id)
        del by_digest[digest]
        if previous is not None:
            del replaced[previous]
    return snapshot._replace(by_digest=by_digest, replaced=replaced, digests=digests)


def _with(snapshot: Snapshot, access: Access, old: Snapshot) -> Snapshot:
    """These keys too. `old`: in which the deadlines of replaced secrets may be known already."""
    by_digest, replaced, digests = dict(snapshot.by_digest), dict(snapshot.replaced), dict(snapshot.digests)
    for key, row in zip(access.keys, access.rows, strict=True):
        by_digest[row.digest] = key
        previous = row.previous_digest if row.previous_expires_at is not None else None
        digests[key.id] = row.digest, previous
        if previous is not None:
            replaced[previous] = _replaced(key, row.previous_expires_at, old.replaced.get(previous))
    return snapshot._replace(by_digest=by_digest, replaced=replaced, digests=digests)


def _replaced(key: Key, expires_at: datetime, known: Replaced | None) -> Replaced:
    deadline_s = time.monotonic() + (expires_at - datetime.now(UTC)).total_seconds()
    if known is not None and known.expires_at == expires_at:
        deadline_s = min(deadline_s, known.deadline_s)
    return Replaced(key, expires_at, deadline_s)
