"""Which requests were there? The ledger's rows in pages, newest first, for admin API and command line.

A page is bounded in work, not only in length: filters look at no more than `SCANNED_ROWS` rows, so that a
search for what is rare ends early with a short page, and goes on with the next one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from llmgw.store import REPORT_TIMEOUT_S, ApiKey, LedgerRow, Project, Store

SCANNED_ROWS: Final = 100_000
FIRST_ERROR_STATUS: Final = 400
_CLASS: Final = 100
_NEWEST_FIRST: Final = (LedgerRow.time.desc(), LedgerRow.id.desc())


class Position(NamedTuple):
    """A place between two rows, in the order of the list."""

    time: datetime
    id: int


@dataclass(frozen=True, slots=True)
class RequestFilter:
    """Only rows that are like this. None: any."""

    model: str | None = None
    key_id: int | None = None
    project_id: int | None = None
    user: str | None = None
    status: int | None = None
    status_class: int | None = None
    """Its first digit: 4 are those from 400 to 499."""
    error_kind: str | None = None
    api: str | None = None
    request_id: str | None = None
    failed: bool | None = None
    """True: an error status, or an answer that broke off; False: neither."""
    since: datetime | None = None
    until: datetime | None = None
    """Rows before it."""


class RequestPage(NamedTuple):
    """Rows, newest first."""

    rows: Sequence[LedgerRow]
    next: Position | None
    """Where to go on; None: there are no more. There may be more even behind a short page."""
    keys: Mapping[int, str]
    projects: Mapping[int, str]
    """Names by id, of those in the rows that there still are."""


def list_requests(
    store: Store, wanted: RequestFilter, *, limit: int, after: Position | None = None
) -> RequestPage:
    """At most `limit` rows behind a position. Raises SQLAlchemyError."""
    with store.read(statement_timeout_s=REPORT_TIMEOUT_S) as session:
        places = select(LedgerRow.time, LedgerRow.id).where(*_span(wanted, after, None))
        places = places.order_by(*_NEWEST_FIRST)
        last = session.execute(places.offset(SCANNED_ROWS - 1).limit(1)).first()
        end = None if last is None else Position(*last)
        query = select(LedgerRow).where(*_span(wanted, after, end), *_conditions(wanted))
        query = query.order_by(*_NEWEST_FIRST)
        rows = session.scalars(query.limit(limit + 1)).all()
        following = end
        if len(rows) > limit:
            rows = rows[:limit]
            following = Position(rows[-1].time, rows[-1].id)
        keys = _names(session, ApiKey, (row.key_id for row in rows))
        projects = _names(session, Project, (row.project_id for row in rows))
        session.expunge_all()
    return RequestPage(rows, following, keys, projects)


def find_request(store: Store, request_id: str, *, key_id: int) -> LedgerRow | None:
    """A key's request; None: not there, or another key's. Raises SQLAlchemyError."""
    query = select(LedgerRow).where(LedgerRow.request_id == request_id, LedgerRow.key_id == key_id)
    with store.read() as session:
        row = session.scalars(query.limit(1)).first()
        session.expunge_all()
    return row


def _names(
    session: Session, table: type[ApiKey] | type[Project], ids: Iterable[int | None]
) -> dict[int, str]:
    wanted = {each for each in ids if each is not None}
    if not wanted:
        return {}
    return dict(session.execute(select(table.id, table.name).where(table.id.in_(wanted))).all())


def _span(wanted: RequestFilter, after: Position | None, end: Position | None) -> list[ColumnElement[bool]]:
    """What bounds the walk along the index of times; `end`: not behind it.

    One bound on each side: of two, SQLite walks from the first that is written, however far that is.
    """
    span: list[ColumnElement[bool]] = []
    if end is not None:
        span.append(LedgerRow.time >= end.time)
        span.append(or_(LedgerRow.time > end.time, LedgerRow.id >= end.id))
    elif wanted.since is not None:
        span.append(LedgerRow.time >= wanted.since)
    if after is not None and (wanted.until is None or after.time < wanted.until):
        span.append(LedgerRow.time <= after.time)
        span.append(or_(LedgerRow.time < after.time, LedgerRow.id < after.id))
    elif wanted.until is not None:
        span.append(LedgerRow.time < wanted.until)
    if wanted.request_id is not None:
        span.append(LedgerRow.request_id == wanted.request_id)
    return span


def _conditions(wanted: RequestFilter) -> list[ColumnElement[bool]]:
    equal = ("model", "key_id", "project_id", "user", "status", "error_kind", "api")
    conditions: list[ColumnElement[bool]] = [
        getattr(LedgerRow, name) == value for name in equal if (value := getattr(wanted, name)) is not None
    ]
    if wanted.status_class is not None:
        first = wanted.status_class * _CLASS
        conditions.append(LedgerRow.status.between(first, first + _CLASS - 1))
    if wanted.failed is not None:
        failed = or_(LedgerRow.error_kind.is_not(None), LedgerRow.status >= FIRST_ERROR_STATUS)
        worked = and_(LedgerRow.error_kind.is_(None), LedgerRow.status < FIRST_ERROR_STATUS)
        conditions.append(failed if wanted.failed else worked)
    return conditions
