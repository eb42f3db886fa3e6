"""What happened to thinking lately: asked, sent, observed, by model, of the newest rows of the ledger."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Row, Select, func, select

from llmgw.store import REPORT_TIMEOUT_S, LedgerRow, Store

MAX_ROWS: Final = 10_000


class ThinkingSum(NamedTuple):
    """Answers that have this in common."""

    model: str | None
    asked: str | None
    """`on` or `off`; None: the requests had no switch."""
    sent: str | None
    """The dialect, or `ignored`; None: the upstream was told nothing."""
    observed: bool
    requests: int


class Thinking(NamedTuple):
    """What the newest rows tell."""

    rows: int
    """How many there were, at most those that were wanted; with those of requests that got no answer."""
    since: datetime | None
    """When the earliest of them arrived; None: there is none."""
    sums: Sequence[ThinkingSum]
    """By model."""


def sum_thinking(store: Store, rows: int) -> Thinking:
    """Of the last `rows` of the ledger. Raises SQLAlchemyError."""
    with store.read(statement_timeout_s=REPORT_TIMEOUT_S) as session:
        groups = sorted(session.execute(newest_thinking(rows)).all(), key=_order)
    sums = [
        ThinkingSum(each.model, each.thinking_asked, each.thinking_sent, each.thinking_observed, each.number)
        for each in groups
        if each.is_answered
    ]
    since = min((each.since for each in groups), default=None)
    return Thinking(sum(each.number for each in groups), since, sums)


def newest_thinking(rows: int) -> Select[tuple[str, str, str, bool, bool, int, datetime]]:
    """Walks from the end of the primary key, so it costs the same in a ledger of any size.

    On PostgreSQL, rows of several machines get their ids a moment before they can be seen. So the newest are
    nearly those of the largest ids.
    """
    newest = select(LedgerRow).order_by(LedgerRow.id.desc()).limit(rows).subquery()
    groups = (
        newest.c.model,
        newest.c.thinking_asked,
        newest.c.thinking_sent,
        newest.c.thinking_observed,
        newest.c.finish_reason.is_not(None).label("is_answered"),
    )
    counted = func.count().label("number"), func.min(newest.c.time).label("since")
    return select(*groups, *counted).group_by(*groups)


def _order(row: Row[*tuple[Any, ...]]) -> tuple[object, ...]:
    """As SQLite has it: what is not known comes first."""
    model, asked, sent, observed, is_answered, *_ = row
    return (*((text is not None, text or "") for text in (model, asked, sent)), observed, is_answered)
