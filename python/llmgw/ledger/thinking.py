"""What happened to thinking lately: asked, sent, observed, by model, of the newest rows of the ledger."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Select, func, select

from llmgw.store import LedgerRow, Store

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
    with store.read() as session:
        groups = session.execute(newest_thinking(rows)).all()
    sums = [
        ThinkingSum(each.model, each.thinking_asked, each.thinking_sent, each.thinking_observed, each.number)
        for each in groups
        if each.is_answered
    ]
    since = min((each.since for each in groups), default=None)
    return Thinking(sum(each.number for each in groups), since, sums)


def newest_thinking(rows: int) -> Select[tuple[str, str, str, bool, bool, int, datetime]]:
    """Walks from the end of the primary key, so it costs the same in a ledger of any size."""
    newest = select(LedgerRow).order_by(LedgerRow.id.desc()).limit(rows).subquery()
    groups = (
        newest.c.model,
        newest.c.thinking_asked,
        newest.c.thinking_sent,
        newest.c.thinking_observed,
        newest.c.finish_reason.is_not(None).label("is_answered"),
    )
    return (
        select(*groups, func.count().label("number"), func.min(newest.c.time).label("since"))
        .group_by(*groups)
        .order_by(*groups)
    )
