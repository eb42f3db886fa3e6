"""Keys and projects with their limits and budgets, out of the database.

The keys are read without ORM objects: a gateway may have ten thousand, and reads them all after a change.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, TypeAlias

from sqlalchemy import ColumnElement, Row, and_, or_, select, text
from sqlalchemy.orm import Session

from llmgw.access.key import Key
from llmgw.access.lease import Lease, lease_of, open_leases
from llmgw.access.project import Project
from llmgw.budgets.budget import Budget
from llmgw.limits.rules import LimitRule, Limits
from llmgw.store import ApiKey, BudgetRow, BudgetWindow, LimitRow
from llmgw.store import Project as ProjectRow

_LONGEST_WINDOW: Final = timedelta(days=32)
"""Longer than a month with an hour more; only a `total` is longer."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""When the window of a `total` begins."""
_HAS_EXTRA: Final = text("(lifted <> 0 OR forgiven <> 0)")
"""The condition of the index `ix_budget_windows_extra`, which is used only if it is written alike."""

_FEW: Final = 100
"""Keys whose limits and budgets are looked for; of more, all are read."""
Place: TypeAlias = tuple[str, int]
"""Scope and id."""


class Access(NamedTuple):
    """All projects, and the keys that were asked for."""

    projects: Mapping[int, Project]
    keys: Sequence[Key]
    rows: Sequence[Row[Any]]
    """Those of the keys, in the same order, with the digests of their secrets."""


def load(session: Session, which: ColumnElement[bool] | None = None, *, limit: int | None = None) -> Access:
    """Projects and keys by their ids; `which`: of the columns of `ApiKey`; None: all keys.

    `limit`: only the first ones.
    """
    query = select(ApiKey.__table__).order_by(ApiKey.id).limit(limit)
    # By the connection: the session would look for objects in each row.
    rows = session.connection().execute(query if which is None else query.where(which)).all()
    names = {("key", row.id): row.name for row in rows}
    projects_rows = session.scalars(select(ProjectRow).order_by(ProjectRow.id)).all()
    names |= {("project", row.id): row.name for row in projects_rows}
    few = [row.id for row in rows] if len(rows) <= _FEW else None
    limits, budgets = _limits(session, names, few), _budgets(session, names, few)
    projects = {
        row.id: Project(
            id=row.id,
            name=row.name,
            created_at=row.created_at,
            blocked_at=row.blocked_at,
            limits=tuple(limits["project", row.id]),
            budgets=tuple(budgets["project", row.id]),
        )
        for row in projects_rows
    }
    leases = {lease.key_id: lease_of(lease) for lease in open_leases(session)}
    keys = [
        _key(
            row,
            projects[row.project_id],
            limits.get(("key", row.id), ()),
            budgets.get(("key", row.id), ()),
            leases.get(row.id),
        )
        for row in rows
    ]
    return Access(projects, keys, rows)


def _key(
    row: Row[Any],
    project: Project,
    limits: Iterable[LimitRule],
    budgets: Iterable[Budget],
    lease: Lease | None,
) -> Key:
    return Key(
        id=row.id,
        name=row.name,
        prefix=row.prefix,
        digest=row.first_digest or row.digest,
        models=None if row.models is None else frozenset(row.models),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        project_id=project.id,
        project=project.name,
        kind=row.kind,
        owner=row.owner,
        trusts_user_header=row.trusts_user_header,
        blocked_at=row.blocked_at,
        project_blocked_at=project.blocked_at,
        rotated_at=row.rotated_at,
        previous_expires_at=row.previous_expires_at,
        limits=(*limits, *project.limits),
        budgets=(*budgets, *project.budgets),
        capture=lease,
    )


def _limits(
    session: Session, names: Mapping[Place, str], few: Sequence[int] | None
) -> defaultdict[Place, list[LimitRule]]:
    """Of the projects and keys that have a name here; `few`: the keys, if there are not many."""
    rules: defaultdict[Place, list[LimitRule]] = defaultdict(list)
    query = select(LimitRow.__table__).order_by(LimitRow.id)
    if few is not None:
        query = query.where(or_(LimitRow.scope == "project", _is_one(LimitRow, few)))
    for row in session.connection().execute(query):
        place = row.scope, row.scope_id
        if place in names:
            limits = Limits(row.requests_per_minute, row.tokens_per_minute, row.concurrent_requests)
            rules[place].append(
                LimitRule(
                    row.scope, row.scope_id, names[place], row.model or None, bool(row.per_user), limits
                )
            )
    return rules


def _budgets(
    session: Session, names: Mapping[Place, str], few: Sequence[int] | None
) -> defaultdict[Place, list[Budget]]:
    """The same; without those that were removed."""
    extra = _extra(session)
    budgets: defaultdict[Place, list[Budget]] = defaultdict(list)
    query = select(BudgetRow.__table__).where(BudgetRow.removed_at.is_(None)).order_by(BudgetRow.id)
    if few is not None:
        query = query.where(or_(BudgetRow.scope == "project", _is_one(BudgetRow, few)))
    for row in session.connection().execute(query):
        place = row.scope, row.scope_id
        if place in names:
            budgets[place].append(
                Budget(
                    id=row.id,
                    scope=row.scope,
                    scope_id=row.scope_id,
                    name=names[place],
                    model=row.model or None,
                    per_user=bool(row.per_user),
                    unit=row.unit,
                    amount=row.amount,
                    period=row.period,
                    warn_at_permille=row.warn_at_permille,
                    extra=extra.get(row.id, {}),
                )
            )
    return budgets


def _is_one(table: type[LimitRow | BudgetRow], keys: Sequence[int]) -> ColumnElement[bool]:
    """It belongs to one of these keys. The index takes both columns."""
    return and_(table.scope == "key", table.scope_id.in_(keys))


def _extra(session: Session) -> Mapping[int, Mapping[tuple[str, datetime], int]]:
    """By budget; of some windows that have ended, too."""
    recent = BudgetWindow.starts_at >= datetime.now(UTC) - _LONGEST_WINDOW
    query = select(BudgetWindow.__table__).where(_HAS_EXTRA, or_(recent, BudgetWindow.starts_at == _EPOCH))
    extra: defaultdict[int, dict[tuple[str, datetime], int]] = defaultdict(dict)
    for row in session.connection().execute(query):
        extra[row.budget_id][row.user, row.starts_at] = row.lifted + row.forgiven
    return extra
