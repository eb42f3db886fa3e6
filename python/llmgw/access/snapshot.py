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

_MANY: Final = 100
"""Changes. Of more, all keys are read again."""


class Deadline(NamedTuple):
    """When a secret ends, on both clocks: it has ended as soon as one of them says so.

    The wall clock may be set back, which must not bring a secret back that has ended. The price: a worker
    that reads a key while the wall clock is ahead ends its secret early, until worker or key are renewed.
    """

    at: datetime
    at_s: float
    """The same on the monotonic clock."""

    @classmethod
    def of(cls, at: datetime, known: "Deadline | None") -> "Deadline":
        """`known`: what was found out earlier, maybe by a better wall clock."""
        at_s = time.monotonic() + (at - datetime.now(UTC)).total_seconds()
        return cls(at, min(at_s, known.at_s) if known is not None and known.at == at else at_s)

    @property
    def is_over(self) -> bool:
        """The secret is no longer accepted."""
        return time.monotonic() >= self.at_s or datetime.now(UTC) >= self.at


class Replaced(NamedTuple):
    """The secret before a rotation."""

    key: Key
    deadline: Deadline


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
    expiries: Mapping[int, Deadline]
    """Of the keys that expire."""


NOTHING: Final = Snapshot(-1, -1, -1, {}, {}, {}, {})


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
        empty = begun._replace(by_digest={}, replaced={}, digests={}, expiries={})
        return _with(empty, load(session, _IN_FORCE), old)
    keys, projects = changed
    affected = {key.id for key in old.by_digest.values() if key.id in keys or key.project_id in projects}
    which = or_(ApiKey.id.in_(keys | affected), ApiKey.project_id.in_(projects))
    return _with(_without(begun, affected), load(session, _IN_FORCE & which), old)


_IN_FORCE: Final = ApiKey.revoked_at.is_(None)


def _changed(session: Session, old: Snapshot, epoch: int) -> tuple[set[int], set[int]] | None:
    """The ids of keys and projects that have changed since; None: that can't be told, or they are many."""
    query = select(AuditRow.target).where(AuditRow.id > old.audit_id).limit(_MANY + 1)
    targets = session.scalars(query).all()
    if len(targets) != epoch - old.epoch or len(targets) > _MANY:
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
    by_digest, replaced = dict(snapshot.by_digest), dict(snapshot.replaced)
    digests, expiries = dict(snapshot.digests), dict(snapshot.expiries)
    for key_id in key_ids:
        digest, previous = digests.pop(key_id)
        del by_digest[digest]
        expiries.pop(key_id, None)
        if previous is not None:
            del replaced[previous]
    return snapshot._replace(by_digest=by_digest, replaced=replaced, digests=digests, expiries=expiries)


def _with(snapshot: Snapshot, access: Access, old: Snapshot) -> Snapshot:
    """These keys too. `old`: in which deadlines may be known already."""
    by_digest, replaced = dict(snapshot.by_digest), dict(snapshot.replaced)
    digests, expiries = dict(snapshot.digests), dict(snapshot.expiries)
    for key, row in zip(access.keys, access.rows, strict=True):
        by_digest[row.digest] = key
        if key.expires_at is not None:
            expiries[key.id] = Deadline.of(key.expires_at, old.expiries.get(key.id))
        previous = row.previous_digest if row.previous_expires_at is not None else None
        digests[key.id] = row.digest, previous
        if previous is not None:
            known = old.replaced.get(previous)
            deadline = Deadline.of(row.previous_expires_at, None if known is None else known.deadline)
            replaced[previous] = Replaced(key, deadline)
    return snapshot._replace(by_digest=by_digest, replaced=replaced, digests=digests, expiries=expiries)
